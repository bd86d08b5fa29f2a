"""``memory-guild server``: start, status, url, stop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild import embedded, schema
from memory_guild.cli import app
from memory_guild.testing.servers import server_folder

RUNNER = CliRunner()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the commands keep their server; short, and open to the account that a server of root's runs as."""
    with server_folder() as base:
        monkeypatch.setenv("MEMORY_GUILD_EMBEDDED_FOLDER", str(base / "pg"))
        yield base / "pg"
        embedded.stop(base / "pg")


def run(*arguments: str, exit_code: int = 0) -> str:
    result = RUNNER.invoke(app, ["server", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.output


def test_before_there_is_a_server(folder: Path) -> None:
    assert "start it with `memory-guild server start`" in run("url", exit_code=3)
    assert re.search(r"^running +no$", run("status", exit_code=3), re.MULTILINE)
    assert run("stop") == "not running\n"


def test_a_server_from_start_to_stop(folder: Path) -> None:
    started = run("start")
    assert re.search(r"^running +yes$", started, re.MULTILINE)
    assert re.search(r"^runs until stopped +yes$", started, re.MULTILINE)
    assert re.search(rf"^folder +{folder}$", started, re.MULTILINE)
    assert re.search(rf"^runs as +{(folder / 'data').owner()}$", started, re.MULTILINE)
    assert run("status") == started

    async def version() -> int:
        connection = await asyncpg.connect(run("url").strip())
        try:
            return connection.get_server_version().major
        finally:
            await connection.close()

    assert run("url", "--agents") == run("url").replace("//postgres@", "//memory_guild_agents@")
    assert f"version             {asyncio.run(version())}" in started
    assert run("stop") == "stopped\n"
    assert re.search(r"^running +no$", run("status", exit_code=3), re.MULTILINE)


def test_a_variable_that_no_url_can_override_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("start")
    monkeypatch.setenv("PGSERVICE", "another")
    result = RUNNER.invoke(app, ["server", "url"], catch_exceptions=False)
    assert result.stdout.startswith("postgresql://")
    assert result.stdout.count("\n") == 1
    assert 'PGSERVICE is set, and may send psql elsewhere; use `env -u PGSERVICE psql "$(memory-guild' in result.stderr


@pytest.mark.long
def test_the_doctor_says_where_the_data_is(folder: Path) -> None:
    asyncio.run(guild.upgrade())
    findings = {finding.subject: finding for finding in asyncio.run(schema.doctor())}
    assert findings["server"].level == "ok"
    assert f"its data is in {folder}, owned by {(folder / 'data').owner()}" in findings["server"].detail


@pytest.mark.parametrize("command", ["status", "start"])
def test_a_configured_database_is_used_instead(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    exit_code = 3 if command == "status" else 0
    assert "\nused                yes, because no MEMORY_GUILD_DATABASE_URL is set\n" in run(
        command, exit_code=exit_code
    )

    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", "postgresql://scribe:swordfish@db.example/agents")
    output = run(command, exit_code=exit_code)
    assert "used                no: MEMORY_GUILD_DATABASE_URL is set, so postgresql://scribe@db.example" in output
    assert "swordfish" not in output
