"""The benchmarks run and fill their tables; how fast anything is, is no matter here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.interleave import Comparison, Side, interleave
from benchmarks.report import verdict
from benchmarks.tenancy_guards import GUARDS
from benchmarks.tenancy_querysets import QUERYSETS
from benchmarks.tenancy_statements import CARELESS_LIST, CHECKED_EDGES, DENSE_HOPS, LATEST_EDGES, STATEMENTS

TENANTS = ("tiny", "middle", "giant")
RATIO = re.compile(r"(\d+\.\d\d) \((\d+\.\d\d) to (\d+\.\d\d)\)")


@pytest.fixture(scope="module")
def tables(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """What a quick run writes: the rows under each title."""
    output = tmp_path_factory.mktemp("benchmark") / "tenancy.md"
    command = [sys.executable, "-W", "error", "-m", "benchmarks.tenancy"]
    root = Path(__file__).parent.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_GUILD_")}
    finished = subprocess.run(
        [*command, "--quick", "--url", server_url, "--output", str(output)],
        cwd=root,
        env=environment | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    assert output.read_text(encoding="utf-8") == finished.stdout
    return read_tables(finished.stdout)


def read_tables(text: str) -> dict[str, list[dict[str, str]]]:
    tables = {}
    for section in text.split("\n## ")[1:]:
        title, *lines = section.splitlines()
        header, _, *rows = (
            [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")
        )
        tables[title.partition(":")[0].partition(",")[0]] = [dict(zip(header, row, strict=True)) for row in rows]
    return tables


@pytest.mark.parametrize(("title", "works"), [("SQL", STATEMENTS), ("ORM", QUERYSETS)])
def test_every_statement_is_measured_for_every_tenant(
    tables: dict[str, list[dict[str, str]]], title: str, works: tuple[object, ...]
) -> None:
    wanted = [(tenant, work.name) for tenant in TENANTS for work in works]  # type: ignore[attr-defined]
    assert [(row["tenant"], row["what"]) for row in tables[title]] == wanted
    assert {row["verdict"] for row in tables[title]} <= {"pass", "FAIL"}
    assert {row["goal"] for row in tables[title]} == {"1.3"}


def test_the_round_trips_are_counted(tables: dict[str, list[dict[str, str]]]) -> None:
    counts = {
        row["inside"]: (row["trips by hand"], row["trips"], row["beside the work"])
        for row in tables["Opening and closing"]
    }
    # A scope's first list also tells the server how to plan lists.
    assert counts == {"nothing": ("4", "2", "2"), "point read": ("5", "3", "2"), "newest 50": ("5", "4", "3")}


def test_every_guard_is_measured(tables: dict[str, list[dict[str, str]]]) -> None:
    measured = [(row["guard"], row["edges in one statement"]) for row in tables["Guards"]]
    assert measured == [(guard.name, edges) for edges in ("500", "1") for guard in GUARDS]


def test_the_rows_beside_the_goals_are_there(tables: dict[str, list[dict[str, str]]]) -> None:
    works = (CARELESS_LIST, CHECKED_EDGES, DENSE_HOPS, LATEST_EDGES)
    assert [row["what"] for row in tables["Beside the goals"]] == [work.name for work in works]


def test_every_ratio_lies_in_its_interval(tables: dict[str, list[dict[str, str]]]) -> None:
    rows = [row for table in tables.values() for row in table]
    assert len(rows) == 51
    for row in rows:
        found = RATIO.fullmatch(row["ratio (95 %)"])
        assert found is not None, row
        ratio, low, high = map(float, found.groups())
        assert 0 < low <= ratio <= high, row
        assert int(row.get("rounds", "7")) >= 7, row


def test_a_comparison_is_of_neighbouring_runs() -> None:
    comparison = Comparison.of([1.0, 2.0, 4.0, 8.0, 16.0] * 20, [1.5, 3.0, 6.0, 12.0, 24.0] * 20)
    assert (comparison.ratio, comparison.low, comparison.high, comparison.rounds) == (1.5, 1.5, 1.5, 100)
    assert (comparison.base_seconds, comparison.seconds) == (4.0, 6.0)


@pytest.mark.parametrize(("seconds", "expected"), [(1.3, "pass"), (1.31, "FAIL")])
def test_the_goal_may_be_reached_and_not_passed(seconds: float, expected: str) -> None:
    assert verdict(Comparison.of([1.0] * 9, [seconds] * 9), 1.3) == expected


def test_the_interval_holds_the_middle_of_the_ratios() -> None:
    comparison = Comparison.of([1.0] * 100, [float(number) for number in range(1, 101)])
    # Source: the binomial distribution; the 41st and the 60th of 100 hold the median with 94.3 %, these with 96.5 %.
    assert (comparison.low, comparison.high) == (40, 61)


async def test_the_sides_take_turns_at_going_first() -> None:
    calls: list[tuple[str, int]] = []

    def side(name: str) -> Side:
        async def measure(number: int) -> float:
            calls.append((name, number))
            return float(number)

        return Side(measure)

    seconds = await interleave([side("a"), side("b")], 3, first=4)
    assert calls == [("a", 4), ("b", 4), ("b", 5), ("a", 5), ("a", 6), ("b", 6)]
    assert seconds == [[4.0, 5.0, 6.0], [4.0, 5.0, 6.0]]
