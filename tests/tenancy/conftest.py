"""Prints what the proof has run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

from memory_guild.database import connect
from memory_guild.engine import client
from tests.conftest import run_statement, with_database
from tests.tenancy.count import COUNT
from tests.tenancy.pool import assert_pool_is_clean


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where pytest-xdist spreads the tests, hand this process's count to the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tenancy"] = (COUNT.operations, COUNT.leaks)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add up what the processes have counted."""
    operations, leaks = node.workeroutput.get("tenancy", (0, [])) if hasattr(node, "workeroutput") else (0, [])
    COUNT.operations += operations
    COUNT.leaks += leaks


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all that ran, and one for each leak."""
    if COUNT.operations:
        terminalreporter.write_line(
            f"tenancy: {COUNT.operations:,} operations against other tenants, {len(COUNT.leaks)} leaks"
        )
        for leak in COUNT.leaks:
            terminalreporter.write_line(f"  {leak}")


@pytest.fixture
def fresh_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for a test that runs its own event loops."""
    name = f"mg_machine_{uuid4().hex[:8]}"
    asyncio.run(run_statement(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield with_database(server_url, name)
    asyncio.run(run_statement(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="package")
def scopes_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the tests of scopes."""
    name = f"mg_scopes_{uuid4().hex[:8]}"
    asyncio.run(run_statement(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield with_database(server_url, name)
    asyncio.run(run_statement(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def small_pool(scopes_database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Tortoise, connected with two connections at the most; both must be clean and free at the end."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")
    monkeypatch.setenv("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", "20")
    async with connect(scopes_database_url):
        yield scopes_database_url
        await client().execute_script("DELETE FROM memory_records")
        await assert_pool_is_clean(2)
