"""Runs operations as the attacker, in both worlds, and says what gave a stranger's rows away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.scripts import single_statements
from memory_guild.tenancy import tenant_scope
from tests.tenancy.count import COUNT
from tests.tenancy.logins import connected
from tests.tenancy.operations import Operation
from tests.tenancy.outcomes import neutral, outcome_of, secrets_in
from tests.tenancy.worlds import ATTACKER, NOWHERE, STRANGERS_ROWS, Aim, Witness

EMPTY = """
TRUNCATE memory_records, data_sources, memory_access_policies CASCADE;
-- Freezing a row clears what the witness looks at.
ALTER TABLE memory_records SET (autovacuum_enabled = false);
ALTER TABLE memory_embeddings SET (autovacuum_enabled = false);
ALTER TABLE memory_relationships SET (autovacuum_enabled = false)
"""


@dataclass(frozen=True)
class World:
    """A database that one login reaches.

    Attributes:
        url: The login's URL.
        superuser_url: The witness's.
        seal_key: What opens its scopes; empty where it is not sealed.
        witness: What looks at the rows.
    """

    url: str
    superuser_url: str
    seal_key: str = ""
    witness: type[Witness] = Witness

    @asynccontextmanager
    async def entered(self, *, crowded: bool) -> AsyncIterator[Witness]:
        """Tortoise connected as the login; the attacker's rows are there, the strangers' where it is crowded."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MEMORY_GUILD_SEAL_KEY", self.seal_key)
            async with connected(self.superuser_url) as superuser, connect(self.url):
                witness = self.witness(superuser)
                for one in single_statements(EMPTY):  # Citus refuses some in the company of others
                    await superuser.execute(one)
                await witness.populate(crowded=crowded)
                yield witness


_outcomes_alone: dict[tuple[type[Witness], str], str] = {}
"""How each operation ends where nobody else is: the same for every login, so it is looked up once for each witness."""


async def attempt(operation: Operation, aim: Aim, tenant_id: str = ATTACKER) -> str:
    """How the operation ends in a scope of the tenant."""

    async def in_scope() -> Any:
        async with tenant_scope(tenant_id, agent_id="own agent"):
            return await operation.run(aim)

    return await outcome_of(in_scope)


async def leaks_of(table: Callable[[], Iterable[Operation]], crowded: World, alone: World) -> list[str]:
    """Run each operation in both worlds; one sentence for each that tells a stranger's row from a missing one.

    Args:
        table: Gives the operations, once Tortoise knows the models' relations.
        crowded: Where the strangers are.
        alone: Where nobody else is.
    """
    async with alone.entered(crowded=False) as witness:
        operations = list(table())
        new = {one.name for one in operations if (alone.witness, one.name) not in _outcomes_alone}
        for operation in operations:
            if operation.name in new:
                _outcomes_alone[alone.witness, operation.name] = await attempt(operation, STRANGERS_ROWS)
                assert await witness.others_are_unchanged()
    leaks = []
    async with crowded.entered(crowded=True) as witness:
        for operation in operations:
            leaks += [f"{operation.name}: {leak}" async for leak in _aimed_at_the_stranger(operation, witness)]
            if operation.name in new:
                leaks += [f"{operation.name}: {leak}" async for leak in _aimed_at_nothing(operation, witness)]
    COUNT.leaks += leaks
    return leaks


async def _aimed_at_the_stranger(operation: Operation, witness: Witness) -> AsyncIterator[str]:
    outcome, alone = await attempt(operation, STRANGERS_ROWS), _outcomes_alone[type(witness), operation.name]
    COUNT.operations += 1
    if not await witness.others_are_unchanged():
        yield "changed a stranger's row"
    if secrets := secrets_in(outcome):
        yield f"shows {', '.join(secrets)}\n{outcome}"
    if neutral(outcome, STRANGERS_ROWS) != neutral(alone, STRANGERS_ROWS):
        yield f"ends otherwise where strangers are\n{outcome}\nthan where nobody else is\n{alone}"


async def _aimed_at_nothing(operation: Operation, witness: Witness) -> AsyncIterator[str]:
    outcome, alone = await attempt(operation, NOWHERE), _outcomes_alone[type(witness), operation.name]
    if not await witness.others_are_unchanged():
        yield "changed a stranger's row, aimed at nothing"
    if secrets := secrets_in(outcome):
        yield f"aimed at nothing, shows {', '.join(secrets)}\n{outcome}"
    if neutral(outcome, NOWHERE) != neutral(alone, STRANGERS_ROWS):  # and that is how it ends for a stranger's, too
        yield f"tells not there\n{outcome}\nfrom not yours\n{alone}"
