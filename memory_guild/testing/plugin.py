"""The fixtures, and what keeps every test away from the developer's own memories."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeAlias

import pytest

from memory_guild.schema import upgrade
from memory_guild.testing.databases import completed, copied_database, name_of, new_database
from memory_guild.testing.servers import server

Prepare: TypeAlias = Callable[[str], Coroutine[Any, Any, object] | object]

_NOWHERE = "/dev/null/ask-for-the-fixture-memory_guild_database"
"""No server can be there. The name is the advice, because it is what the error shows."""

_patches = pytest.StashKey[pytest.MonkeyPatch]()


def pytest_configure(config: pytest.Config) -> None:
    """Take the developer's settings away for the whole run: what asks for no fixture finds no server.

    For the whole run, so that it holds for what is connected while tests are collected, and in fixtures of any scope.
    """
    config.stash[_patches] = patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith("MEMORY_GUILD_") and not name.startswith("MEMORY_GUILD_TEST_"):
            patch.delenv(name)
    patch.setenv("MEMORY_GUILD_DATABASE_URL", f"postgresql:///nowhere?host={_NOWHERE}")
    patch.setenv("MEMORY_GUILD_EMBEDDED_FOLDER", _NOWHERE)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the settings back."""
    config.stash[_patches].undo()


@pytest.fixture(scope="session")
def memory_guild_server() -> Iterator[str]:
    """The URL of the server that the tests' databases are made on.

    It is a new embedded one in a temporary folder, stopped and deleted at the end, or the one that
    ``MEMORY_GUILD_TEST_DATABASE_URL`` names, whose login must be allowed to create databases and roles.
    """
    with server() as url:
        yield url


@pytest.fixture(scope="session")
def memory_guild_prepare() -> Prepare:
    """What else each test's database has: a function, asynchronous or not, of the URL of the migrated database.

    Define a fixture of this name to create the application's own tables there. It is called once a run; while it
    runs, ``MEMORY_GUILD_DATABASE_URL`` names that database.
    """
    return lambda url: None


@pytest.fixture(scope="session")
def memory_guild_template(memory_guild_server: str, memory_guild_prepare: Prepare) -> Iterator[str]:
    """The name of the database that each test gets a copy of: migrated and prepared once a run."""
    with new_database(memory_guild_server) as url:
        completed(upgrade(url))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MEMORY_GUILD_DATABASE_URL", url)
            prepared = memory_guild_prepare(url)
            if inspect.iscoroutine(prepared):
                completed(prepared)
        yield name_of(url)


@pytest.fixture
def memory_guild_database(
    memory_guild_server: str, memory_guild_template: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a new, migrated database without a memory, for this test alone.

    While the test runs, ``MEMORY_GUILD_DATABASE_URL`` names it: ``connect()``, ``TORTOISE_ORM`` and the processes that
    the test starts use it.
    """
    with copied_database(memory_guild_server, memory_guild_template) as url:
        monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", url)
        yield url
