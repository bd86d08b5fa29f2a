"""Erasing: nothing is left, nothing else is touched, and the receipt says exactly what it was."""

from __future__ import annotations

import asyncio
import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.errors import InvalidInputError, ScopeError, TenantNotSetError
from tests.audit.conftest import Entries

Rows = dict[str, str]


def digest_of(rows: Rows) -> str:
    return hashlib.sha256("".join(f"{key} {rows[key]}\n" for key in sorted(rows)).encode()).hexdigest()


async def rows_of(connection: Any, condition: str) -> Rows:
    rows = await connection.fetch(f"SELECT memory_id::text, content_hash FROM memory_records WHERE {condition}")
    return {row["memory_id"]: row["content_hash"] for row in rows}


async def store(tenant_id: str, count: int = 5) -> list[guild.MemoryRecord]:
    """Memories in a chain of edges; the last one is forgotten, each has an embedding."""
    async with guild.tenant_scope(tenant_id, agent_id="scribe"):
        items = [
            {"content_text": f"{number} of {tenant_id}", "source_type": "document", "metadata": {"page": number}}
            for number in range(count)
        ]
        await guild.remember_many(items)
        memories = await guild.MemoryRecord.filter(tenant_id=tenant_id).order_by("content_text")
        for first, second in pairwise(memories):
            await guild.relate(second, first, "follows")
        for memory in memories:
            await guild.MemoryEmbedding.create(memory=memory, vector_id="v", embedding_model="small")
        await guild.forget(memories[-1])
    return memories


async def left_of(connection: Any, tenant_id: str) -> dict[str, int]:
    """How many rows of each table with a tenant are the tenant's; and of the embeddings and edges, all of nobody's."""
    tables = await connection.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns JOIN pg_class ON relname = table_name"
        " WHERE column_name = 'tenant_id' AND table_schema = 'public' AND relkind IN ('r', 'p')"
        " AND table_name <> 'memory_audit'"
    )
    counts = {
        row["table_name"]: await connection.fetchval(
            f"SELECT count(*) FROM {row['table_name']} WHERE tenant_id = $1", tenant_id
        )
        for row in tables
    }
    return {table: count for table, count in counts.items() if count}


async def everything(connection: Any, tenant_id: str) -> list[Any]:
    return [
        await connection.fetch(f"SELECT * FROM memory_records WHERE tenant_id = '{tenant_id}' ORDER BY 1"),
        await connection.fetch(
            f"SELECT e.* FROM memory_embeddings e JOIN memory_records USING (memory_id) WHERE tenant_id = '{tenant_id}'"
            " ORDER BY 1"
        ),
        await connection.fetch(
            "SELECT r.* FROM memory_relationships r JOIN memory_records ON memory_id = source_memory_id"
            f" WHERE tenant_id = '{tenant_id}' ORDER BY 1"
        ),
    ]


# --- a tenant ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [2, 1000])
async def test_a_tenant_leaves_nothing_and_its_neighbor_everything(
    entries: Entries, superuser: Any, batch_size: int
) -> None:
    await store("gone")
    await store("stays")
    rows, before = await rows_of(superuser, "tenant_id = 'gone'"), await everything(superuser, "stays")
    async with guild.admin_scope("the contract ended"):
        receipt = await guild.erase_tenant("gone", batch_size=batch_size)
    assert await left_of(superuser, "gone") == {}
    assert await superuser.fetchval("SELECT count(*) FROM memory_embeddings") == len(before[1])
    assert await everything(superuser, "stays") == before
    assert (receipt.memories, receipt.tenant_id, receipt.digest) == (5, "gone", digest_of(rows))
    assert receipt.rows["memory_records"] == receipt.rows["memory_embeddings"] == 5
    assert receipt.rows["memory_relationships"] == 4
    (details,) = await entries.of("details::text", f"audit_id = '{receipt.audit_id}' AND tenant_id = 'gone'")
    assert json.loads(details) == {"scope": "tenant", "rows": receipt.rows, "digest": receipt.digest}
    assert guild.ErasureReceipt.model_validate_json(receipt.model_dump_json()) == receipt


async def test_a_tenant_that_has_nothing_gets_an_empty_receipt(entries: Entries) -> None:
    async with guild.admin_scope("nothing"):
        receipt = await guild.erase_tenant("nobody")
    assert (receipt.memories, receipt.digest) == (0, hashlib.sha256(b"").hexdigest())
    assert set(receipt.rows.values()) == {0}


async def test_a_rollback_keeps_the_memories_and_leaves_no_entry_of_an_erasure(
    entries: Entries, superuser: Any
) -> None:
    await store("acme")
    with pytest.raises(KeyError):
        async with guild.admin_scope("in vain"):
            await guild.erase_tenant("acme")
            raise KeyError
    assert len(await rows_of(superuser, "true")) == 5
    assert await entries.of() == ["admin_scope rolled back"]


async def test_a_tenants_scope_erases_no_tenant(entries: Entries) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(ScopeError, match="admin_scope"):
            await guild.erase_tenant("acme")
    with pytest.raises(TenantNotSetError):
        await guild.erase_tenant("acme")
    async with guild.admin_scope("no tenant"):
        with pytest.raises(InvalidInputError):
            await guild.erase_tenant("")
        with pytest.raises(InvalidInputError):
            await guild.erase_tenant("acme", batch_size=0)
        with pytest.raises(TenantNotSetError):
            await guild.erase_where(agent_id="scribe")


async def test_stamps_of_sources_are_counted_where_the_database_has_them(database: str, connection: Any) -> None:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS memory_sources"
        " (memory_id UUID PRIMARY KEY REFERENCES memory_records ON DELETE CASCADE, tenant_id TEXT, source_id UUID);"
        "GRANT SELECT ON memory_sources TO memory_guild_app, memory_guild_admin"
    )
    memories = await store("acme")
    await connection.execute("INSERT INTO data_sources (source_name, source_type) VALUES ('crm', 'api')")
    await connection.execute(
        "INSERT INTO memory_sources (memory_id, tenant_id, source_id)"
        " SELECT $1, 'acme', source_id FROM data_sources ON CONFLICT DO NOTHING",
        memories[0].memory_id,
    )
    async with guild.admin_scope("the contract ended"):
        receipt = await guild.erase_tenant("acme")
    assert receipt.rows["memory_sources"] == 1
    assert await left_of(connection, "acme") == {}


# --- by conditions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "matching"),
    [
        ({"metadata": {"page": {"$gte": 3}}}, "tenant_id = 'acme' AND (metadata ->> 'page')::int >= 3"),
        (
            {"metadata": {"page": {"$gte": 3}}, "include_forgotten": False},
            "tenant_id = 'acme' AND metadata ->> 'page' = '3'",
        ),
        ({"agent_id": "scribe"}, "tenant_id = 'acme'"),
        ({"agent_id": "nobody"}, "false"),
    ],
)
async def test_what_matches_is_gone_and_nothing_else(
    entries: Entries, superuser: Any, conditions: Any, matching: str
) -> None:
    await store("acme")
    await store("bolt")
    rows, kept = await rows_of(superuser, matching), await rows_of(superuser, f"NOT ({matching})")
    async with guild.tenant_scope("acme", agent_id="eraser"):
        receipt = await guild.erase_where(**conditions)
    assert (receipt.memories, receipt.digest) == (len(rows), digest_of(rows))
    assert await rows_of(superuser, "true") == kept
    assert await entries.of("tenant_id || agent_id", "event = 'erase'") == ["acmeeraser"]
    assert "nobody" not in str(await entries.of("details::text"))


@pytest.mark.parametrize("conditions", [{}, {"include_forgotten": True}, {"unknown": 1}, {"agent_id": ""}])
async def test_no_condition_or_a_wrong_one_erases_nothing(entries: Entries, superuser: Any, conditions: Any) -> None:
    await store("acme")
    async with guild.tenant_scope("acme"):
        with pytest.raises(InvalidInputError):
            await guild.erase_where(**conditions)
    assert len(await rows_of(superuser, "true")) == 5


# --- beside others ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_tenant", [True, False])
async def test_what_others_store_meanwhile_is_erased_whole_or_stays_whole(
    entries: Entries, superuser: Any, is_tenant: bool
) -> None:
    stored = 0

    async def storing(name: str) -> None:
        nonlocal stored
        for number in range(15):
            async with guild.tenant_scope("acme", agent_id="scribe"):
                memory = await guild.remember(f"{name} {number}", source_type="document")
                await guild.MemoryEmbedding.create(memory=memory.memory, vector_id="v", embedding_model="small")
            stored += 1

    erased: list[guild.ErasureReceipt] = []

    async def erasing() -> None:
        while stored < 45:
            await asyncio.sleep(0.02)
            if is_tenant:
                async with guild.admin_scope("while others store"):
                    erased.append(await guild.erase_tenant("acme", batch_size=2))
            else:
                async with guild.tenant_scope("acme"):
                    erased.append(await guild.erase_where(agent_id="scribe", batch_size=2))

    await asyncio.gather(*map(storing, "abc"), erasing())
    left = await rows_of(superuser, "true")
    assert sum(receipt.memories for receipt in erased) + len(left) == 45
    assert sum(receipt.rows["memory_embeddings"] for receipt in erased) + len(left) == 45
    assert await superuser.fetchval("SELECT count(*) FROM memory_embeddings") == len(left)


async def test_two_who_erase_the_same_share_it_without_a_deadlock(entries: Entries, superuser: Any) -> None:
    await store("acme", 40)

    async def erase() -> guild.ErasureReceipt:
        async with guild.tenant_scope("acme"):
            return await guild.erase_where(agent_id="scribe", batch_size=3)

    receipts = await asyncio.gather(*(erase() for _ in range(4)))
    assert sum(receipt.memories for receipt in receipts) == 40
    assert sum(receipt.rows["memory_relationships"] for receipt in receipts) == 39


async def test_what_changed_while_its_lock_was_waited_for_is_looked_at_again(entries: Entries, superuser: Any) -> None:
    memory = (await store("acme", 1))[0]
    await superuser.execute("BEGIN")
    await superuser.execute("UPDATE memory_records SET agent_id = 'other' WHERE memory_id = $1", memory.memory_id)

    async def erase() -> guild.ErasureReceipt:
        async with guild.tenant_scope("acme"):
            return await guild.erase_where(agent_id="scribe")

    erasing = asyncio.create_task(erase())
    await asyncio.sleep(0.5)
    await superuser.execute("COMMIT")
    assert (await erasing).memories == 0
    assert len(await rows_of(superuser, "true")) == 1
