"""The attacks on the stamps of sources, and on what is held in quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.tenancy.attack import World, attempt, leaks_of
from tests.tenancy.operations import Operation
from tests.tenancy.source_operations import SourceWitness, source_statements, source_verbs
from tests.tenancy.test_breakout import world
from tests.tenancy.worlds import STRANGER, STRANGERS_ROWS

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=["superuser", "agent, sealed"])
def source_worlds(request: pytest.FixtureRequest, server_url: str, template: str) -> Iterator[tuple[World, World]]:
    """For each login: the crowded world, and the one where the attacker is alone."""
    with world(request.param, server_url, template) as crowded, world(request.param, server_url, template) as alone:
        yield replace(crowded, witness=SourceWitness), replace(alone, witness=SourceWitness)


@pytest.mark.parametrize("operations", [source_verbs, source_statements])
async def test_sources_tell_and_change_nothing_of_a_strangers(
    source_worlds: tuple[World, World], operations: Callable[[], Iterator[Operation]]
) -> None:
    assert await leaks_of(operations, *source_worlds) == []


async def test_the_sources_own_tenant_gets_through(source_worlds: tuple[World, World]) -> None:
    """What the verbs tell a stranger must not be what they tell everybody."""
    crowded, _ = source_worlds
    async with crowded.entered(crowded=True) as witness:
        for operation in source_verbs():
            if "own" not in operation.name:
                by_owner = await attempt(operation, STRANGERS_ROWS, STRANGER)
                await witness.populate_again()
                assert by_owner != await attempt(operation, STRANGERS_ROWS), operation.name
                await witness.populate_again()
