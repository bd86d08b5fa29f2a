"""Storing the memories of a JSON-lines file: each line is a JSON object in the shape of ``MemoryRecordCreate``.

The file is read and stored a batch at a time, so it can be of any size. A bad line is reported with its number; the
other lines are stored.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias, overload

from pydantic import ValidationError

from memory_guild.errors import InvalidInputError, UnreadableFileError
from memory_guild.memories.storing import remember_many
from memory_guild.serializers import MemoryRecordCreate, invalid_input
from memory_guild.settings import content_max_bytes
from memory_guild.tenancy import tenant_scope

DEFAULT_BATCH_SIZE = 1000
BATCH_MAX_CHARACTERS = 4_000_000
"""A batch ends with the line that reaches this much text, however few lines that are."""

LISTED_BAD_LINES = 100
"""The most bad lines that a report lists; it counts all of them."""

_LONGEST_ESCAPE_BYTES = 6  # JSON may write a one-byte character as \u0041
_METADATA_MAX_BYTES = 2_000_000
_FIELD_MAX_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a memory.

    Attributes:
        number: Its number in the file, from 1 on; blank lines count.
        reason: Why; it names fields, but never quotes their values.
    """

    number: int
    reason: str


Line: TypeAlias = MemoryRecordCreate | BadLine


@dataclass(frozen=True, slots=True)
class IngestReport(Sequence[BadLine]):
    """The result of storing a file. It is the sequence of the first bad lines, so it is false if all lines are good.

    ``read`` is the sum of ``stored``, ``duplicates`` and ``bad_count``.

    Attributes:
        read: Lines that are not blank.
        stored: New memories.
        duplicates: Memories that existed before, or occurred earlier in the file.
        bad_count: Bad lines.
        bad: The first bad lines, at most ``LISTED_BAD_LINES``.
        seconds: How long it took.
    """

    read: int
    stored: int
    duplicates: int
    bad_count: int
    bad: tuple[BadLine, ...]
    seconds: float

    def __len__(self) -> int:
        return len(self.bad)

    @overload
    def __getitem__(self, index: int) -> BadLine: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[BadLine, ...]: ...

    def __getitem__(self, index: int | slice) -> BadLine | tuple[BadLine, ...]:
        """A bad line, or several."""
        return self.bad[index]


@contextmanager
def open_lines(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file, or standard input for ``-``, to read bytes from.

    Raises:
        UnreadableFileError: The file cannot be opened.
    """
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except OSError as error:
            raise UnreadableFileError(str(path), error.strerror or type(error).__name__) from None
        yield file


def read_records(file: BinaryIO, *, line_max_bytes: int | None = None) -> Iterator[Line]:
    """Read the memories and bad lines of a JSON-lines file lazily, in the order of the file.

    Args:
        file: The file; UTF-8, with or without a byte order mark.
        line_max_bytes: A longer line is a bad line; it is skipped without being held in memory. The default fits the
            longest permitted text with every character escaped, and 2 MB of metadata.

    Raises:
        UnreadableFileError: Reading failed; the lines before it were yielded.
    """
    limit = line_max_bytes or _LONGEST_ESCAPE_BYTES * content_max_bytes() + _METADATA_MAX_BYTES
    for number, line in enumerate(_read_lines(file, limit), start=1):
        if line is None:
            yield BadLine(number, f"is longer than {limit} bytes")
        elif text := (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip():
            yield _parse(number, text)


async def ingest(
    lines: Iterable[Line], *, batch_size: int = DEFAULT_BATCH_SIZE, progress: Callable[[int], None] | None = None
) -> IngestReport:
    """Store what :func:`read_records` yields, a batch at a time, with one transaction for each tenant of a batch.

    Args:
        lines: Memories and bad lines; they are read in a thread, a batch at a time.
        batch_size: How many lines make a batch.
        progress: Called after each batch with the number of its lines.

    Raises:
        HashCollisionError: A text has the hash of a different one. Earlier batches are stored; of this batch, the
            memories of other tenants may be.
        TransactionConflictError: Every attempt met a deadlock or a conflict. What is stored is the same as above.
        InvalidInputError: ``batch_size`` is less than 1.
    """
    if batch_size < 1:
        raise InvalidInputError("batch_size", "must be at least 1")
    started = time.perf_counter()
    rest = iter(lines)
    read = stored = duplicates = bad_count = 0
    listed: list[BadLine] = []
    while batch := await asyncio.to_thread(_take, rest, batch_size):
        bad = [line for line in batch if isinstance(line, BadLine)]
        created = await _store([line for line in batch if not isinstance(line, BadLine)])
        read, stored = read + len(batch), stored + created
        duplicates += len(batch) - len(bad) - created
        bad_count += len(bad)
        listed += bad[: LISTED_BAD_LINES - len(listed)]
        if progress is not None:
            progress(len(batch))
    return IngestReport(read, stored, duplicates, bad_count, tuple(listed), time.perf_counter() - started)


async def _store(records: list[MemoryRecordCreate]) -> int:
    """Store the records, one scope for each tenant; how many are new. Forgotten memories stay forgotten."""
    of_tenants: dict[str, list[MemoryRecordCreate]] = {}
    for record in records:
        of_tenants.setdefault(record.tenant_id, []).append(record)
    created = 0
    for tenant_id, its_records in sorted(of_tenants.items()):
        async with tenant_scope(tenant_id):
            created += (await remember_many(its_records, on_forgotten="keep")).created
    return created


def _take(lines: Iterator[Line], batch_size: int) -> list[Line]:
    batch: list[Line] = []
    characters = 0
    for line in lines:
        batch.append(line)
        characters += 0 if isinstance(line, BadLine) else len(line.content_text)
        if len(batch) >= batch_size or characters >= BATCH_MAX_CHARACTERS:
            break
    return batch


def _read_lines(file: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """The lines; None for a line over the limit."""
    try:
        while line := file.readline(limit + 1):
            too_long = len(line) > limit and not line.endswith(b"\n")
            piece = line
            while too_long and piece and not piece.endswith(b"\n"):
                piece = file.readline(limit + 1)
            yield None if too_long else line
    except OSError as error:
        raise UnreadableFileError(str(file.name), error.strerror or type(error).__name__) from None


def _parse(number: int, text: bytes) -> Line:
    try:
        record: MemoryRecordCreate = MemoryRecordCreate.model_validate_json(text)
    except ValidationError as error:
        first = invalid_input(error)
        return BadLine(number, f"{_printable(first.field)}: {first.reason}" if first.field else first.reason)
    return record


def _printable(field: str) -> str:
    # An unknown key may hold anything, at any length.
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in field)
    return text if len(text) <= _FIELD_MAX_CHARACTERS else text[: _FIELD_MAX_CHARACTERS - 1] + "…"
