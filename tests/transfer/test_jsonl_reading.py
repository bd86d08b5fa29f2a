"""Reading a JSON-lines file: each line is a memory, or a bad line that says why."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest

from memory_guild.errors import UnreadableFileError
from memory_guild.serializers import MemoryRecordCreate
from memory_guild.transfer.jsonl import BadLine, open_lines, read_records
from tests.transfer.lines import line, read

SECRET = "sesame-4711"
"""What no message may repeat."""


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
    (line(source_type=[SECRET]), "source_type: Value error, must be a str"),
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


def test_a_good_line() -> None:
    (record,) = read(line("text", metadata={"a": 1}))
    assert isinstance(record, MemoryRecordCreate)
    assert (record.content_text, record.metadata) == ("text", {"a": 1})


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason[:24] for _, reason in BAD])
def test_a_bad_line_says_why_without_its_content(bad: bytes, reason: str) -> None:
    good, found, good_too = read(line("before"), bad, line("after"))
    assert isinstance(good, MemoryRecordCreate)
    assert isinstance(good_too, MemoryRecordCreate)
    assert isinstance(found, BadLine)
    assert found.number == 2
    assert found.reason.startswith(reason)
    assert SECRET not in found.reason


def test_the_numbers_count_blank_lines() -> None:
    lines: list[bytes] = []
    expected = []
    for bad, _ in BAD:
        lines += [b"", line(), b" \t\r", bad]
        expected.append(len(lines))
    found = read(*lines)
    assert [entry.number for entry in found if isinstance(entry, BadLine)] == expected
    assert len(found) == 2 * len(BAD)


def test_an_unknown_key_cannot_write_to_the_terminal_or_flood_it() -> None:
    (found,) = read(json.dumps({"\x1b[31m\n" + "k" * 5000: 1, **json.loads(line())}).encode())
    assert isinstance(found, BadLine)
    assert len(found.reason) < 150
    assert found.reason.isprintable()
    assert found.reason.endswith("Extra inputs are not permitted")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\n"])
def test_how_lines_end(end: bytes) -> None:
    assert len(list(read_records(io.BytesIO(line("a") + (end.strip(b"\n") + b"\n") + line("b") + end)))) == 2


def test_a_byte_order_mark_at_the_start() -> None:
    first, second = read(b"\xef\xbb\xbf" + line(), b"\xef\xbb\xbf" + line())
    assert isinstance(first, MemoryRecordCreate)
    assert isinstance(second, BadLine)


@pytest.mark.parametrize("excess", [0, 1, 2, 1000, 2001, 5000])
def test_the_longest_line(excess: int) -> None:
    long = line("x" * 900)
    padded = long + b" " * (1000 - len(long) + excess)
    found = read(line(), padded, line(), b"{", line_max_bytes=1000)
    kinds = [type(entry) for entry in found]
    assert kinds[0] is kinds[2] is MemoryRecordCreate
    assert kinds[1] is (BadLine if excess else MemoryRecordCreate)
    assert isinstance(found[3], BadLine)
    assert found[3].number == 4


def test_a_long_line_at_the_end_of_the_file() -> None:
    assert read(line(), b"x" * 5000, line_max_bytes=1000) == [
        *read(line()),
        BadLine(2, "is longer than 1000 bytes"),
    ]


def test_the_longest_text_fits_however_it_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "3000000")
    escaped = line("").replace(b'"content_text": ""', b'"content_text": "' + b"\\u0041" * 3_000_000 + b'"')
    (record,) = read(escaped)
    assert isinstance(record, MemoryRecordCreate)
    assert record.content_text == "A" * 3_000_000


def test_a_long_line_is_not_held_in_memory(tmp_path: Path) -> None:
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


def test_reading_is_lazy() -> None:
    file = io.BytesIO(b"\n".join(line(str(number)) for number in range(100)))
    next(read_records(file))
    assert file.tell() == len(line("0")) + 1


# --- files


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableFileError, match="cannot be read"), open_lines(tmp_path / name):
        pytest.fail("opened")


def test_a_file_that_cannot_be_read_to_its_end() -> None:
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


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line())))
    with open_lines("-") as file:
        assert len(list(read_records(file))) == 1
