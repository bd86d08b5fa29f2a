"""What a benchmark prints: Markdown, on the screen and in a file where one is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.interleave import Comparison


class Report:
    """Lines that are printed when they are written, and kept.

    Args:
        path: Where to keep them as a file too, or None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lines: list[str] = []

    def write(self, text: str = "") -> None:
        """Print a paragraph."""
        print(text, flush=True)
        self._lines.append(text)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table under its title."""
        self.write(f"\n## {title}\n")
        self.rows(header, rows)

    def rows(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; all columns but the first two are figures."""
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        rule = ["-" * width if column < 2 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
        for row in (header, rule, *rows):
            self.write("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")

    def save(self) -> None:
        """Write the file."""
        if self._path is not None:
            self._path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")


def duration(seconds: float) -> str:
    """A duration for people, in milliseconds."""
    return f"{seconds * 1000:.2f} ms"


def ratio(comparison: Comparison) -> str:
    """A ratio with its confidence interval."""
    return f"{comparison.ratio:.2f} ({comparison.low:.2f} to {comparison.high:.2f})"


def verdict(comparison: Comparison, goal: float) -> str:
    """Whether a ratio keeps its goal."""
    return "pass" if comparison.ratio <= goal else "FAIL"
