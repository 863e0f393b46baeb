"""Streams read by pages of other origins, by the rules of REST: the streams stand in front of its middleware."""

from base.servers.asgi import Application, Headers, Message, Receive, Scope, Send, encoded
from base.web.exposure import NO_STORE, PREFLIGHT_STATUS, cross_origin_headers, preflight_headers
from base.web.hardening import hardened


class CrossOrigin:
    """Answers preflights, and adds to the answers of a stream who may read and keep them."""

    def __init__(self, stream: Application, *, is_public: bool) -> None:
        self._stream = stream
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin, wanted = asked.get("origin"), asked.get("access-control-request-method")
        if scope["method"] == "OPTIONS" and origin and wanted:
            is_public = self._is_public and wanted == "GET"
            headers = encoded(preflight_headers(origin, is_public=is_public))
            await send({"type": "http.response.start", "status": PREFLIGHT_STATUS, "headers": hardened(headers)})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_exposed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._exposed(message["headers"], origin)
            await send(message)

        await self._stream(scope, receive, send_exposed)

    def _exposed(self, headers: Headers, origin: str | None) -> Headers:
        added = encoded(cross_origin_headers(origin, is_public=self._is_public))
        if self._is_public:
            return [*headers, *added]
        kept = [(name, value) for name, value in headers if name != b"cache-control"]
        return [*kept, *added, (b"cache-control", NO_STORE.encode()), (b"vary", b"Origin")]
