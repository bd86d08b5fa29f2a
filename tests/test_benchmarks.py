"""The benchmarks run and fill their tables; how fast anything is, is no matter here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from uuid import UUID
from xml.etree import ElementTree

import asyncpg
import pytest

from benchmarks.__main__ import BENCHMARKS, PEERS, Options
from benchmarks.contexts import within
from benchmarks.interleave import Comparison, Side, interleave
from benchmarks.peers import Peer
from benchmarks.report import verdict
from benchmarks.search.__main__ import Options as SearchOptions
from benchmarks.server import new_database
from benchmarks.tenancy.guards import GUARDS
from benchmarks.tenancy.querysets import QUERYSETS
from benchmarks.tenancy.statements import CARELESS_LIST, CHECKED_EDGES, DENSE_HOPS, LATEST_EDGES, STATEMENTS
from benchmarks.verbs.bulk import Batch
from benchmarks.verbs.memories import SMALLEST_LOAD, Known, Tenant, load
from benchmarks.verbs.plot import WORKS, Bars, bars_of, rows_of
from benchmarks.verbs.sides import opened, transactions
from benchmarks.verbs.timing import OURS, Goal, Timing

ROOT = Path(__file__).parent.parent
TENANTS = ("tiny", "middle", "giant")
RATIO = re.compile(r"(\d+\.\d\d) \((\d+\.\d\d) to (\d+\.\d\d)\)")


def run_quickly(module: str, server_url: str, *arguments: str) -> str:
    """What a quick run prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_GUILD_")}
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-m", module, "--quick", "--url", server_url, *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def tables(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """The tenancy benchmark: the rows under each title."""
    output = tmp_path_factory.mktemp("benchmark") / "tenancy.md"
    printed = run_quickly("benchmarks.tenancy", server_url, "--output", str(output))
    assert output.read_text(encoding="utf-8") == printed
    tables = {}
    for section in printed.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        tables[title.partition(":")[0].partition(",")[0]] = read_rows(text)
    return tables


def read_rows(text: str) -> list[dict[str, str]]:
    """The rows of a text's only table."""
    header, _, *rows = (
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")
    )
    return [dict(zip(header, row, strict=True)) for row in rows]


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


def test_sealed_scopes_are_measured_beside_others(tables: dict[str, list[dict[str, str]]]) -> None:
    measured = tables["Sealed scopes"]
    assert measured[0]["what"] == "get, in an open scope"
    assert {row["goal"] for row in measured} == {"1.06", ""}
    assert all(RATIO.fullmatch(row["ratio (95 %)"]) for row in measured)


def test_every_guard_is_measured(tables: dict[str, list[dict[str, str]]]) -> None:
    measured = [(row["guard"], row["edges in one statement"]) for row in tables["Guards"]]
    assert measured == [(guard.name, edges) for edges in ("500", "1") for guard in GUARDS]


def test_the_rows_beside_the_goals_are_there(tables: dict[str, list[dict[str, str]]]) -> None:
    works = (CARELESS_LIST, CHECKED_EDGES, DENSE_HOPS, LATEST_EDGES)
    assert [row["what"] for row in tables["Beside the goals"]] == [work.name for work in works]


def test_every_ratio_lies_in_its_interval(tables: dict[str, list[dict[str, str]]]) -> None:
    rows = [row for table in tables.values() for row in table]
    assert len(rows) == 57
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


def test_a_picture_shows_the_ratios_of_the_table() -> None:
    # The rounds' ratios are 5, 1 and 2, whose median is 2; the sides' medians are 2.5 apart.
    seconds = {OURS: [1.0, 9.0, 2.0], "Tortoise": [5.0, 9.0, 4.0], "raw asyncpg": [0.5, 4.5, 1.0]}
    rows = Timing("get, in an open scope", seconds, {"raw asyncpg": Goal("time", 3)}).rows()
    assert bars_of(rows) == [Bars("get", {OURS: 1, "Tortoise": 2, "raw asyncpg": 0.5})]


def test_published_picture_shows_the_published_table() -> None:
    works = bars_of(rows_of((ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")))
    assert [work.title for work in works] == list(WORKS)
    picture = ElementTree.parse(ROOT / "docs" / "benchmarks.svg")
    shown = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    for work in works:
        assert work.title in shown
        # The bars are drawn from the bottom up.
        labels = [f"{multiple:.2f}" for multiple in reversed(work.multiples.values())]
        assert any(shown[start : start + len(labels)] == labels for start in range(len(shown))), work


@pytest.fixture(scope="module")
def printed(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the benchmark of the verbs prints."""
    folder = tmp_path_factory.mktemp("benchmark")
    output, plot = folder / "verbs.md", folder / "verbs.svg"
    printed = run_quickly("benchmarks", server_url, "--output", str(output), "--plot", str(plot))
    assert output.read_text(encoding="utf-8") == printed
    picture = ElementTree.parse(plot).getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    return printed


def test_every_work_is_measured_beside_every_peer(printed: str) -> None:
    found: dict[str, dict[str, str]] = {}
    for row in read_rows(printed):
        if row["work"]:
            goals = found[row["work"]] = {}
        goals[row["beside"]] = row["goal"]
    orms = ["Tortoise", "SQLAlchemy", "Django"]
    bulk = dict.fromkeys(["COPY by a superuser", "COPY of the new ones alone"], "speed at least 0.75") | dict.fromkeys(
        ["SQLAlchemy", "Django", "Tortoise", "LangGraph"], "speed at least 1"
    )
    statement = {"raw asyncpg": "time at most 1.15"}
    upsert = {"an upsert by hand": "time at most 0.6"}
    walk = (
        {"raw asyncpg": "time at most 1.15"}
        | dict.fromkeys(orms, "speed at least 2")
        | dict.fromkeys(["raw asyncpg, ids only", "raw asyncpg, then models"], "")
    )
    twice = dict.fromkeys(["SQLAlchemy", "Django"], "speed at least 2")
    assert found == {
        "get, in an open scope": {"raw asyncpg": "time at most 1.6"} | dict.fromkeys(orms, ""),
        "scope + one get": dict.fromkeys(["raw asyncpg", *orms, "LangGraph"], "") | twice,
        "newest 50 with embeddings and edges": {"raw asyncpg": "time at most 1.5"} | dict.fromkeys(orms, ""),
        "traverse, 3 hops, typical, outgoing": walk,
        "traverse, its rows alone, typical, outgoing": statement,
        "traverse, 3 hops, hub, outgoing": walk,
        "traverse, its rows alone, hub, outgoing": statement,
        "traverse, 3 hops, typical, both": walk,
        "traverse, its rows alone, typical, both": statement,
        "traverse, 3 hops, hub, both": walk,
        "traverse, its rows alone, hub, both": statement,
        "remember, a fresh text": {"the raw statement": "time at most 1.25"},
        "remember, a duplicate": upsert | {"reading it by its key": ""},
        "scope + remember, a duplicate": upsert,
        "remember_many, 400 records": bulk,
        "remember_many, 1,000 records": bulk,
        "32 tasks, 80 % reads, 20 % writes": {
            "raw asyncpg": "speed at least 0.9",
            "raw asyncpg, COMMIT and reset in one": "speed at least 0.9",
            "LangGraph": "speed at least 2",
        },
        "20,000 records streamed, peak memory": {"": "under 300 MB"},
        "20,000 records streamed, throughput of the last tenth": {"": "at least 0.6"},
        "20,000 records streamed, in all": {"": ""},
        "newest 50, all old, 40,000 rows, the specification's indexes": {"": "at most 2,000 pages"},
        "newest 50, all old, 40,000 rows, the optional indexes": {"": "at most 60 pages"},
    }


def test_every_row_has_its_figures(printed: str) -> None:
    for row in read_rows(printed):
        assert row["verdict"] in ({"pass", "FAIL"} if row["goal"] else {""}), row
        if not row["beside"]:
            assert re.search(r"\d", row["ours"]), row
            continue
        kind, _, figures = row["ratio (95 %)"].partition(" ")
        found = RATIO.fullmatch(figures)
        assert found is not None, row
        assert kind == row["goal"].partition(" ")[0] or (kind, row["goal"]) == ("speed", "")
        ratio, low, high = map(float, found.groups())
        assert 0 < low <= ratio <= high, row


def test_the_versions_are_printed(printed: str) -> None:
    for name, package in PEERS.items():
        assert f"{name} {version(package)}" in printed
    assert re.search(r"PostgreSQL 1[5-9]\.\d+ \(fsync \w+, shared_buffers \w+\), Python 3", printed)


def test_some_of_the_benchmarks_run_in_their_own_order() -> None:
    options = Options.parse(["--only", "stream", "--only", "get"])
    assert list(options.names) == ["get", "stream"]
    assert list(Options.parse([]).names) == list(BENCHMARKS)
    with pytest.raises(SystemExit):
        Options.parse(["--only", "nothing"])


@pytest.mark.parametrize(
    ("kind", "ours", "expected"),
    [("time", 1.5, "pass"), ("time", 1.51, "FAIL"), ("speed", 0.5, "pass"), ("speed", 0.51, "FAIL")],
)
def test_a_goal_is_a_limit_of_time_or_of_speed(kind: Literal["time", "speed"], ours: float, expected: str) -> None:
    goal = Goal(kind, 1.5 if kind == "time" else 2)
    (row,) = Timing("work", {OURS: [ours] * 9, "theirs": [1.0] * 9}, {"theirs": goal}).rows()
    assert row[-1] == expected


def test_a_tenth_of_a_batch_is_stored_already_or_twice_in_it() -> None:
    stored = [Known(UUID(int=number), f"agent-{number % 3}", f"Known {number}", "") for number in range(50)]
    batch = Batch.draw(7, count=1000, tenant_id="tenant", stored=stored)
    texts = [item["content_text"] for item in batch.items]
    new = {item["content_text"] for item in batch.new}
    before = {memory.content_text for memory in stored}
    assert (len(texts), len(new), len(new | before)) == (1000, 900, 950)
    assert len([text for text in texts if text in before]) == 50
    assert set(texts) - before == new
    as_many = {item["content_text"] for item in batch.as_many}
    assert (len(batch.as_many), len(as_many), as_many & before) == (1000, 1000, set())
    assert batch == Batch.draw(7, count=1000, tenant_id="tenant", stored=stored)


async def test_all_sides_read_the_same(server_url: str) -> None:
    async with new_database(server_url) as url:
        memories = await load(url, SMALLEST_LOAD)
        async with opened(url) as peers:
            for tenant, start in (
                (memories.typical, memories.typical.memory_ids[0]),
                (memories.hub_tenant, memories.hub),
            ):
                async with transactions(peers.all, tenant.tenant_id):
                    found = [await answers(peer, tenant, start) for peer in peers.all]
                    ids_only = await within(
                        peers.by_hand.context, peers.by_hand.hop_ids(tenant.tenant_id, start, "both", 10_000)
                    )
                    rows = await within(
                        peers.ours.context, peers.ours.hop_rows(tenant.tenant_id, start, "both", 10_000)
                    )
                assert all(answer == found[0] for answer in found)
                newest, along, either_way = found[0]
                assert len(newest) == 50
                assert 0 < len(along) < len(either_way)
                assert {row["memory_id"] for row in ids_only} == either_way
                assert {row["memory_id"] for row in rows} - {start} == either_way


async def answers(peer: Peer, tenant: Tenant, start: UUID) -> tuple[list[UUID], set[UUID], set[UUID]]:
    """The ids that a peer reads: the newest, and those up to three hops away, along the edges and either way."""

    async def read() -> tuple[list[UUID], set[UUID], set[UUID]]:
        newest = [id_of(memory) for memory in await peer.newest(tenant.tenant_id)]
        along = await peer.hops(tenant.tenant_id, start, "outgoing", 10_000)
        either_way = await peer.hops(tenant.tenant_id, start, "both", 10_000)
        assert id_of(await peer.get(tenant.tenant_id, start)) == start
        return newest, set(map(id_of, along)), set(map(id_of, either_way))

    return await within(peer.context, read())


def id_of(found: Any) -> UUID:
    if isinstance(found, dict | asyncpg.Record):
        return UUID(int=found["memory_id"].int)
    return UUID(int=getattr(found, "memory", found).memory_id.int)


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


def test_what_the_search_costs_is_measured(server_url: str, has_vectors: bool) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    printed = run_quickly("benchmarks.search", server_url)
    works = [row["work"] for row in read_rows(printed) if row["work"]]
    exact = [f"vectors as the exact answer, {count} memories" for count in (313, 146, 53, 24, 11)]
    assert works == [
        *(f"recall, {count} memories" for count in (313, 146, 53, 24, 11)),
        "index of 313 vectors",
        "the most alike 100 of 313, with the index",
        "recall, 313 memories, with the index",
        *exact,
        "storing a memory, batches of 1,000, without edges",
        "storing a memory, batches of 1,000, each following another",
        "storing a memory, remember and relate, one by one",
        "scope + remember, a fresh text",
        "remember, a fresh text, in an open scope",
        "remember_many, 200 records",
    ]
    assert {row["verdict"] for row in read_rows(printed) if row["work"] in exact} == {"pass"}


def test_what_policies_cost_is_measured(server_url: str) -> None:
    printed = run_quickly("benchmarks.policies", server_url)
    scopes = ("a scope of its own", "20 in one scope")
    assert [row["work"] for row in read_rows(printed)] == [
        *(f"{verb}, {scope}" for verb in ("remember", "get", "newest 50") for scope in scopes),
        *(f"{kind} decisions, {count} at a time" for kind in ("known", "new") for count in ("one", "100")),
    ]


def test_what_groups_cost_is_measured(server_url: str) -> None:
    printed = run_quickly("benchmarks.groups", server_url)
    assert [row["work"] for row in read_rows(printed) if row["work"]] == [
        "a scope alone",
        "get",
        "newest 50",
        "remember",
    ]
    assert len(read_rows(printed)) == 12


def test_parts_of_what_the_search_costs_run_in_their_own_order() -> None:
    options = SearchOptions.parse(["--only", "cpu", "--only", "latency", "--memories", "5000"])
    assert (list(options.parts), options.memories) == (["latency", "cpu"], 5_000)
