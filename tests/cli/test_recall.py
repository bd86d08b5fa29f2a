"""``memory-guild upgrade --search`` and ``memory-guild recall``."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild.cli import app
from memory_guild.database.migrations import known_migrations

RUNNER = CliRunner()


def run(*arguments: str) -> str:
    result = RUNNER.invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


async def store() -> None:
    async with guild.connect(), guild.tenant_scope("acme", agent_id="scribe"):
        bill = await guild.remember("One pot of red paint.", source_type="document")
        door = await guild.remember("The door is red.", source_type="observation")
        await guild.relate(bill, door, "references")


def test_it_shows_what_answers_a_question_and_why(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    asyncio.run(store())
    assert run("upgrade", "--search").splitlines() == [f"applied {name}" for name in known_migrations("search")]
    printed = run("recall", "Who painted the door?", "--tenant", "acme")
    assert "The door is red." in printed
    assert "One pot of red paint." in printed
    assert "(neighbors: door)" in printed
    assert run("recall", "Who painted the door?", "--tenant", "umbrella") == "no memory has a word of it\n"
