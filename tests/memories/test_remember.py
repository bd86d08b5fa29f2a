"""Storing one memory: each outcome, what stays as it is, and what is refused before anything is written."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from memory_guild import admin_scope, count, forget, get, relate, remember, remember_many, restore, tenant_scope
from memory_guild.errors import (
    ForgottenMemoryError,
    TenantNotSetError,
)
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.types import SourceType, StoreOutcome
from tests.memories.storing import (
    TEXT,
    Connection,
    insert,
    stored,
    texts,
)
from tests.rows import columns_of

pytestmark = pytest.mark.usefixtures("shared_database")


class Agent(str, Enum):  # noqa: UP042 - whose text, other than a StrEnum's, is not its value
    """Agents, as a caller may name them."""

    SCRIBE = "scribe"


async def test_an_agent_may_be_a_member_of_an_enum(superuser: Connection) -> None:
    async with tenant_scope("acme"):
        first = await remember("text", source_type="document", agent_id=Agent.SCRIBE)
        report = await remember_many([{"content_text": "text", "source_type": "document", "agent_id": Agent.SCRIBE}])
        assert report[0].memory_id == first.memory.memory_id
    async with tenant_scope("acme", agent_id=Agent.SCRIBE):
        assert (await remember("text", source_type="document")).outcome is StoreOutcome.EXISTING
        assert await count(agent_id=Agent.SCRIBE) == 1
    assert [row["agent_id"] for row in (await stored(superuser)).values()] == ["scribe"]


# --- outcomes ---------------------------------------------------------------------------------------------------


async def test_a_new_text_is_created_with_every_column(superuser: Connection) -> None:
    text = "héllo 'wörld' \U0001f40d\r\n\ufeff "
    async with tenant_scope("acme"):
        memory, outcome = await remember(
            text, source_type="tool_output", metadata={"a": [1, None, "ü", 2.5, {}]}, agent_id="scribe"
        )

    (row,) = (await stored(superuser)).values()
    assert outcome is StoreOutcome.CREATED
    assert (row["memory_id"], row["agent_id"], row["tenant_id"]) == (memory.memory_id, "scribe", "acme")
    assert (row["source_type"], row["content_text"], row["content_hash"]) == ("tool_output", text, hash_content(text))
    assert (row["created_at"], row["is_deleted"], row["deleted_at"]) == (row["updated_at"], False, None)
    assert memory.metadata == {"a": [1, None, "ü", 2.5, {}]}
    assert memory.source_type is SourceType.TOOL_OUTPUT


async def test_what_is_returned_is_what_get_reads() -> None:
    async with tenant_scope("acme", "scribe"):
        for _ in range(2):
            memory, _ = await remember(TEXT, source_type="document", metadata={"page": 3})
            assert columns_of(memory) == columns_of(await get(memory))
            assert await MemoryRecord.get(memory_id=memory.memory_id) == memory


async def test_the_models_work_with_what_is_returned() -> None:
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document")
        memory.metadata = {"page": 4}
        await memory.save()
        assert (await get(memory)).metadata == {"page": 4}


async def test_a_text_that_is_there_is_found_and_nothing_is_written(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        before, _ = await remember(TEXT, source_type="document", metadata={"kept": True})
    rows = await stored(superuser)

    for on_forgotten in ("restore", "keep", "raise"):
        async with tenant_scope("acme", "scribe"):
            memory, outcome = await remember(
                TEXT,
                source_type="external",
                metadata={"kept": False},
                on_forgotten=on_forgotten,
            )
        assert outcome is StoreOutcome.EXISTING
        assert columns_of(memory) == columns_of(before)

    assert await stored(superuser) == rows  # where each row lies and who wrote it last, too


async def test_a_forgotten_text_comes_back_as_it_was(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        before, _ = await remember(TEXT, source_type="document", metadata={"kept": True})
        other, _ = await remember("other", source_type="document")
        await relate(before, other, "supports")
        await forget(before)
        memory, outcome = await remember(TEXT, source_type="external", metadata={"kept": False})

        assert outcome is StoreOutcome.RESTORED
        assert memory.updated_at is not None
        assert before.updated_at is not None
        assert memory.updated_at > before.updated_at
        assert columns_of(memory) == columns_of(before) | {
            "is_deleted": False,
            "deleted_at": None,
            "updated_at": memory.updated_at,
        }
        assert await other.incoming_edges.all().count() == 1
    assert len(await stored(superuser)) == 2


async def test_a_text_that_came_back_is_there() -> None:
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document")
        await forget(memory)
        outcomes = [(await remember(TEXT, source_type="document")).outcome for _ in range(3)]
    assert outcomes == ["restored", "existing", "existing"]


async def test_a_forgotten_text_may_stay_forgotten(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        before, _ = await remember(TEXT, source_type="document")
        await forget(before)
    rows = await stored(superuser)

    async with tenant_scope("acme", "scribe"):
        memory, outcome = await remember(TEXT, source_type="document", on_forgotten="keep")

    assert outcome is StoreOutcome.EXISTING
    assert memory.is_deleted is True
    assert columns_of(memory) == columns_of(before)
    assert await stored(superuser) == rows


async def test_a_forgotten_text_may_be_an_error(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        before, _ = await remember(TEXT, source_type="document")
        await forget(before)
    rows = await stored(superuser)

    async with tenant_scope("acme", "scribe"):
        with pytest.raises(ForgottenMemoryError) as caught:
            await remember(TEXT, source_type="document", on_forgotten="raise")
        assert await restore(before) == 1  # the scope goes on

    assert caught.value.memory_id == before.memory_id
    assert TEXT not in str(caught.value)
    assert (await stored(superuser)).keys() == rows.keys()


async def test_a_new_text_is_created_whatever_becomes_of_forgotten_ones() -> None:
    async with tenant_scope("acme", "scribe"):
        for choice in ("restore", "keep", "raise"):
            outcome = (await remember(choice, source_type="document", on_forgotten=choice)).outcome
            assert outcome is StoreOutcome.CREATED


@pytest.mark.parametrize("is_deleted", [None, False])
async def test_a_memory_of_which_nobody_said_whether_it_is_forgotten_is_not(
    superuser: Connection, is_deleted: bool | None
) -> None:
    memory_id = await insert(superuser, TEXT, is_deleted=is_deleted)
    rows = await stored(superuser)
    async with tenant_scope("acme", "scribe"):
        memory, outcome = await remember(TEXT, source_type="document")
    assert (memory.memory_id, outcome) == (memory_id, "existing")
    assert await stored(superuser) == rows


async def test_a_forgotten_memory_without_times_comes_back(superuser: Connection) -> None:
    memory_id = await insert(superuser, TEXT, is_deleted=True, created_at=None, updated_at=None)
    async with tenant_scope("acme", "scribe"):
        memory, outcome = await remember(TEXT, source_type="document")
    assert (memory.memory_id, memory.is_deleted, outcome) == (memory_id, False, "restored")
    assert memory.updated_at is not None


async def test_what_was_changed_in_the_future_comes_back_later_still(superuser: Connection) -> None:
    await insert(superuser, TEXT, is_deleted=True)
    await superuser.execute("UPDATE memory_records SET updated_at = now() + interval '1 day'")
    async with tenant_scope("acme", "scribe"):
        _, outcome = await remember(TEXT, source_type="document")
    assert outcome is StoreOutcome.RESTORED
    assert await superuser.fetchval("SELECT updated_at > now() + interval '23 hours' FROM memory_records")


# --- whose it is ------------------------------------------------------------------------------------------------


async def test_agents_and_tenants_keep_their_own_copies(superuser: Connection) -> None:
    memory_ids = set()
    for tenant_id in ("acme", "bolt"):
        async with tenant_scope(tenant_id, "scribe"):
            for agent_id in (None, "librarian"):
                for expected in ("created", "existing"):
                    memory, outcome = await remember(TEXT, source_type="document", agent_id=agent_id)
                    assert outcome == expected
                    assert (memory.tenant_id, memory.agent_id) == (tenant_id, agent_id or "scribe")
                    memory_ids.add(memory.memory_id)
    assert memory_ids == (await stored(superuser)).keys()
    assert len(memory_ids) == 4


async def test_a_forgotten_copy_of_another_agent_or_tenant_is_none(superuser: Connection) -> None:
    await insert(superuser, TEXT, is_deleted=True, agent_id="librarian")
    await insert(superuser, TEXT, is_deleted=True, tenant_id="bolt")
    rows = await stored(superuser)
    async with tenant_scope("acme", "scribe"):
        assert (await remember(TEXT, source_type="document", on_forgotten="raise")).outcome == "created"
    assert (await stored(superuser)).items() >= rows.items()


async def test_a_scope_that_fails_has_remembered_nothing(superuser: Connection) -> None:
    with pytest.raises(ZeroDivisionError):
        async with tenant_scope("acme", "scribe"):
            await remember(TEXT, source_type="document")
            raise ZeroDivisionError
    assert await stored(superuser) == {}


async def test_what_one_scope_remembers_keeps_its_order(superuser: Connection) -> None:
    in_order = [f"text {number}" for number in (3, 1, 2, 5, 4)]
    async with tenant_scope("acme", "scribe"):
        for text in in_order:
            await remember(text, source_type="document")
    assert await texts(superuser) == in_order


@pytest.mark.parametrize("scope", [admin_scope, None])
async def test_without_a_tenant_nothing_is_remembered(superuser: Connection, scope: Any) -> None:
    async def attempt() -> None:
        with pytest.raises(TenantNotSetError):
            await remember(TEXT, source_type="document", agent_id="scribe")

    if scope is None:
        await attempt()
    else:
        async with scope():
            await attempt()
    assert await stored(superuser) == {}
