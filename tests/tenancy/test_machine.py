"""Random scopes at once: each tenant sees exactly what its own committed scopes left."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from memory_guild.database.connecting import connect
from tests.tenancy.count import TABLE_OPERATIONS, WANTED_OPERATIONS
from tests.tenancy.logins import connected, login
from tests.tenancy.machine import Machine
from tests.tenancy.programs import ACTIONS, ENDINGS, TENANTS, Program

STEPS = 8
# An example is about 160 operations; what the table of operations does not reach of the wanted number is asked of the
# two machines.
EXAMPLES = max(5, (WANTED_OPERATIONS - TABLE_OPERATIONS) // 2 // 160)

programs = st.builds(
    Program,
    tenant_id=st.sampled_from(TENANTS),
    actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=8).map(tuple),
    ending=st.sampled_from(ENDINGS),
    moment=st.integers(0, 400),
)


def machine_for(url: str, superuser_url: str, pool_size: int) -> type[RuleBasedStateMachine]:
    """A state machine whose scopes run as the URL's login; each example begins with empty tables."""

    class ScopesAtOnce(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self._runner = asyncio.Runner()
            self._runner.run(self._enter())

        async def _enter(self) -> None:
            self._superuser = connected(superuser_url)
            superuser = await self._superuser.__aenter__()
            await superuser.execute("DELETE FROM memory_records")
            self._connected = connect(url)
            await self._connected.__aenter__()
            self._machine = Machine(superuser, pool_size)

        @rule(several=st.lists(programs, min_size=1, max_size=8))
        def scopes_at_once(self, several: list[Program]) -> None:
            self._runner.run(self._machine.step(several))

        def teardown(self) -> None:
            self._runner.run(self._leave())
            self._runner.close()

        async def _leave(self) -> None:
            await self._connected.__aexit__(None, None, None)
            await self._superuser.__aexit__(None, None, None)

    return ScopesAtOnce


@pytest.mark.parametrize(("kind", "pool_size"), [("superuser", 3), ("agent", 2)])
@pytest.mark.long
def test_scopes_at_once_never_meet(
    kind: str, pool_size: int, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", str(pool_size))
    asynchronous = asyncio.Runner()
    logins = login(fresh_database_url)
    url = asynchronous.run(logins.__aenter__()) if kind == "agent" else fresh_database_url
    try:
        run_state_machine_as_test(
            machine_for(url, fresh_database_url, pool_size),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],  # what time decides cannot be made smaller
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        if kind == "agent":
            asynchronous.run(logins.__aexit__(None, None, None))
        asynchronous.close()
