"""Storing the lines of a file: counted, in batches, each tenant's in a scope of its own."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from memory_guild.errors import HashCollisionError, InvalidInputError
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.serializers import MemoryRecordCreate
from memory_guild.transfer import jsonl
from memory_guild.transfer.jsonl import BadLine, ingest, open_lines, read_records
from tests.transfer.lines import line, read

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def test_good_lines_are_kept_and_everything_is_counted(tables: str) -> None:
    lines = [line("one"), b"", b"{", line("two"), line("one"), b"[]", line("three"), line("two", agent_id="b")]
    report = await ingest(read(*lines), batch_size=2)
    assert (report.read, report.stored, report.duplicates, report.bad_count) == (7, 4, 1, 2)
    assert [bad.number for bad in report.bad] == [3, 6]
    assert report.seconds > 0
    again = await ingest(read(*lines))
    assert (again.read, again.stored, again.duplicates, again.bad_count) == (7, 0, 5, 2)
    assert await MemoryRecord.all().count() == 4


@pytest.mark.parametrize("batch_size", [1, 7, 50, 51])
async def test_progress_adds_up(tables: str, batch_size: int) -> None:
    counts: list[int] = []
    await ingest(read(*[line(str(n)) for n in range(50)], b"{"), batch_size=batch_size, progress=counts.append)
    assert sum(counts) == 51
    assert max(counts) <= batch_size


async def test_nothing(tables: str) -> None:
    report = await ingest([])
    assert (report.read, report.stored, report.bad) == (0, 0, ())


async def test_bad_lines_are_all_counted_and_some_listed(tables: str) -> None:
    report = await ingest(read(*[b"{"] * 1000), batch_size=30)
    assert report.bad_count == 1000
    assert [bad.number for bad in report.bad] == list(range(1, jsonl.LISTED_BAD_LINES + 1))


async def test_a_batch_size_of_none() -> None:
    with pytest.raises(InvalidInputError) as caught:
        await ingest([], batch_size=0)
    assert caught.value.field == "batch_size"


async def test_large_texts_make_small_batches(tables: str) -> None:
    counts: list[int] = []
    lines = (MemoryRecordCreate.model_validate_json(line(f"{n}" + "x" * 900_000)) for n in range(12))
    await ingest(lines, progress=counts.append)
    assert counts == [5, 5, 2]


async def test_the_event_loop_is_free_while_lines_are_read(tables: str) -> None:
    def slow() -> Iterator[jsonl.Line]:
        time.sleep(0.3)
        yield BadLine(1, "slow")

    ticks = 0
    task = asyncio.create_task(ingest(slow()))
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5


async def test_a_collision_keeps_the_batches_before(tables: str) -> None:
    await MemoryRecord.create(
        agent_id="scribe",
        tenant_id="acme",
        source_type="document",
        content_text="another",
        content_hash=hash_content("3"),
    )
    with pytest.raises(HashCollisionError):
        await ingest(read(*[line(str(number)) for number in range(6)]), batch_size=2)
    assert {record.content_text for record in await MemoryRecord.all()} == {"another", "0", "1"}


async def test_a_forgotten_memory_stays_forgotten(tables: str, connection: Connection) -> None:
    await ingest(read(line("one"), line("two")))
    await connection.execute("UPDATE memory_records SET is_deleted = true, deleted_at = now()")
    before = await connection.fetch("SELECT * FROM memory_records ORDER BY memory_id")
    report = await ingest(read(line("one"), line("two"), line("three")))
    assert (report.stored, report.duplicates) == (1, 2)
    after = "SELECT * FROM memory_records WHERE content_text <> 'three' ORDER BY memory_id"
    assert await connection.fetch(after) == before


async def test_each_tenant_is_stored_in_a_scope_of_its_own(tables: str, connection: Connection) -> None:
    """What fails of one tenant leaves the other's whole, and nothing half of its own."""
    await MemoryRecord.create(
        agent_id="scribe",
        tenant_id="b",
        source_type="document",
        content_text="another",
        content_hash=hash_content("bad"),
    )
    lines = [line("one", tenant_id="b"), line("two", tenant_id="a"), line("bad", tenant_id="b")]
    with pytest.raises(HashCollisionError):
        await ingest(read(*lines, line("three", tenant_id="c")))
    rows = await connection.fetch("SELECT tenant_id, content_text FROM memory_records ORDER BY tenant_id")
    assert [tuple(row) for row in rows] == [("a", "two"), ("b", "another")]


async def test_the_lines_keep_their_order(tables: str, connection: Connection) -> None:
    texts = [f"text {number}" for number in range(50)]
    await ingest(read(*[line(text) for text in texts]), batch_size=20)
    rows = await connection.fetch("SELECT content_text FROM memory_records ORDER BY created_at")
    assert [row["content_text"] for row in rows] == texts


@pytest.mark.long
async def test_memory_does_not_grow_with_the_file(tables: str, tmp_path: Path) -> None:
    """A tenth of the lines is new: storing is not what is measured."""
    path = tmp_path / "many.jsonl"
    text = "some text of a usual length " * 10
    with path.open("wb") as file:
        for number in range(101_000):
            file.write(line(f"{number % 10_000} {text}") + b"\n")
    blocks: list[int] = []
    with open_lines(path) as file:
        report = await ingest(read_records(file), progress=lambda _: blocks.append(sys.getallocatedblocks()))
    assert (report.read, report.stored, report.duplicates) == (101_000, 10_000, 91_000)
    assert len(blocks) == 101
    # A record takes about twenty blocks: keeping one of every line would be two million.
    assert max(blocks) - blocks[5] < 100_000


async def test_a_report_is_the_sequence_of_its_bad_lines(tables: str) -> None:
    report = await ingest(read(line("one"), b"{", line("two"), b"[]"))
    assert [bad.number for bad in report] == [2, 4]
    assert (len(report), report[0], report[1:], bool(report)) == (2, report.bad[0], report.bad[1:], True)
    assert not await ingest(read(line("three")))
