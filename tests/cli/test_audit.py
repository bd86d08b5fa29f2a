"""``memory-guild audit``: what it shows, and that looking leaves no entry."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild.cli import app
from memory_guild.types import AuditEvent

RUNNER = CliRunner()


def run(*arguments: str) -> str:
    result = RUNNER.invoke(app, ["audit", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


async def work() -> None:
    async with guild.connect():
        async with guild.tenant_scope("acme", agent_id="scribe"):
            guild.audit.record_surviving(AuditEvent.DENIED, outcome="denied", subject="[red]own[/red]", reason="no")
        async with guild.admin_scope("counting"):
            pass


def test_it_shows_the_entries_that_match(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    before = datetime.now(UTC)
    asyncio.run(work())
    shown = run("--since", before.strftime("%Y-%m-%dT%H:%M:%S%z"))
    assert "[red]own[/red]" in shown
    assert "counting" in shown
    (entry,) = json.loads(run("--json", "--tenant", "acme", "--agent", "scribe", "--event", "denied", "--limit", "1"))
    assert (entry["subject"], entry["outcome"], entry["details"]) == ("[red]own[/red]", "denied", {})
    assert json.loads(run("--json", "--since", entry["occurred_at"], "--tenant", "acme", "--event", "denied")) == [
        entry
    ]
    assert json.loads(run("--json", "--until", entry["occurred_at"], "--tenant", "acme", "--event", "denied")) == []
    tomorrow = (before + timedelta(days=1)).strftime("%Y-%m-%d")
    assert run("--since", tomorrow) == "the audit has no such entry\n"
    assert json.loads(run("--json", "--until", "2001-01-01")) == []
    admin = json.loads(run("--json", "--event", "admin_scope", "--since", before.strftime("%Y-%m-%dT%H:%M:%S%z")))
    assert [entry["reason"] for entry in admin] == ["counting"]
    assert RUNNER.invoke(app, ["audit", "--event", "deny"]).exit_code == 2
