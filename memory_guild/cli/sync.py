"""``memory-guild sync``: keep a vector index outside PostgreSQL equal to it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Annotated

import typer

from memory_guild.cli.console import errors, output
from memory_guild.database.connecting import connect
from memory_guild.errors import MemoryGuildError, SettingsError, is_retryable
from memory_guild.search.sweep import SweepReport, sweep_vectors
from memory_guild.search.worker import SyncReport, sync_vectors, unregister_vector_index
from memory_guild.settings import PGVECTOR, Settings

_SECONDS_BETWEEN_ROUNDS = 1.0
_SECONDS_BETWEEN_CONNECTIONS = 5.0


def run(
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, and end.")] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="First compare all that the index has with what it should have.")
    ] = False,
    unregister: Annotated[
        bool, typer.Option("--unregister", help="Stop: note no more which vectors change for this index, and end.")
    ] = False,
    tenant: Annotated[
        str | None, typer.Option(help="Only this tenant; an agent's login is enough then.", show_default=False)
    ] = None,
) -> None:
    """Bring the vectors that changed to the index that MEMORY_GUILD_VECTOR_INDEX names, until you interrupt it.

    Several processes may run this at once. It goes on after the server or the index was away. It prints a line whenever
    it has done something. The first run registers the index and compares it with all vectors that are there already.
    """
    if Settings.from_environment().vector_index == PGVECTOR:
        raise SettingsError("MEMORY_GUILD_VECTOR_INDEX", "names no index outside PostgreSQL, so there is nothing to do")
    if unregister:
        was_registered = asyncio.run(_unregister())
        output.print("the index gets no more changes" if was_registered else "the index was not registered")
        return
    asyncio.run(_sync_once(sweep, tenant) if once else _sync_until_stopped(sweep, tenant))


async def _unregister() -> bool:
    async with connect():
        return await unregister_vector_index()


async def _sync_once(sweep: bool, tenant: str | None) -> None:
    async with connect():
        stop = _stopped_by_signals()
        # Before a sweep, because the first run registers the index.
        _print_synced(await sync_vectors(tenant_id=tenant, stop=stop))
        if sweep and not stop.is_set():
            _print_swept(await sweep_vectors(tenant_id=tenant))
            _print_synced(await sync_vectors(tenant_id=tenant, stop=stop))


async def _sync_until_stopped(sweep: bool, tenant: str | None) -> None:
    stop = _stopped_by_signals()
    is_to_sweep = sweep
    while not stop.is_set():
        try:
            async with connect():
                while not stop.is_set():
                    _print_synced(await sync_vectors(tenant_id=tenant, stop=stop))
                    if is_to_sweep and not stop.is_set():
                        _print_swept(await sweep_vectors(tenant_id=tenant))
                        is_to_sweep = False
                    else:
                        await _wait(stop, _SECONDS_BETWEEN_ROUNDS)
        except MemoryGuildError as error:
            if not is_retryable(error):
                raise
            errors.print(f"memory-guild: {error}; trying again", markup=False, highlight=False)
            await _wait(stop, _SECONDS_BETWEEN_CONNECTIONS)


def _stopped_by_signals() -> asyncio.Event:
    """What SIGINT and SIGTERM set, so that the batch at work is finished."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # on Windows the batch is interrupted, and done again after its lease
            loop.add_signal_handler(number, stop.set)
    return stop


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _print_synced(report: SyncReport) -> None:
    if any(report):
        failed = report.failed + report.in_doubt
        output.print(
            f"stored {report.stored:,}, deleted {report.deleted:,}" + (f", failed {failed:,}" if failed else ""),
            highlight=False,
        )


def _print_swept(report: SweepReport) -> None:
    output.print(
        f"swept {report.listed:,}: {report.orphans:,} orphans, {report.missing:,} missing, {report.stale:,} stale",
        highlight=False,
    )
