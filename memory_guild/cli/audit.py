"""``memory-guild audit``: who worked across tenants, and what was denied, erased, purged or changed."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from memory_guild.audit import MAX_LIMIT, AuditEntry, entries
from memory_guild.cli.console import output
from memory_guild.database.connecting import connect
from memory_guild.tenancy import reaches
from memory_guild.types import AuditEvent

_MOMENTS = [
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f%z",  # as --json prints it
]


def run(
    tenant: Annotated[str | None, typer.Option(help="Only entries about this tenant.", show_default=False)] = None,
    event: Annotated[AuditEvent | None, typer.Option(help="Only entries about this event.", show_default=False)] = None,
    agent: Annotated[str | None, typer.Option(help="Only entries of this agent.", show_default=False)] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=_MOMENTS, help="Only entries from this moment on; local time unless it says.", show_default=False
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=_MOMENTS, help="Only entries before this moment; local time unless it says.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="How many entries to show.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of the entries.")] = False,
) -> None:
    """Show the audit, the newest entries first. The login must be one that may become memory_guild_admin."""
    found = asyncio.run(_entries(tenant, event, agent, _aware(since), _aware(until), limit))
    if as_json:
        output.print_json(json.dumps([entry.model_dump(mode="json") for entry in found]))
    else:
        output.print(_table(found) if found else "the audit has no such entry")


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.astimezone()


async def _entries(
    tenant: str | None,
    event: AuditEvent | None,
    agent: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    async with connect():
        for reach in await reaches(None):
            async with reach.scope():  # to read the audit leaves no entry in it
                found += await entries(
                    tenant_id=tenant, event=event, agent_id=agent, since=since, until=until, limit=limit
                )
    return sorted(found, key=lambda entry: entry.occurred_at, reverse=True)[:limit]


def _table(found: list[AuditEntry]) -> Table:
    table = Table("when", "event", "outcome", "tenant", "agent", "login", "subject", "reason", "details")
    for entry in found:
        cells = (
            entry.occurred_at.isoformat(timespec="seconds"),
            entry.event,
            entry.outcome,
            entry.tenant_id or "",
            entry.agent_id or "",
            entry.login,
            entry.subject or "",
            entry.reason or "",
            json.dumps(entry.details) if entry.details else "",
        )
        table.add_row(*map(Text, cells))  # as text: a name may look like rich's markup
    return table
