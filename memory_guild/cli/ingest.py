"""``memory-guild ingest``: store the memories of a JSON-lines file."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, get_args

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from memory_guild.cli.console import errors, output
from memory_guild.database.connecting import connect
from memory_guild.errors import MemoryGuildError, UnreadableFileError
from memory_guild.memories.arguments import check_choice
from memory_guild.memories.merging import OnExisting
from memory_guild.transfer import jsonl


def run(
    file: Annotated[Path, typer.Argument(help="A file of JSON lines, or - for standard input.", show_default=False)],
    tenant: Annotated[
        str | None, typer.Option(help="The tenant of all lines; lines that name another one are bad.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="The agent of the lines that name none.")] = None,
    source: Annotated[
        str | None, typer.Option(help="The name of the data source that all lines come from; it must be active.")
    ] = None,
    on_existing: Annotated[
        str, typer.Option(help="The metadata of texts that are already there: keep, merge or replace it.")
    ] = "keep",
    batch_size: Annotated[int, typer.Option(min=1, help="How many lines to store at once.")] = jsonl.DEFAULT_BATCH_SIZE,
) -> None:
    """Store the memories of a JSON-lines file; each line is an object in the shape of MemoryRecordCreate.

    The file may be compressed (gzip, bzip2, xz). Bad lines are reported and skipped, and so is what the screen or the
    access policies refuse; all others are stored. Exit code: 0 if no line is left out, 1 if some are, 2 if the file
    cannot be read, 130 if you interrupt it.
    """
    choice = check_choice("on_existing", on_existing, get_args(OnExisting))
    report = jsonl.IngestReport()
    try:
        with jsonl.open_lines(file) as lines:
            records = jsonl.read_records(lines, tenant_id=tenant, agent_id=agent)
            asyncio.run(_ingest(lines, records, source, batch_size, choice, report))
    except UnreadableFileError as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        _print_if_begun(report)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        errors.print("Interrupted. What was stored until then stays; run it again to store the rest.", style="red")
        _print_report(report)
        raise typer.Exit(130) from None
    except MemoryGuildError:
        _print_if_begun(report)
        raise
    _print_report(report)
    if report.bad_count or report.refused:
        raise typer.Exit(1)


async def _ingest(
    file: BinaryIO,
    records: Iterator[jsonl.Line],
    source: str | None,
    batch_size: int,
    on_existing: OnExisting,
    report: jsonl.IngestReport,
) -> None:
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

            await jsonl.ingest(
                records, source=source, batch_size=batch_size, on_existing=on_existing, progress=show, report=report
            )


def _size(file: BinaryIO) -> int | None:
    """How many bytes a regular file has; None for a pipe, whose length is unknown."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _print_if_begun(report: jsonl.IngestReport) -> None:
    if report.read:
        errors.print("What was stored until then stays; run it again to store the rest.")
        _print_report(report)


def _print_report(report: jsonl.IngestReport) -> None:
    for line in report.bad:
        errors.print(f"line {line.number}: {line.reason}", markup=False, highlight=False)
    if report.bad_count > len(report.bad):
        errors.print(f"… and {report.bad_count - len(report.bad):,} more bad lines")
    for reason, count in report.refused.items():
        errors.print(f"{count:,} memories: {reason}", markup=False, highlight=False)
    output.print(f"lines read  {report.read:>9,}")
    output.print(f"stored      {report.stored:>9,}")
    output.print(f"duplicates  {report.duplicates:>9,}")
    output.print(f"bad lines   {report.bad_count:>9,}")
    if report.refused:
        output.print(f"refused     {report.refused.total():>9,}")
    output.print(f"seconds     {report.seconds:>9.1f}")
