"""What the sandbox answers."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from base.web.values import camel
from sandbox.faults import MOST_DELAY_MS, MOST_LATE_MS, MOST_SEED, Plan

Percent = Annotated[int, Field(ge=0, le=100)]


class Faults(TypedDict):
    """A plan of faults. All percentages are 0 where none was ordered."""

    seed: Annotated[int, Field(ge=0, le=MOST_SEED)]
    delayMs: Annotated[int, Field(ge=0, le=MOST_DELAY_MS)]
    delayPercent: Percent
    tooManyPercent: Percent
    lostAnswerPercent: Percent
    rejectPercent: Percent
    cutPercent: Percent
    duplicatePercent: Percent
    lateMs: Annotated[int, Field(ge=0, le=MOST_LATE_MS)]
    latePercent: Percent


def shown(plan: Plan) -> Any:
    """The plan as `Faults`."""
    return {camel(name): value for name, value in asdict(plan).items()}
