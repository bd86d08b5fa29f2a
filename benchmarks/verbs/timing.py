"""What a measurement gives: the seconds of each side, or a figure, each with its goal, as rows of one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, TypeAlias

from benchmarks.interleave import Comparison, Measure, Side, interleave
from benchmarks.report import duration, ratio

OURS = "Memory Guild"
HEADER = ("work", "beside", "ours", "theirs", "ratio (95 %)", "goal", "verdict")

Row: TypeAlias = tuple[str, str, str, str, str, str, str]


@dataclass(frozen=True)
class Goal:
    """How the package should do beside another side.

    Attributes:
        kind: ``time``, ours as a multiple of theirs, at most the limit; ``speed``, theirs of ours, at least the limit.
        limit: The limit.
    """

    kind: Literal["time", "speed"]
    limit: float

    def is_met(self, comparison: Comparison) -> bool:
        """Whether a ratio of this kind keeps the limit."""
        return comparison.ratio <= self.limit if self.kind == "time" else comparison.ratio >= self.limit

    def __str__(self) -> str:
        return f"{self.kind} {'at most' if self.kind == 'time' else 'at least'} {self.limit:g}"


@dataclass(frozen=True)
class Timing:
    """Some work, done by the package and by others.

    Attributes:
        work: What it is.
        seconds: The rounds' seconds of each side, by the side's name; one is the package's.
        goals: What the package should reach, by the side's name.
    """

    work: str
    seconds: Mapping[str, Sequence[float]]
    goals: Mapping[str, Goal] = field(default_factory=dict)

    @property
    def medians(self) -> dict[str, float]:
        """The median of each side, in seconds."""
        return {side: median(seconds) for side, seconds in self.seconds.items()}

    def rows(self) -> list[Row]:
        """A row for each other side; the first says what the work is and how long the package took."""
        others = [side for side in self.seconds if side != OURS]
        return [self._row(side, is_first=side == others[0]) for side in others]

    def _row(self, side: str, *, is_first: bool) -> Row:
        goal = self.goals.get(side)
        kind = goal.kind if goal else "speed"
        ours, theirs = self.seconds[OURS], self.seconds[side]
        comparison = Comparison.of(theirs, ours) if kind == "time" else Comparison.of(ours, theirs)
        medians = self.medians
        return (
            self.work if is_first else "",
            side,
            duration(medians[OURS]) if is_first else "",
            duration(medians[side]),
            f"{kind} {ratio(comparison)}",
            str(goal) if goal else "",
            _verdict(goal.is_met(comparison)) if goal else "",
        )


@dataclass(frozen=True)
class Figure:
    """Something that is counted, not compared.

    Attributes:
        work: What was done.
        text: What was found.
        goal: What it should be; empty where nobody asked for anything.
        is_met: Whether it is.
    """

    work: str
    text: str
    goal: str = ""
    is_met: bool = True

    def rows(self) -> list[Row]:
        """Its row."""
        return [(self.work, "", self.text, "", "", self.goal, _verdict(self.is_met) if self.goal else "")]


Measurement: TypeAlias = Timing | Figure


async def take_turns(
    work: str, sides: Mapping[str, Side], rounds: int, warm_up: int, goals: Mapping[str, Goal], *, calls: int = 1
) -> Timing:
    """Measure the sides in one interleaved run.

    Args:
        work: What they do.
        sides: The sides by name; each is given a number, from 0 on, for each call, warm-up rounds included.
        rounds: How many rounds.
        warm_up: How many rounds before those: from its sixth execution on a statement may have a plan that is kept.
        goals: What the package should reach beside whom.
        calls: How often a side does it in one round, for what is so quick that a single call would mostly measure the
            processor's caches, which the sides before have filled.
    """
    in_rounds = [Side(_mean(side.measure, calls), side.context) for side in sides.values()]
    await interleave(in_rounds, warm_up)
    seconds = await interleave(in_rounds, rounds, first=warm_up)
    return Timing(work, dict(zip(sides, seconds, strict=True)), goals)


def _mean(measure: Measure, calls: int) -> Measure:
    async def several(number: int) -> float:
        return sum([await measure(number * calls + call) for call in range(calls)]) / calls

    return several


def _verdict(is_met: bool) -> str:
    return "pass" if is_met else "FAIL"
