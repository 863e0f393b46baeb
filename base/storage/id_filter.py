"""A Bloom filter of ids in Redis, shared by all processes: its answer is "never issued" or "perhaps".

It is one of the shared caches (base.storage.coherence): an id is added in the transaction that issues it, after its row
was inserted and before the commit; who cannot add closes the caches first. The bits belong to one opening of the caches
and to one run of the server, whose token is in their key.

The bits and the mark that they are complete are one string, so that they are lost together. A new string is filled from
the table by whoever calls `fill`: rows that were inserted before the caches were opened are read with locks, so that
none is passed over whose transaction is not over; ids that are inserted later are added by their own transactions.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from base.storage.coherence import Coherence, Lease
from base.storage.shared_caches import KEY_PREFIX, Script, new_token

WRONG_PERHAPS = 0.01
CHUNK = 500

# The string; the mark's place, the bits'.
_LOOK = """
if redis.call('GETBIT', KEYS[1], ARGV[1]) == 0 then return {run, 'perhaps'} end
for place = 2, #ARGV do
    if redis.call('GETBIT', KEYS[1], ARGV[place]) == 0 then return {run, 'never'} end
end
return {run, 'perhaps'}
"""
_ADD = """
for place = 1, #ARGV do redis.call('SETBIT', KEYS[1], ARGV[place], 1) end
return {run}
"""
# Where the filler writes its own token, behind the bits; the token.
_BEGIN = """
redis.call('SETRANGE', KEYS[1], ARGV[1], ARGV[2])
return {run}
"""
_MARK = "return {run, tostring(redis.call('GETBIT', KEYS[1], ARGV[1]))}"
# If the string was lost on the way, its token is gone too.
_END = """
if redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[1] + #ARGV[2] - 1) ~= ARGV[2] then return {run, 0} end
redis.call('SETBIT', KEYS[1], ARGV[3], 1)
return {run, 1}
"""


class Answered(NamedTuple):
    """The filter's word for an id, and the run of the server that answered."""

    server: str
    word: str


class IdFilter:
    """Of one kind of thing. `size`: how many ids it is made for; beyond that its answer is "perhaps" more often."""

    _look, _add, _mark, _begin, _end = Script(_LOOK), Script(_ADD), Script(_MARK), Script(_BEGIN), Script(_END)

    def __init__(self, name: str, size: int, coherent: Callable[[], Coherence]) -> None:
        self.name = name
        self.bits = math.ceil(-size * math.log(WRONG_PERHAPS) / math.log(2) ** 2)
        self.hashes = round(self.bits / size * math.log(2))
        self._coherent = coherent

    def may_exist(self, number: int) -> bool:
        """False only if the id was never issued."""

        def question(lease: Lease) -> Answered:
            return Answered(*self._look([self._key(lease.token)], [self.bits, *self._places(number)]))

        found = self._coherent().ask(question)
        return found is None or found[1].word != "never"

    def add(self, numbers: Iterable[int]) -> None:
        """In the transaction that issues the ids, after their rows were inserted. Raises coherence.Unreachable."""
        places = [place for number in numbers for place in self._places(number)]
        self._coherent().before_commit(lambda token: str(self._add([self._key(token)], places)[0]))

    def is_filled(self) -> bool:
        """Whether the present string is complete."""
        found = self._coherent().ask(lambda lease: Answered(*self._mark([self._key(lease.token)], [self.bits])))
        return found is not None and found[1].word == "1"

    def fill(self, next_ids: Callable[[int], Sequence[int]]) -> bool:
        """Fill the present string from the table and mark it complete. False where it cannot be, or not now.

        `next_ids` gives the ids behind one, in order and read with locks; none at the end. Raises the errors of Redis.
        """
        own = new_token()
        behind = self.bits // 8 + 1

        def begin(lease: Lease) -> Answered:
            return Answered(self._begin([self._key(lease.token)], [behind, own])[0], "")

        begun = self._coherent().ask(begin)
        if begun is None:
            return False
        lease, last = begun[0], 0
        while ids := next_ids(last):
            places = [place for number in ids for place in self._places(number)]
            if self._add([self._key(lease.token)], places)[0] != lease.server:
                return False
            last = ids[-1]
        run, done = self._end([self._key(lease.token)], [behind, own, self.bits])
        return bool(done) and run == lease.server

    def _places(self, number: int) -> list[int]:
        """Where its bits are: two hashes, combined as often as needed."""
        digest = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).digest()
        first, step = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
        return [(first + turn * step) % self.bits for turn in range(self.hashes)]

    def _key(self, token: str) -> str:
        return f"{KEY_PREFIX}ids:{self.name}:{token}"
