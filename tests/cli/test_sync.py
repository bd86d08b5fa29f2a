"""``memory-guild sync``: once, until it is stopped, and across a server that goes away."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild.cli import app
from memory_guild.search import external
from tests.search.indexes import DictIndex
from tests.search.mirrored import remember_and_attach

RUNNER = CliRunner()
ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
from memory_guild.cli import main
from memory_guild.search import external
from tests.search.indexes import DictIndex

external.index_of = DictIndex
main()
"""


@pytest.fixture
def url(database_url: str, has_vectors: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the search, and the settings for it and for an index."""
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    asyncio.run(guild.upgrade(database_url, search=True))
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_INDEX", "qdrant:http://localhost:6333")
    return database_url


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> DictIndex:
    """The index that the settings name: no store runs here."""
    index = DictIndex("qdrant:http://localhost:6333")
    monkeypatch.setattr(external, "index_of", lambda name: index if name == index.name else None)
    return index


def run(*arguments: str) -> list[str]:
    result = RUNNER.invoke(app, ["sync", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


async def store(*texts: str) -> None:
    async with guild.connect():
        for text in texts:
            await remember_and_attach("acme", text)


def test_once_does_what_is_due_and_says_so(url: str, index: DictIndex) -> None:
    asyncio.run(store("The door is red.", "The gate squeaks."))
    assert run("--once") == ["stored 2, deleted 0"]
    assert run("--once") == []
    assert index.calls["close"] == 2
    index.kept["acme", "written:down"].popitem()
    assert run("--once", "--sweep") == ["swept 1: 0 orphans, 1 missing, 0 stale", "stored 1, deleted 0"]
    assert run("--once", "--tenant", "umbrella") == []
    assert run("--unregister") == ["the index gets no more changes"]
    assert run("--unregister") == ["the index was not registered"]


def test_a_store_that_is_down_is_named(url: str, index: DictIndex, caplog: pytest.LogCaptureFixture) -> None:
    run("--once")
    asyncio.run(store("The door is red."))
    index.is_down = True
    assert run("--once") == ["stored 0, deleted 0, failed 1"]
    assert "qdrant:http://localhost:6333: refused the connection" in caplog.text


def test_without_an_index_it_says_what_to_set(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMORY_GUILD_VECTOR_INDEX")
    result = RUNNER.invoke(app, ["sync", "--once"])
    assert str(result.exception).startswith("MEMORY_GUILD_VECTOR_INDEX: names no index")


@pytest.fixture
def process(url: str) -> Iterator[subprocess.Popen[str]]:
    """The command, without an end, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "sync"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


async def end_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_stopped(url: str, process: subprocess.Popen[str], number: signal.Signals) -> None:
    assert process.stdout is not None
    asyncio.run(store("The door is red."))
    assert process.stdout.readline() == "stored 1, deleted 0\n"
    asyncio.run(end_connections(url))
    asyncio.run(store("The gate squeaks."))
    assert process.stdout.readline() == "stored 1, deleted 0\n"
    process.send_signal(number)
    assert process.wait(20) == 0
    assert process.stdout.read() == ""
