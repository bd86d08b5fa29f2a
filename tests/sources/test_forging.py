"""The stamp of a source: plain SQL in a tenant's scope can neither forge nor change nor drop it."""

from __future__ import annotations

import pytest

import memory_guild as guild
from memory_guild.database.engine import client
from memory_guild.errors import DatabaseError, InactiveSourceError, MemoryGuildError, UnknownMemoryError
from memory_guild.tenancy import tenant_scope

_NAMED = "(SELECT source_id FROM data_sources WHERE source_name = '{}')"
_STAMP = """
INSERT INTO memory_sources (memory_id, tenant_id, source_id, is_held) VALUES ('{memory}', '{tenant}', {source}, {held})
"""

FORGED = {
    "on a memory of another transaction": (_STAMP, "old", "crm", False),
    "on a memory of another tenant": (_STAMP, "stranger's", "crm", False),
    "without the quarantine of its source": (_STAMP, "new", "feed", False),
    "in a quarantine that its source has not": (_STAMP, "new", "crm", True),
    "of a source that is not active": (_STAMP, "new", "closed", False),
    "of another source": ("UPDATE memory_sources SET source_id = {source}", "old", "crm", False),
    "of another tenant": ("UPDATE memory_sources SET tenant_id = 'bolt'", "old", "crm", False),
    "of another memory": ("UPDATE memory_sources SET memory_id = '{memory}'", "new", "crm", False),
    "held again": ("UPDATE memory_sources SET is_held = true", "old", "crm", False),
    "dropped": ("DELETE FROM memory_sources", "old", "crm", False),
    "truncated": ("TRUNCATE memory_sources", "old", "crm", False),
    "of an older time": ("UPDATE memory_sources SET stored_at = '2001-01-01'", "old", "crm", False),
    "of a source of its own": (
        "INSERT INTO data_sources (source_name, source_type) VALUES ('x', 'api')",
        "old",
        "",
        False,
    ),
    "of a source made active": ("UPDATE data_sources SET is_active = true", "old", "", False),
}


@pytest.mark.parametrize(("sql", "whose", "source", "held"), FORGED.values(), ids=FORGED)
async def test_a_stamp_is_not(two_sources: str, sql: str, whose: str, source: str, held: bool) -> None:
    async with guild.admin_scope("test"):
        await guild.sources.register("closed", source_type="api", is_active=False)
        await guild.sources.register("wiki", source_type="api")
    async with tenant_scope("bolt", agent_id="scribe"):
        stranger = await guild.remember("theirs", source_type="external")
    async with tenant_scope("acme", agent_id="scribe"):
        old = await guild.remember("old", source_type="external")
        await guild.remember("stamped", source_type="external", source="wiki")
    with pytest.raises((DatabaseError, InactiveSourceError)):
        async with tenant_scope("acme", agent_id="scribe"):
            new = await guild.remember("new", source_type="external")
            memory = {"old": old, "new": new, "stranger's": stranger}[whose].memory.memory_id
            await client().execute_script(
                sql.format(memory=memory, tenant="acme", source=_NAMED.format(source), held=held)
            )
    async with tenant_scope("acme"):
        assert await guild.count(source=["crm", "feed", "closed"]) == 0
        assert await guild.count(source="wiki") == 1
    async with tenant_scope("bolt"):
        assert await guild.count(source=["crm", "feed", "closed", "wiki"]) == 0


async def test_a_stamp_of_a_strangers_memory_fails_as_one_of_none(two_sources: str) -> None:
    async with tenant_scope("bolt", agent_id="scribe"):
        stranger = (await guild.remember("theirs", source_type="external", source="crm")).memory.memory_id
    errors = []
    for memory in (stranger, "bbbbbbbb-0000-4000-8000-000000000000"):
        with pytest.raises(UnknownMemoryError) as refused:
            async with tenant_scope("acme"):
                await client().execute_script(
                    _STAMP.format(memory=memory, tenant="acme", source=_NAMED.format("crm"), held=False)
                )
        errors.append((str(refused.value), refused.value.constraint, refused.value.table, refused.value.sqlstate))
    assert errors[0] == errors[1]


async def test_a_stamp_in_a_nested_scope_is_of_the_same_transaction(two_sources: str) -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        for number in range(3):
            async with tenant_scope("acme"):
                await guild.remember(f"text {number}", source_type="external", source="crm")
        try:
            async with tenant_scope("acme"):
                await guild.remember("undone", source_type="external", source="crm")
                raise MemoryGuildError
        except MemoryGuildError:
            pass
        assert await guild.count(source="crm") == 3


async def test_metadata_names_no_source(two_sources: str) -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        await guild.remember("text", source_type="external", metadata={"source": "crm", "trust": 1, "is_held": False})
        assert await guild.count(source="crm") == 0
        assert await guild.count(min_trust=0) == 0
