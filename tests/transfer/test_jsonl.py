from __future__ import annotations

import asyncio
import io
import json
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from memory_guild.errors import HashCollisionError, InvalidInputError, UnreadableFileError
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.serializers import MemoryRecordCreate
from memory_guild.transfer import jsonl
from memory_guild.transfer.jsonl import BadLine, ingest, open_lines, read_records

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SECRET = "sesame-4711"


def line(text: str = "text", **changed: Any) -> bytes:
    item = {"agent_id": "scribe", "tenant_id": "acme", "source_type": "document", "content_text": text} | changed
    return json.dumps({key: value for key, value in item.items() if value is not ...}).encode()


def read(*lines: bytes, line_max_bytes: int | None = None) -> list[jsonl.Line]:
    return list(read_records(io.BytesIO(b"\n".join(lines)), line_max_bytes=line_max_bytes))


BAD: list[tuple[bytes, str]] = [
    (SECRET.encode(), "Invalid JSON: expected value at line 1 column 1"),
    (b"{", "Invalid JSON: "),
    (line() + line(), "Invalid JSON: trailing characters"),
    (b'{"agent_id": "\xff"}', "Invalid JSON: invalid unicode"),
    (b"\xff\xfe\x00", "Invalid JSON: "),
    (b"[" * 100_000, "Invalid JSON: recursion limit exceeded"),
    (b"[]", "Input should be an object"),
    (b"null", "Input should be an object"),
    (b'"sesame-4711"', "Input should be an object"),
    (b"{}", "agent_id: Field required"),
    (line(tenant_id=...), "tenant_id: Field required"),
    (line(agent_id=""), "agent_id: "),
    (line(agent_id="a" * 256), "agent_id: "),
    (line(tenant_id=f"\x00{SECRET}"), "tenant_id: contains a NUL"),
    (line(source_type=SECRET), "source_type: Input should be 'conversation', "),
    (line(source_type=[SECRET]), "source_type: Input should be 'conversation', "),
    (line(content_text=None), "content_text: "),
    (line(content_text={"a": SECRET}), "content_text: "),
    (line(f"{SECRET}\x00"), "content_text: contains a NUL"),
    (line(f"{SECRET}\ud800"), "Invalid JSON: "),
    (line(SECRET * 100_000), "content_text: has 1100000 bytes"),
    (line(content_hash="0" * 32), "content_hash: is not the MD5 of content_text"),
    (line(metadata=[SECRET]), "metadata: "),
    (line(metadata={"a": {"b": float("inf")}}), "metadata.a.b: is NaN or infinite"),
    (line(metadata={"a": "\x00"}), "metadata.a: contains a NUL"),
    (line(surprise=SECRET), "surprise: Extra inputs are not permitted"),
    (line(memory_id="8c2f4f0e-0000-4000-8000-000000000000"), "memory_id: Extra inputs are not permitted"),
    (line(is_deleted=True), "is_deleted: Extra inputs are not permitted"),
]


class TestReadRecords:
    def test_a_good_line(self) -> None:
        (record,) = read(line("text", metadata={"a": 1}))
        assert isinstance(record, MemoryRecordCreate)
        assert (record.content_text, record.metadata) == ("text", {"a": 1})

    @pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason[:24] for _, reason in BAD])
    def test_a_bad_line_says_why_without_its_content(self, bad: bytes, reason: str) -> None:
        good, found, good_too = read(line("before"), bad, line("after"))
        assert isinstance(good, MemoryRecordCreate)
        assert isinstance(good_too, MemoryRecordCreate)
        assert isinstance(found, BadLine)
        assert found.number == 2
        assert found.reason.startswith(reason)
        assert SECRET not in found.reason

    def test_the_numbers_count_blank_lines(self) -> None:
        lines: list[bytes] = []
        expected = []
        for bad, _ in BAD:
            lines += [b"", line(), b" \t\r", bad]
            expected.append(len(lines))
        found = read(*lines)
        assert [entry.number for entry in found if isinstance(entry, BadLine)] == expected
        assert len(found) == 2 * len(BAD)

    def test_an_unknown_key_cannot_write_to_the_terminal_or_flood_it(self) -> None:
        (found,) = read(json.dumps({"\x1b[31m\n" + "k" * 5000: 1, **json.loads(line())}).encode())
        assert isinstance(found, BadLine)
        assert len(found.reason) < 150
        assert found.reason.isprintable()
        assert found.reason.endswith("Extra inputs are not permitted")

    @pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\n"])
    def test_how_lines_end(self, end: bytes) -> None:
        assert len(list(read_records(io.BytesIO(line("a") + (end.strip(b"\n") + b"\n") + line("b") + end)))) == 2

    def test_a_byte_order_mark_at_the_start(self) -> None:
        first, second = read(b"\xef\xbb\xbf" + line(), b"\xef\xbb\xbf" + line())
        assert isinstance(first, MemoryRecordCreate)
        assert isinstance(second, BadLine)

    @pytest.mark.parametrize("excess", [0, 1, 2, 1000, 2001, 5000])
    def test_the_longest_line(self, excess: int) -> None:
        long = line("x" * 900)
        padded = long + b" " * (1000 - len(long) + excess)
        found = read(line(), padded, line(), b"{", line_max_bytes=1000)
        kinds = [type(entry) for entry in found]
        assert kinds[0] is kinds[2] is MemoryRecordCreate
        assert kinds[1] is (BadLine if excess else MemoryRecordCreate)
        assert isinstance(found[3], BadLine)
        assert found[3].number == 4

    def test_a_long_line_at_the_end_of_the_file(self) -> None:
        assert read(line(), b"x" * 5000, line_max_bytes=1000) == [
            *read(line()),
            BadLine(2, "is longer than 1000 bytes"),
        ]

    def test_the_longest_text_fits_however_it_is_escaped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "3000000")
        escaped = line("").replace(b'"content_text": ""', b'"content_text": "' + b"\\u0041" * 3_000_000 + b'"')
        (record,) = read(escaped)
        assert isinstance(record, MemoryRecordCreate)
        assert record.content_text == "A" * 3_000_000

    def test_a_long_line_is_not_held_in_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "long.jsonl"
        with path.open("wb") as file:
            for _ in range(64):
                file.write(b"x" * 1_000_000)
            file.write(b"\n" + line())
        tracemalloc.start()
        with open_lines(path) as file:
            bad, good = read_records(file, line_max_bytes=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(bad, BadLine)
        assert isinstance(good, MemoryRecordCreate)
        assert peak < 8_000_000

    def test_reading_is_lazy(self) -> None:
        file = io.BytesIO(b"\n".join(line(str(number)) for number in range(100)))
        next(read_records(file))
        assert file.tell() == len(line("0")) + 1


class TestOpenLines:
    @pytest.mark.parametrize("name", ["missing.jsonl", "."])
    def test_a_file_that_cannot_be_opened(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(UnreadableFileError, match="cannot be read"), open_lines(tmp_path / name):
            pytest.fail("opened")

    def test_a_file_that_cannot_be_read_to_its_end(self) -> None:
        class Broken(io.BytesIO):
            name = "broken.jsonl"

            def readline(self, size: int | None = -1, /) -> bytes:
                if self.tell():
                    raise OSError(5, "Input/output error")
                return super().readline(size)

        lines = read_records(Broken(line() + b"\n" + line()))
        assert isinstance(next(lines), MemoryRecordCreate)
        with pytest.raises(UnreadableFileError, match=r"broken.jsonl cannot be read: Input/output error"):
            next(lines)

    def test_a_dash_is_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line())))
        with open_lines("-") as file:
            assert len(list(read_records(file))) == 1


class TestIngest:
    async def test_good_lines_are_kept_and_everything_is_counted(self, tables: str) -> None:
        lines = [line("one"), b"", b"{", line("two"), line("one"), b"[]", line("three"), line("two", agent_id="b")]
        report = await ingest(read(*lines), batch_size=2)
        assert (report.read, report.stored, report.duplicates, report.bad_count) == (7, 4, 1, 2)
        assert [bad.number for bad in report.bad] == [3, 6]
        assert report.seconds > 0
        again = await ingest(read(*lines))
        assert (again.read, again.stored, again.duplicates, again.bad_count) == (7, 0, 5, 2)
        assert await MemoryRecord.all().count() == 4

    @pytest.mark.parametrize("batch_size", [1, 7, 50, 51])
    async def test_progress_adds_up(self, tables: str, batch_size: int) -> None:
        counts: list[int] = []
        await ingest(read(*[line(str(n)) for n in range(50)], b"{"), batch_size=batch_size, progress=counts.append)
        assert sum(counts) == 51
        assert max(counts) <= batch_size

    async def test_nothing(self, tables: str) -> None:
        report = await ingest([])
        assert (report.read, report.stored, report.bad) == (0, 0, ())

    async def test_bad_lines_are_all_counted_and_some_listed(self, tables: str) -> None:
        report = await ingest(read(*[b"{"] * 1000), batch_size=30)
        assert report.bad_count == 1000
        assert [bad.number for bad in report.bad] == list(range(1, jsonl.LISTED_BAD_LINES + 1))

    async def test_a_batch_size_of_none(self) -> None:
        with pytest.raises(InvalidInputError) as caught:
            await ingest([], batch_size=0)
        assert caught.value.field == "batch_size"

    async def test_large_texts_make_small_batches(self, tables: str) -> None:
        counts: list[int] = []
        lines = (MemoryRecordCreate.model_validate_json(line(f"{n}" + "x" * 900_000)) for n in range(12))
        await ingest(lines, progress=counts.append)
        assert counts == [5, 5, 2]

    async def test_the_event_loop_is_free_while_lines_are_read(self, tables: str) -> None:
        def slow() -> Iterator[jsonl.Line]:
            time.sleep(0.3)
            yield BadLine(1, "slow")

        ticks = 0
        task = asyncio.create_task(ingest(slow()))
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 5

    async def test_a_collision_keeps_the_batches_before(self, tables: str) -> None:
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

    async def test_a_forgotten_memory_stays_forgotten(self, tables: str, connection: Connection) -> None:
        await ingest(read(line("one"), line("two")))
        await connection.execute("UPDATE memory_records SET is_deleted = true, deleted_at = now()")
        before = await connection.fetch("SELECT * FROM memory_records ORDER BY memory_id")
        report = await ingest(read(line("one"), line("two"), line("three")))
        assert (report.stored, report.duplicates) == (1, 2)
        after = "SELECT * FROM memory_records WHERE content_text <> 'three' ORDER BY memory_id"
        assert await connection.fetch(after) == before

    async def test_each_tenant_is_stored_in_a_scope_of_its_own(self, tables: str, connection: Connection) -> None:
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

    async def test_the_lines_keep_their_order(self, tables: str, connection: Connection) -> None:
        texts = [f"text {number}" for number in range(50)]
        await ingest(read(*[line(text) for text in texts]), batch_size=20)
        rows = await connection.fetch("SELECT content_text FROM memory_records ORDER BY created_at")
        assert [row["content_text"] for row in rows] == texts

    async def test_memory_does_not_grow_with_the_file(self, tables: str, tmp_path: Path) -> None:
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
