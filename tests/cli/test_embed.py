"""``memory-guild embed``, and ``recall`` with an embedder."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild.cli import app

RUNNER = CliRunner()


def run(*arguments: str) -> str:
    result = RUNNER.invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


async def store() -> None:
    await guild.upgrade(search=True)
    async with guild.connect(), guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember("The physician was late.", source_type="observation")
    async with guild.connect(), guild.tenant_scope("umbrella", agent_id="scribe"):
        await guild.remember("A doctor is late.", source_type="observation")


def test_it_embeds_one_tenants_memories_once_and_recall_then_finds_by_meaning(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    asyncio.run(store())
    question = ("recall", "Is a doctor there?", "--tenant", "acme")
    assert run(*question) == "no memory has a word of it\n"
    assert run("embed", "--tenant", "acme", "--embedder", "static") == "vectors stored  1\n"
    assert run("embed", "--tenant", "acme", "--embedder", "static") == "vectors stored  0\n"
    assert "The physician was late." in run(*question, "--embedder", "static")
    assert run(*question) == "no memory has a word of it\n"
