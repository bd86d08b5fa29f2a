"""The picture of ``docs/performance.md``: six things that users do, beside other libraries.

It is drawn from the rows of the benchmark's table, so table and picture show the same ratios. This draws the published
ones again::

    python -m benchmarks.verbs.plot benchmarks/results.md docs/benchmarks.svg
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.verbs.timing import HEADER, OURS, Row

WORKS = {
    "get": "get, in an open scope",
    "find the newest 50, with embeddings and edges": "newest 50 with embeddings and edges",
    "traverse, 3 hops": "traverse, 3 hops, typical, outgoing",
    "remember": "remember, a fresh text",
    "remember_many": "remember_many, ",
    "32 tasks at once": "32 tasks, ",
}
"""The titles of the picture, and how the first work of the table that belongs to each begins."""

SIDES = {
    "raw asyncpg": "raw asyncpg",
    "the raw statement": "raw asyncpg",
    "COPY by a superuser": "COPY (superuser)",
    "Tortoise": "Tortoise",
    "SQLAlchemy": "SQLAlchemy",
    "Django": "Django",
    "LangGraph": "LangGraph",
}
"""The sides that the picture shows, as the table calls them and as the picture does."""

_COLUMNS = 2
_OURS_COLOUR, _THEIRS_COLOUR = "#1b6ca8", "#b8bec6"
_RATIO = re.compile(r"(time|speed) (\d+\.\d+) \(")


class Bars(NamedTuple):
    """One work of the picture.

    Attributes:
        title: What is done.
        multiples: How long each side takes, as a multiple of the package's time.
    """

    title: str
    multiples: dict[str, float]


def bars_of(rows: Iterable[Row]) -> list[Bars]:
    """The works of the picture that the rows have."""
    measured: dict[str, dict[str, float]] = {}
    multiples: dict[str, float] = {}
    for work, side, _, _, ratio, _, _ in rows:
        if work:
            multiples = measured[work] = {}
        if side in SIDES and (found := _RATIO.match(ratio)):
            kind, figure = found[1], float(found[2])
            multiples[SIDES[side]] = figure if kind == "speed" else 1 / figure
    drawn = []
    for title, beginning in WORKS.items():
        candidates = [work for work in measured if work.startswith(beginning)]
        if candidates:
            drawn.append(Bars(title, {OURS: 1.0, **measured[candidates[0]]}))
    return drawn


def rows_of(markdown: str) -> list[Row]:
    """The rows of the benchmark's table in a page, which may have other tables too.

    Raises:
        ValueError: The page does not have the table.
    """
    rows: list[Row] = []
    is_inside = False
    for line in markdown.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
        if cells == HEADER:
            is_inside = True
        elif not line.startswith("|"):
            is_inside = False
        elif is_inside and not line.startswith("| -"):
            work, side, ours, theirs, ratio, goal, verdict = cells
            rows.append((work, side, ours, theirs, ratio, goal, verdict))
    if not rows:
        raise ValueError(f"the page has no table with the columns {', '.join(HEADER)}")
    return rows


def plot(path: Path, works: list[Bars]) -> None:
    """Write the picture as SVG; shorter bars are faster."""
    lines = [works[start : start + _COLUMNS] for start in range(0, len(works), _COLUMNS)]
    heights = [1.5 + max(len(work.multiples) for work in line) for line in lines]
    figure = Figure(figsize=(9, 0.27 * sum(heights) + 0.6), layout="constrained")
    figure.suptitle(f"Time as a multiple of {OURS}'s: shorter is faster", fontsize=11)
    grid = figure.add_gridspec(len(lines), _COLUMNS, height_ratios=heights)
    for number, work in enumerate(works):
        places = max(len(beside.multiples) for beside in lines[number // _COLUMNS])
        _draw(figure.add_subplot(grid[divmod(number, _COLUMNS)]), work, places)
    # Text stays text and ids are the same in every run: the file is small, and a change of it shows what changed.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "memory-guild"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw(axes: Axes, work: Bars, places: int) -> None:
    """Draw one work from the top, with room for as many bars as the one beside it has."""
    sides, multiples = zip(*reversed(work.multiples.items()), strict=True)
    bars = axes.barh(sides, multiples, color=[_OURS_COLOUR if side == OURS else _THEIRS_COLOUR for side in sides])
    axes.bar_label(bars, [f"{multiple:.2f}" for multiple in multiples], padding=3, fontsize=8)
    axes.set_title(work.title, loc="left", fontsize=10)
    axes.set_xlim(0, max(multiples) * 1.15)
    axes.set_ylim(len(sides) - places - 0.5, len(sides) - 0.5)
    axes.set_xticks([])
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verbs.plot", description="Draw a published table.")
    parser.add_argument("table", type=Path, metavar="FILE.md", help="a page with the table that the benchmark printed")
    parser.add_argument("picture", type=Path, metavar="FILE.svg", help="the picture to write")
    given = parser.parse_args()
    plot(given.picture, bars_of(rows_of(given.table.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
