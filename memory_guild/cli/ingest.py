"""``memory-guild ingest``: store the memories of a JSON-lines file."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from memory_guild.cli.console import errors, output
from memory_guild.database.connecting import connect
from memory_guild.errors import UnreadableFileError
from memory_guild.transfer import jsonl


def run(
    file: Annotated[Path, typer.Argument(help="A file of JSON lines, or - for standard input.", show_default=False)],
    batch_size: Annotated[int, typer.Option(min=1, help="How many lines to store at once.")] = jsonl.DEFAULT_BATCH_SIZE,
) -> None:
    """Store the memories of a JSON-lines file; each line is an object in the shape of MemoryRecordCreate.

    Bad lines are reported and skipped; all others are stored. Exit code: 0 if all lines are good, 1 if some are bad, 2
    if the file cannot be read.
    """
    try:
        with jsonl.open_lines(file) as lines:
            report = asyncio.run(_ingest(lines, batch_size))
    except UnreadableFileError as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None
    _print_report(report)
    if report.bad_count:
        raise typer.Exit(1)


async def _ingest(file: BinaryIO, batch_size: int) -> jsonl.IngestReport:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    async with connect():
        with Progress(*columns, console=errors) as progress:
            size = _size(file)
            task = progress.add_task("0 lines", total=size)
            lines = 0

            def show(count: int) -> None:
                nonlocal lines
                lines += count
                position = None if size is None else file.tell()
                progress.update(task, completed=position, description=f"{lines:,} lines")

            return await jsonl.ingest(jsonl.read_records(file), batch_size=batch_size, progress=show)


def _size(file: BinaryIO) -> int | None:
    """How many bytes a regular file has; None for a pipe, whose length is unknown."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _print_report(report: jsonl.IngestReport) -> None:
    for line in report.bad:
        errors.print(f"line {line.number}: {line.reason}", markup=False, highlight=False)
    if report.bad_count > len(report.bad):
        errors.print(f"… and {report.bad_count - len(report.bad):,} more bad lines")
    output.print(f"lines read  {report.read:>9,}")
    output.print(f"stored      {report.stored:>9,}")
    output.print(f"duplicates  {report.duplicates:>9,}")
    output.print(f"bad lines   {report.bad_count:>9,}")
    output.print(f"seconds     {report.seconds:>9.1f}")
