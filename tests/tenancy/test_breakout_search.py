"""The attacks on a database where the search is installed: what it says, and its own tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from memory_guild.schema.migrating import upgrade
from memory_guild.testing.databases import name_of
from tests.databases import copied_database
from tests.tenancy.attack import World, attempt, leaks_of
from tests.tenancy.operations import Operation
from tests.tenancy.search_operations import SearchWitness, search_statements, search_verbs
from tests.tenancy.test_breakout import world
from tests.tenancy.worlds import STRANGER, STRANGERS_ROWS

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def search_template(server_url: str, template: str, has_vectors: bool) -> Iterator[str]:
    """A database with the search installed."""
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    with copied_database(server_url, template) as url:
        asyncio.run(upgrade(url, search=True))
        yield name_of(url)


@pytest.fixture(scope="module", params=["agent", "agent, sealed"])
def search_worlds(
    request: pytest.FixtureRequest, server_url: str, search_template: str
) -> Iterator[tuple[World, World]]:
    """For each login: the crowded world, and the one where the attacker is alone."""
    with (
        world(request.param, server_url, search_template) as crowded,
        world(request.param, server_url, search_template) as alone,
    ):
        yield replace(crowded, witness=SearchWitness), replace(alone, witness=SearchWitness)


@pytest.mark.parametrize("operations", [search_verbs, search_statements])
async def test_the_search_tells_and_changes_nothing_of_a_strangers(
    search_worlds: tuple[World, World], operations: Callable[[], Iterator[Operation]]
) -> None:
    assert await leaks_of(operations, *search_worlds) == []


async def test_the_searchs_own_tenant_gets_through(search_worlds: tuple[World, World]) -> None:
    """What the verbs tell a stranger must not be what they tell everybody."""
    crowded, _ = search_worlds
    async with crowded.entered(crowded=True) as witness:
        for operation in search_verbs():
            if "own" not in operation.name:
                by_owner = await attempt(operation, STRANGERS_ROWS, STRANGER)
                await witness.populate_again()
                assert by_owner != await attempt(operation, STRANGERS_ROWS), operation.name
                await witness.populate_again()
