"""When a request has arrived as a whole. Pure: bytes in, a decision out.

Where this reading of a head could differ from the server's own, the request is refused, because the server would
otherwise wait in a thread for bytes that this has not waited for.
"""

from base.web.errors import BodyTooLarge, ExchangeError, HeadTooLarge, LengthRequired, MalformedRequest

HEAD_BYTES = 32_768
# Of a body that is too large so much is read and thrown away, so that its sender reads why it is refused.
DISCARDED_BYTES = 1_048_576
_END = b"\r\n\r\n"


class Arrival:
    """One request that is being received; `most_bytes` is the largest body."""

    def __init__(self, most_bytes: int) -> None:
        self.data = bytearray()
        self.wants_continue = False
        self._most_bytes = most_bytes
        self._searched = 0
        # How much is still to come of the body, once the head is there.
        self._missing: int | None = None
        self._refusal: ExchangeError | None = None

    @property
    def is_whole(self) -> bool:
        return self._missing is not None and self._missing <= 0

    @property
    def head(self) -> bytes:
        """Of a request that is whole: without the empty line at its end."""
        return bytes(self.data[: self.data.find(_END)])

    @property
    def has_more(self) -> bool:
        """Whether a part of the next request came with it."""
        return self._missing is not None and self._missing < 0

    @property
    def is_begun(self) -> bool:
        return bool(self.data)

    def receive(self, data: bytes) -> None:
        """Raises MalformedRequest, LengthRequired, HeadTooLarge, BodyTooLarge."""
        if self._missing is None:
            self.data += data
            self._look_for_the_end()
        else:
            self._missing -= len(data)
            if self._refusal is None:
                self.data += data
        if self._refusal is not None and self.is_whole:
            raise self._refusal

    def _look_for_the_end(self) -> None:
        end = self.data.find(_END, self._searched)
        if end < 0:
            self._searched = max(0, len(self.data) - len(_END))
            if len(self.data) > HEAD_BYTES:
                raise HeadTooLarge(f"the head of a request has at most {HEAD_BYTES} bytes", maxBytes=HEAD_BYTES)
            return
        length = self._length(bytes(self.data[:end]))
        self._missing = length - (len(self.data) - end - len(_END))
        self.wants_continue &= self._missing > 0

    def _length(self, head: bytes) -> int:
        """How long the body is that the head announces."""
        lengths = []
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.lower().partition(b":")
            if name == b"content-length":
                lengths.append(value.strip(b" \t"))
            elif name == b"transfer-encoding":
                raise LengthRequired("send the length of the body, as Content-Length")
            elif name == b"expect":
                self.wants_continue = value.strip(b" \t") == b"100-continue"
        if not lengths:
            return 0
        if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
            raise MalformedRequest("Content-Length must be one number")
        length = int(lengths[0])
        if length > self._most_bytes:
            self._refusal = BodyTooLarge(f"the body has more than {self._most_bytes} bytes", maxBytes=self._most_bytes)
            if length > DISCARDED_BYTES:
                raise self._refusal
        return length
