"""One call of the API as data, and how a client gets a method from it: the only description of each call there is.

A function of this package builds a `Call`. `method` makes of it a method of the sync client, which returns the answer,
and of the async one, which returns an awaitable of it; `pages` makes one that goes through all pages.
"""

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote, urlencode

from ..answers.reading import read_as
from ..errors import NotUnderstood, Refused
from ..terms import plain

PREFIX = "/api/v1"
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


@dataclass(frozen=True)
class Reply:
    """What came back: an answer in the envelope, or a refusal."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """Raises NotUnderstood."""
        try:
            body = json.loads(self.content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise NotUnderstood(f"{self.status}: {self.content[:200]!r}")
        return body

    @property
    def data(self) -> Any:
        if "data" not in self.body:
            raise NotUnderstood(f"{self.status}: {self.content[:200]!r}")
        return self.body["data"]


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """A request without its signature, and how its answer is read.

    `repeats`: whether it may be sent again when its outcome is unknown, because twice is as good as once. `done`: the
    codes of refusals that mean, after an attempt without an answer, that this attempt had done it, and what is answered
    then.
    """

    method: str
    path: str
    read: Callable[[Reply], T_co]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeats: bool = True
    done: Mapping[str, Callable[[Refused], T_co]] = field(default_factory=dict)
    # By nobody, whoever the client is: a sign-in.
    is_public: bool = False

    @property
    def target(self) -> str:
        """The path with its query, as it stands in the first line of the request."""
        query = urlencode(self.query, quote_via=quote)
        return PREFIX + self.path + (f"?{query}" if query else "")

    @property
    def content(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Page(Sequence[T_co]):
    """A part of a list. `as_of`: by market the number of an event that it certainly includes."""

    items: tuple[T_co, ...]
    next_cursor: str | None = None
    as_of: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T_co, ...]: ...
    def __getitem__(self, index: int | slice) -> T_co | tuple[T_co, ...]:
        return self.items[index]


class Sender:
    """What the methods of the sync client stand on."""

    @abstractmethod
    def send(self, call: Call[T]) -> T:
        """The answer, after as many attempts as it takes. Raises Refused, NoAnswer and NotUnderstood."""


class AsyncSender:
    """What the methods of the async client stand on."""

    @abstractmethod
    async def send(self, call: Call[T]) -> T:
        """As `Sender.send`."""


class method(Generic[P, T]):  # noqa: N801
    """A method of both clients, from the function that builds its call."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: Sender, owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: Any) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, client: None, owner: Any) -> "method[P, T]": ...
    def __get__(self, client: Sender | AsyncSender | None, owner: Any) -> Any:
        if client is None:
            return self
        return lambda *given, **named: client.send(self._build(*given, **named))


class pages(Generic[P, T]):  # noqa: N801
    """A method that goes through all pages of a list, from the function that builds the call of one."""

    def __init__(self, build: Callable[P, Call[Page[T]]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: Sender, owner: Any) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: Any) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, client: None, owner: Any) -> "pages[P, T]": ...
    def __get__(self, client: Sender | AsyncSender | None, owner: Any) -> Any:
        if client is None:
            return self
        through = _through if isinstance(client, Sender) else _through_async
        return lambda *given, **named: through(client, self._build(*given, **named))  # type: ignore[arg-type]


def _through(client: Sender, call: Call[Page[T]]) -> Iterator[T]:
    following: Call[Page[T]] | None = call
    while following is not None:
        page = client.send(following)
        yield from page
        following = following_page(call, page)


async def _through_async(client: AsyncSender, call: Call[Page[T]]) -> AsyncIterator[T]:
    following: Call[Page[T]] | None = call
    while following is not None:
        page = await client.send(following)
        for each in page:
            yield each
        following = following_page(call, page)


def following_page(call: Call[Page[T]], page: Page[T]) -> Call[Page[T]] | None:
    if page.next_cursor is None:
        return None
    return replace(call, query={**call.query, "cursor": page.next_cursor})


def get(path: str, read: Callable[[Reply], T], **query: Any) -> Call[T]:
    """A read. What is None is not asked for."""
    return Call("GET", path, read, asked(query))


def asked(query: Mapping[str, Any]) -> dict[str, Any]:
    """A query string's values, as texts."""
    return {name: _text(value) for name, value in plain(query).items()}


def part(text: object) -> str:
    """One part of a path."""
    return quote(str(text), safe="")


def one(kind: type[T]) -> Callable[[Reply], T]:
    """How an answer is read whose data is one thing."""
    return lambda reply: read_as(kind, reply.data)


def many(kind: type[T]) -> Callable[[Reply], Page[T]]:
    """How a list is read."""
    return partial(_page, kind)


def nothing(reply: Reply) -> None:
    """An answer with nothing in it, 204 or an envelope. Raises NotUnderstood for a page of somebody else's."""
    if reply.content:
        reply.body  # noqa: B018


def raw(reply: Reply) -> Any:
    """The data as it came."""
    return reply.data


def _page(kind: type[T], reply: Reply) -> Page[T]:
    if not isinstance(reply.data, list):
        raise NotUnderstood(f"no list: {reply.content[:200]!r}")
    items = tuple([read_as(kind, each) for each in reply.data])
    return Page(items, reply.body.get("nextCursor"), reply.body.get("asOf") or {})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
