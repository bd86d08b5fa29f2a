"""Storing the memories of a JSON-lines file: each line is a JSON object in the shape of ``MemoryRecordCreate``.

The file is read and stored a batch at a time, so it can be of any size; it may be compressed. A bad line is reported
with its number and all that is wrong with it; the other lines are stored.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, overload

from pydantic import ValidationError, create_model

from memory_guild.errors import AccessDeniedError, ContentRefusedError, InvalidInputError, UnreadableFileError
from memory_guild.memories.merging import OnExisting
from memory_guild.memories.storing import remember_many
from memory_guild.serializers import MemoryRecordCreate, invalid_inputs
from memory_guild.settings import content_max_bytes, metadata_max_bytes
from memory_guild.tenancy import tenant_scope
from memory_guild.transfer.encodings import read_lines
from memory_guild.values.checks import check_name

DEFAULT_BATCH_SIZE = 1000
BATCH_MAX_CHARACTERS = 4_000_000
"""A batch ends with the line that reaches this much text, however few lines that are."""

LISTED_BAD_LINES = 100
"""The most bad lines that a report lists; it counts all of them."""

_LONGEST_ESCAPE_BYTES = 6  # JSON may write a one-byte character as \u0041
_OTHER_FIELDS_MAX_BYTES = 20_000
_FIELD_MAX_CHARACTERS = 80
_LISTED_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a memory.

    Attributes:
        number: Its number in the file, from 1 on; blank lines count.
        reason: All that is wrong, in one text, at most ten problems; it names fields, but never quotes their values.
    """

    number: int
    reason: str


Line: TypeAlias = MemoryRecordCreate | BadLine


@dataclass(slots=True)
class IngestReport(Sequence[BadLine]):
    """The result of storing a file. It is the sequence of the first bad lines, so it is false if all lines are good.

    ``read`` is the sum of ``stored``, ``duplicates``, ``bad_count`` and the numbers in ``refused``.

    It is right at any time: if :func:`ingest` fails or is cancelled, the report passed to it says what is stored.

    Attributes:
        read: Lines that are not blank.
        stored: New memories.
        duplicates: Memories that existed before, or occurred earlier in the file.
        bad_count: Bad lines.
        bad: The first bad lines, at most ``LISTED_BAD_LINES``.
        refused: How many memories the screen or the access policies refused, for each reason.
        seconds: How long it took.
    """

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    bad_count: int = 0
    bad: tuple[BadLine, ...] = ()
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

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


def read_records(
    file: BinaryIO, *, tenant_id: str | None = None, agent_id: str | None = None, line_max_bytes: int | None = None
) -> Iterator[Line]:
    """Read the memories and bad lines of a JSON-lines file lazily, in the order of the file.

    Args:
        file: The file: UTF-8, UTF-16 or UTF-32, also compressed with gzip, bzip2 or xz.
        tenant_id: The tenant of all lines; a line that names another one is a bad line. By default each line names its
            own.
        agent_id: The agent of the lines that name none.
        line_max_bytes: A longer line is a bad line; it is skipped without being held in memory. The default fits the
            longest permitted text and metadata with every character escaped.

    Raises:
        InvalidInputError: ``tenant_id`` or ``agent_id`` is none.
        UnreadableFileError: Reading failed; the lines before it were yielded.
    """
    given = {"tenant_id": tenant_id, "agent_id": agent_id}
    model = _line_model({name: check_name(name, value) for name, value in given.items() if value is not None})
    longest = content_max_bytes() + metadata_max_bytes()
    limit = line_max_bytes or _LONGEST_ESCAPE_BYTES * longest + _OTHER_FIELDS_MAX_BYTES
    return _records(file, model, tenant_id, limit)


def _records(file: BinaryIO, model: type[MemoryRecordCreate], tenant_id: str | None, limit: int) -> Iterator[Line]:
    for number, line in enumerate(read_lines(file, limit), start=1):
        if line is None:
            yield BadLine(number, f"is longer than {limit} bytes")
        elif text := line.strip():
            yield _parse(number, text, model, tenant_id)


async def ingest(
    lines: Iterable[Line],
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    source: str | None = None,
    on_existing: OnExisting = "keep",
    progress: Callable[[int], None] | None = None,
    report: IngestReport | None = None,
) -> IngestReport:
    """Store what :func:`read_records` yields, a batch at a time, with one transaction for each tenant of a batch.

    Args:
        lines: Memories and bad lines; they are read in a thread, a batch at a time.
        batch_size: How many lines make a batch.
        source: The name of the data source that they all come from.
        on_existing: What becomes of the metadata of a text that is already there: ``keep`` it, ``merge`` the line's
            into it, or ``replace`` it. The memory keeps its ``created_at``.
        progress: Called after each batch with the number of its lines.
        report: Where to count; after an error or a cancellation it says what is stored. By default a new one.

    Returns:
        The report.

    Raises:
        HashCollisionError: A text has the hash of a different one. Earlier batches are stored; of this batch, the
            memories of other tenants may be.
        TransactionConflictError: Every attempt met a deadlock or a conflict. What is stored is the same as above.
        UnknownSourceError: No source has the name.
        InactiveSourceError: The source is not active any more. Earlier batches are stored.
        InvalidInputError: ``batch_size`` is less than 1.
    """
    if batch_size < 1:
        raise InvalidInputError("batch_size", "must be at least 1")
    started = time.perf_counter()
    rest = iter(lines)
    report = IngestReport() if report is None else report
    try:
        while batch := await asyncio.to_thread(_take, rest, batch_size):
            bad = [line for line in batch if isinstance(line, BadLine)]
            report.read += len(bad)
            report.bad_count += len(bad)
            report.bad += tuple(bad[: LISTED_BAD_LINES - len(report.bad)])
            await _store([line for line in batch if not isinstance(line, BadLine)], source, on_existing, report)
            if progress is not None:
                progress(len(batch))
    finally:
        report.seconds += time.perf_counter() - started
    return report


async def _store(
    records: list[MemoryRecordCreate], source: str | None, on_existing: OnExisting, report: IngestReport
) -> None:
    """Store the records, one scope for each tenant, and count what was committed. Forgotten memories stay forgotten."""
    of_tenants: dict[str, list[MemoryRecordCreate]] = {}
    for record in records:
        of_tenants.setdefault(record.tenant_id, []).append(record)
    for tenant_id, its_records in sorted(of_tenants.items()):
        async with tenant_scope(tenant_id):
            stored = await remember_many(
                its_records, source=source, on_existing=on_existing, on_forgotten="keep", on_error="report"
            )
            for error in stored.errors.values():
                if not isinstance(error, (AccessDeniedError, ContentRefusedError)):
                    raise error
        report.read += len(its_records)
        report.stored += stored.created + stored.held
        report.duplicates += stored.existing
        report.refused.update(str(error) for error in stored.errors.values())


def _take(lines: Iterator[Line], batch_size: int) -> list[Line]:
    batch: list[Line] = []
    characters = 0
    for line in lines:
        batch.append(line)
        characters += 0 if isinstance(line, BadLine) else len(line.content_text)
        if len(batch) >= batch_size or characters >= BATCH_MAX_CHARACTERS:
            break
    return batch


def _line_model(defaults: dict[str, str]) -> type[MemoryRecordCreate]:
    """``MemoryRecordCreate``, for lines that may leave out some of its fields."""
    if not defaults:
        return MemoryRecordCreate
    fields: dict[str, Any] = {}
    for name, value in defaults.items():
        field = copy(MemoryRecordCreate.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    model: type[MemoryRecordCreate] = create_model("Line", __base__=MemoryRecordCreate, **fields)
    return model


def _parse(number: int, text: bytes, model: type[MemoryRecordCreate], tenant_id: str | None) -> Line:
    problems: list[str] = []
    record: MemoryRecordCreate | None = None
    try:
        record = model.model_validate_json(text)
    except ValidationError as error:
        problems += [
            f"{_printable(found.field)}: {found.reason}" if found.field else found.reason
            for found in invalid_inputs(error)
        ]
    else:
        if tenant_id is not None and record.tenant_id != tenant_id:
            problems.append("tenant_id: is not the tenant that all lines are stored for")
    problems += [f"{_printable(key)}: stands in one object twice" for key in _repeated_keys(text)]
    if record is not None and not problems:
        return record
    if len(problems) > _LISTED_PROBLEMS:
        problems[_LISTED_PROBLEMS:] = [f"and {len(problems) - _LISTED_PROBLEMS:,} more problems"]
    return BadLine(number, "; ".join(problems))


def _repeated_keys(text: bytes) -> list[str]:
    """The keys that an object has twice, at any depth: JSON does not say which of the values counts."""
    repeated: list[str] = []
    try:
        json.loads(text, object_pairs_hook=partial(_note_repeated_keys, repeated))
    except (ValueError, RecursionError):
        return []  # It is no JSON, and was refused for that.
    return repeated


def _note_repeated_keys(repeated: list[str], pairs: list[tuple[str, Any]]) -> None:
    keys = {key for key, _ in pairs}
    if len(keys) < len(pairs):
        for key, _ in pairs:
            if key in keys:
                keys.remove(key)
            else:
                repeated.append(key)


def _printable(field: str) -> str:
    # An unknown key may hold anything, at any length.
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in field)
    return text if len(text) <= _FIELD_MAX_CHARACTERS else text[: _FIELD_MAX_CHARACTERS - 1] + "…"
