"""Random scopes of two tenants and two agents beside plain dicts: what is stored is what the dicts say."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from memory_guild import (
    count,
    find,
    find_all,
    forget,
    forget_where,
    purge,
    remember,
    restore,
    tenant_scope,
)
from memory_guild.database.connecting import connect
from memory_guild.errors import ForgottenMemoryError, MemoryNotFoundError
from memory_guild.memories.stream import BatchSizes
from tests.memories.memory_model import Key, Tenant
from tests.memories.storing import RememberMany, remember_many_with

TENANTS = st.sampled_from(["acme", "bolt"])
AGENTS = st.sampled_from(["scribe", "librarian"])
TEXTS = st.sampled_from(["one", "two", "three", "four", "five", "six"])
KINDS = st.sampled_from(["document", "external"])
METADATA = st.sampled_from([{}, {"page": 1}, {"page": 2}, {"page": 1, "read": True}])
ON_FORGOTTEN: Any = st.sampled_from(["restore", "keep", "raise"])
ITEMS = st.fixed_dictionaries({"agent_id": AGENTS, "content_text": TEXTS, "source_type": KINDS, "metadata": METADATA})
CONDITIONS = st.fixed_dictionaries(
    {}, optional={"agent_id": AGENTS, "source_type": KINDS, "metadata": METADATA.filter(bool)}
)
ENDS_WELL = st.sampled_from([True, True, True, False])


class Undone(Exception):  # noqa: N818 - no error
    """Raised to undo a scope."""


class MemoryMachine(RuleBasedStateMachine):
    """Each step is one scope, which may be undone at its end."""

    url: str
    runner: asyncio.Runner

    @initialize()
    def begin(self) -> None:
        self.tenants = {"acme": Tenant(), "bolt": Tenant()}
        self.runner.run(self._empty())

    async def _empty(self) -> None:
        for tenant_id in self.tenants:
            async with tenant_scope(tenant_id):
                async for memory in find_all(include_forgotten=True):
                    await forget(memory)
                await purge(older_than=timedelta(0))

    @asynccontextmanager
    async def scope(self, tenant_id: str, ends_well: bool) -> AsyncIterator[Tenant]:
        """A scope, and the tenant's memories as they must be in it; afterwards those of all tenants are compared."""
        expected = self.tenants[tenant_id].copy()
        try:
            async with tenant_scope(tenant_id):
                yield expected
                await self._compare(expected)
                if not ends_well:
                    raise Undone
        except Undone:
            pass
        else:
            self.tenants[tenant_id] = expected
        for other, memories in self.tenants.items():
            async with tenant_scope(other):
                await self._compare(memories)

    async def _compare(self, expected: Tenant) -> None:
        rows = {(row.agent_id, row.content_text): row for row in (await find(include_forgotten=True)).memories}
        assert list(rows) == list(expected.found(include_forgotten=True))
        for key, memory in expected.memories.items():
            row = rows[key]
            columns = row.memory_id, row.source_type, row.metadata
            assert columns == (memory.memory_id, memory.source_type, memory.metadata)
            assert (row.is_deleted, row.deleted_at is not None) == (memory.is_forgotten, memory.is_forgotten)
        assert await count() == len(expected.found())

    @rule(tenant_id=TENANTS, item=ITEMS, on_forgotten=ON_FORGOTTEN, ends_well=ENDS_WELL)
    def remember(self, tenant_id: str, item: dict[str, Any], on_forgotten: Any, ends_well: bool) -> None:
        self.runner.run(self._remember(tenant_id, item, on_forgotten, ends_well))

    async def _remember(self, tenant_id: str, item: dict[str, Any], on_forgotten: Any, ends_well: bool) -> None:
        key = item["agent_id"], item["content_text"]
        async with self.scope(tenant_id, ends_well) as expected:
            if expected.outcome(key, on_forgotten) == "refused":
                with pytest.raises(ForgottenMemoryError) as caught:
                    await remember(**item, on_forgotten=on_forgotten)
                assert caught.value.memory_id == expected.memories[key].memory_id
            else:
                memory, outcome = await remember(**item, on_forgotten=on_forgotten)
                assert outcome == expected.outcome(key, on_forgotten)
                expected.store(key, memory.memory_id, item["source_type"], item["metadata"], on_forgotten)
                assert memory.memory_id == expected.memories[key].memory_id

    @rule(
        tenant_id=TENANTS,
        items=st.lists(ITEMS, max_size=12),
        on_forgotten=ON_FORGOTTEN,
        window=st.integers(1, 5),
        copies=st.booleans(),
        ends_well=ENDS_WELL,
    )
    def remember_many(self, tenant_id: str, window: int, copies: bool, **given: Any) -> None:
        sizes = BatchSizes(
            first_window=window, largest_window=window, drawn_at_once=window, most_in_arrays=0 if copies else 500
        )
        self.runner.run(self._remember_many(remember_many_with(sizes), tenant_id, **given))

    async def _remember_many(
        self,
        remember_many: RememberMany,
        tenant_id: str,
        items: list[dict[str, Any]],
        on_forgotten: Any,
        ends_well: bool,
    ) -> None:
        async with self.scope(tenant_id, ends_well) as expected:
            report = await remember_many(items, on_forgotten=on_forgotten, on_error="report")
            assert len(report) == len(items)
            for item, (outcome, memory_id, error) in zip(items, report, strict=True):
                key = item["agent_id"], item["content_text"]
                assert outcome == expected.outcome(key, on_forgotten)
                if outcome == "refused":
                    assert isinstance(error, ForgottenMemoryError)
                    assert error.memory_id == expected.memories[key].memory_id
                else:
                    assert memory_id
                    expected.store(key, memory_id, item["source_type"], item["metadata"], on_forgotten)
                    assert memory_id == expected.memories[key].memory_id

    @rule(
        tenant_id=TENANTS,
        chosen=st.sets(st.tuples(AGENTS, TEXTS), max_size=5),
        forgets=st.booleans(),
        is_stranger_among=st.booleans(),
        ends_well=ENDS_WELL,
    )
    def forget_or_restore(self, **given: Any) -> None:
        self.runner.run(self._forget_or_restore(**given))

    async def _forget_or_restore(
        self, tenant_id: str, chosen: set[Key], forgets: bool, is_stranger_among: bool, ends_well: bool
    ) -> None:
        verb = forget if forgets else restore
        strangers = [
            memory.memory_id for memory in self.tenants["bolt" if tenant_id == "acme" else "acme"].memories.values()
        ]
        async with self.scope(tenant_id, ends_well) as expected:
            keys = chosen & expected.memories.keys()
            ids = [expected.memories[key].memory_id for key in keys]
            if is_stranger_among:
                with pytest.raises(MemoryNotFoundError):
                    await verb(*ids, *strangers, uuid4())
            else:
                assert await verb(*ids, *ids) == expected.set_forgotten(keys, forgets)

    @rule(tenant_id=TENANTS, conditions=CONDITIONS.filter(bool), ends_well=ENDS_WELL)
    def forget_where(self, **given: Any) -> None:
        self.runner.run(self._forget_where(**given))

    async def _forget_where(self, tenant_id: str, conditions: Any, ends_well: bool) -> None:
        async with self.scope(tenant_id, ends_well) as expected:
            found = set(expected.found(**conditions))
            assert await forget_where(**conditions) == expected.set_forgotten(found, True) == len(found)

    @rule(tenant_id=TENANTS, batch_size=st.integers(1, 3), ends_well=ENDS_WELL)
    def purge(self, **given: Any) -> None:
        self.runner.run(self._purge(**given))

    async def _purge(self, tenant_id: str, batch_size: int, ends_well: bool) -> None:
        async with self.scope(tenant_id, ends_well) as expected:
            assert await purge(older_than=timedelta(0), batch_size=batch_size) == expected.purge()

    @rule(tenant_id=TENANTS, conditions=CONDITIONS, include_forgotten=st.booleans(), limit=st.integers(1, 4))
    def find(self, **given: Any) -> None:
        self.runner.run(self._find(**given))

    async def _find(self, tenant_id: str, conditions: Any, include_forgotten: bool, limit: int) -> None:
        async with self.scope(tenant_id, True) as expected:
            found = list(expected.found(include_forgotten=include_forgotten, **conditions))
            conditions = {**conditions, "include_forgotten": include_forgotten}
            assert await count(**conditions) == len(found)
            assert [(m.agent_id, m.content_text) async for m in find_all(**conditions)] == found
            cursor = None
            for first in itertools.count(step=limit):
                page = await find(limit=limit, cursor=cursor, **conditions)
                assert [(m.agent_id, m.content_text) for m in page.memories] == found[first : first + limit]
                if (cursor := page.next_cursor) is None:
                    assert first + limit >= len(found)
                    break


@pytest.mark.long
def test_the_database_is_what_the_dicts_say(verbs_database_url: str) -> None:
    with asyncio.Runner() as runner:
        connected = connect(verbs_database_url)
        runner.run(connected.__aenter__())
        MemoryMachine.runner = runner
        try:
            run_state_machine_as_test(
                MemoryMachine,
                settings=settings(
                    max_examples=30,
                    stateful_step_count=25,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(connected.__aexit__(None, None, None))
