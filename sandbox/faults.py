"""Which fault a request or an event gets: by the seed and its number alone, so that a run can be repeated."""

from dataclasses import dataclass
from random import Random

# The longest delay, because each keeps a thread of REST; a late event keeps nothing but its stream.
MOST_DELAY_MS, MOST_LATE_MS, MOST_SEED = 2_000, 5_000, 2**53 - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account ordered. Each percentage is of all requests, of all orders (`reject`), or of all events."""

    seed: int = 0
    delay_ms: int = 0
    delay_percent: int = 0
    too_many_percent: int = 0
    lost_answer_percent: int = 0
    reject_percent: int = 0
    cut_percent: int = 0
    duplicate_percent: int = 0
    late_ms: int = 0
    late_percent: int = 0

    @property
    def concerns_streams(self) -> bool:
        return bool(self.cut_percent or self.duplicate_percent or (self.late_ms and self.late_percent))


@dataclass(frozen=True, slots=True)
class RequestFaults:
    delay_ms: int
    is_too_many: bool
    is_rejected: bool
    is_answer_lost: bool


@dataclass(frozen=True, slots=True)
class EventFaults:
    """`is_cut`: the stream ends before the event."""

    is_cut: bool
    late_ms: int
    is_duplicated: bool


def of_request(plan: Plan, number: int) -> RequestFaults:
    """Each fault has a throw of its own, thrown always, so that one percentage does not change the others' run."""
    delay, too_many, reject, lost = _throws(f"request {plan.seed} {number}", 4)
    return RequestFaults(
        delay_ms=plan.delay_ms if delay < plan.delay_percent else 0,
        is_too_many=too_many < plan.too_many_percent,
        is_rejected=reject < plan.reject_percent,
        is_answer_lost=lost < plan.lost_answer_percent,
    )


def of_event(plan: Plan, number: int) -> EventFaults:
    cut, late, duplicate = _throws(f"event {plan.seed} {number}", 3)
    return EventFaults(
        is_cut=cut < plan.cut_percent,
        late_ms=plan.late_ms if late < plan.late_percent else 0,
        is_duplicated=duplicate < plan.duplicate_percent,
    )


def _throws(text: str, number: int) -> list[float]:
    """Numbers from 0 to below 100. A text as a seed gives the same in every version of Python."""
    chance = Random(text)  # noqa: S311 - a bot must be able to repeat it
    return [100 * chance.random() for _ in range(number)]
