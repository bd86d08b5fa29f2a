"""The timings as a picture: for each work a bar for each side, as a multiple of the package's time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.verbs.timing import OURS, Timing

_COLUMNS = 2
_BAR_INCHES = 0.28
_OURS_COLOUR, _THEIRS_COLOUR = "#1b6ca8", "#b8bec6"


def plot(path: Path, timings: Sequence[Timing]) -> None:
    """Write the picture; shorter bars are faster."""
    starts = range(0, len(timings), _COLUMNS)
    # Every row of pictures is as high as its bars need, with the room of two more for title and scale.
    heights = [2 + max(len(timing.seconds) for timing in timings[start : start + _COLUMNS]) for start in starts]
    figure = Figure(figsize=(11, _BAR_INCHES * sum(heights) + 0.5), layout="constrained")
    figure.suptitle(f"Time, as a multiple of {OURS}'s: shorter is faster")
    grid = figure.add_gridspec(len(heights), _COLUMNS, height_ratios=heights)
    for number, timing in enumerate(timings):
        _draw(figure.add_subplot(grid[divmod(number, _COLUMNS)]), timing)
    figure.savefig(path)


def _draw(axes: Axes, timing: Timing) -> None:
    sides, multiples = zip(*reversed(timing.multiples.items()), strict=True)
    bars = axes.barh(sides, multiples, color=[_OURS_COLOUR if side == OURS else _THEIRS_COLOUR for side in sides])
    axes.bar_label(bars, [f"{multiple:.2f}" for multiple in multiples], padding=3, fontsize=8)
    axes.set_title(timing.work, loc="left", fontsize=10)
    axes.set_xlim(0, max(multiples) * 1.12)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
