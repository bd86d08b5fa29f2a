"""What recall reads lies first in the rows of words, and the upgrade that moves it there keeps all else."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

import memory_guild as guild
from tests.search.earlier import downgrade_to_before, upgrade_to_before
from tests.search.words import Connection, assert_vectors_are_true
from tests.tenancy.logins import MAINTAINER, connected, login, user_of

MIGRATION = "_words_first.py"
TENANTS = ("acme", "bolt", "umbrella")

COLUMNS = """
SELECT partition.relname::text, array_agg(attname::text ORDER BY attnum) AS columns
FROM pg_inherits
JOIN pg_class AS partition ON partition.oid = inhrelid
JOIN pg_attribute ON attrelid = partition.oid AND attnum > 0
WHERE inhparent = 'memory_words'::regclass
GROUP BY 1 ORDER BY 1
"""
"""The columns of each partition as they lie in its rows, those that were dropped too."""

ROWS = """
SELECT tableoid::regclass::text, tenant_id, memory_id, lexemes::text, pivot, is_question, names_time, starts,
    is_forgotten, is_complete, words::text, text_search
FROM memory_words ORDER BY tenant_id, memory_id
"""
KEPT = """
SELECT relname::text, relkind, pg_get_userbyid(relowner)::text, relrowsecurity, relforcerowsecurity, reloptions,
    pg_get_expr(relpartbound, relation.oid) AS bound,
    (SELECT array_agg(item::text ORDER BY item::text) FROM unnest(relacl) AS item) AS grants,
    (
        SELECT array_agg(concat_ws(
            ' ', attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attacl, pg_get_expr(adbin, adrelid)
        ) ORDER BY attname)
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
    ) AS columns,
    (
        SELECT array_agg(concat_ws(
            ' ', polname, polcmd, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
        ) ORDER BY polname)
        FROM pg_policy WHERE polrelid = relation.oid
    ) AS policies,
    (
        SELECT array_agg(concat_ws(' ', pg_get_indexdef(indexrelid), inhparent::regclass))
        FROM pg_index LEFT JOIN pg_inherits ON inhrelid = indexrelid WHERE indrelid = relation.oid
    ) AS indexes
FROM pg_class AS relation WHERE relname ~ '^memory_words' AND relkind IN ('r', 'p') ORDER BY relname
"""
"""All of the table and of its partitions but the order of the columns."""

OWN = """
SELECT 'TABLE ' || oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'FUNCTION ' || oid::regprocedure FROM pg_proc WHERE proname LIKE 'memory_guild%'
"""
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() ORDER BY pid"
WAITING = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IN ('memory_records'::regclass, 'memory_words'::regclass)
"""


class Earlier(NamedTuple):
    """A database of three tenants whose words lie behind what recall skips, and the migrations that it lacks."""

    url: str
    later: list[str]


@pytest.fixture
async def earlier(database_url: str, has_vectors: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Earlier:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    later = await upgrade_to_before(MIGRATION, database_url, tmp_path, monkeypatch)
    async with guild.connect(database_url, check_schema=False):
        for tenant_id in TENANTS:
            async with guild.tenant_scope(tenant_id, agent_id="scribe"):
                report = await guild.remember_many(
                    {
                        "content_text": f"{tenant_id} painted door {number} {'and more ' * number}",
                        "source_type": "document",
                    }
                    for number in range(100)
                )
                ids = [item.memory_id for item in report if item.memory_id]
                await guild.relate_many(
                    {"source_memory_id": later, "target_memory_id": former, "relationship_type": "follows"}
                    for former, later in pairwise(ids)
                )
                await guild.forget(ids[2])
    return Earlier(database_url, later)


async def kept(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(KEPT)]


async def until_wait(connection: Connection, count: int) -> None:
    """Until so many wait for the tables."""
    async with asyncio.timeout(60):
        while await connection.fetchval(WAITING) < count:  # noqa: ASYNC110 - other connections wait
            await asyncio.sleep(0.01)


async def recalled(tenant_id: str = "acme") -> list[tuple[UUID, float, Any, Any, Any]]:
    async with guild.tenant_scope(tenant_id):
        return [
            (found.memory_id, found.score, found.flags, found.own_words, found.neighbor_words)
            for found in await guild.recall("Who painted the door?", limit=20)
        ]


async def test_what_recall_skips_lies_behind_what_it_reads(past_scopes: Connection) -> None:
    partitions = await past_scopes.fetch(COLUMNS)
    assert len(partitions) == 8
    for partition in partitions:
        words = partition["columns"].index("words")
        assert {"lexemes", "text_search"} <= set(partition["columns"][words:])
        assert not [column for column in partition["columns"] if "dropped" in column]
        assert partition["columns"][:words][-1] == "tenant_id"  # the only one before them whose length differs


@pytest.mark.long
@pytest.mark.parametrize("is_sealed", [False, True], ids=["open", "sealed"])
async def test_all_but_the_order_stays_up_and_down(
    earlier: Earlier, monkeypatch: pytest.MonkeyPatch, *, is_sealed: bool
) -> None:
    if is_sealed:
        monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", await guild.schema.seal(earlier.url))
    async with login(earlier.url, "") as reader, connected(earlier.url) as connection:
        await connection.execute(
            f"GRANT SELECT, UPDATE ON memory_words_0, memory_words TO {user_of(reader)} WITH GRANT OPTION;"
            f" GRANT SELECT ON memory_words_3 TO {user_of(reader)};"
            " GRANT SELECT (memory_id) ON memory_words TO PUBLIC; GRANT REFERENCES ON memory_words_4 TO PUBLIC;"
            " ALTER TABLE memory_words_3 SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.1)"
        )
        rows, catalog, before = await connection.fetch(ROWS), await kept(connection), await connection.fetch(COLUMNS)
        async with guild.connect(earlier.url, check_schema=False):
            results = [await recalled(tenant_id) for tenant_id in TENANTS]
        assert len(rows) == 300
        assert min(map(len, results)) == 20

        assert await guild.upgrade(earlier.url) == earlier.later

        assert await connection.fetch(COLUMNS) != before
        assert await connection.fetch(ROWS) == rows
        assert await kept(connection) == catalog
        assert (await guild.schema.validate(earlier.url)).differences == ()
        async with guild.connect(earlier.url):
            assert [await recalled(tenant_id) for tenant_id in TENANTS] == results
        for tenant_id in TENANTS:
            await assert_vectors_are_true(connection, tenant_id)

        assert await downgrade_to_before(MIGRATION, earlier.url) == earlier.later[::-1]

        names = [[column for column in row["columns"] if "dropped" not in column] for row in before]
        assert [row["columns"] for row in await connection.fetch(COLUMNS)] == names
        assert await connection.fetch(ROWS) == rows
        assert await kept(connection) == catalog
        assert await guild.upgrade(earlier.url) == earlier.later
        assert await connection.fetch(ROWS) == rows


@pytest.mark.long
@pytest.mark.parametrize("migrating", ["owner", "superuser"])
async def test_no_row_is_hidden_from_an_owner_without_privileges(earlier: Earlier, migrating: str) -> None:
    async with connected(earlier.url) as connection:
        rows = await connection.fetch(ROWS)
        async with login(earlier.url, MAINTAINER) as owner:
            name = user_of(owner)
            await connection.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
            for row in await connection.fetch(OWN):
                await connection.execute(f"ALTER {row[0]} OWNER TO {name}")
            catalog = await kept(connection)

            assert await guild.upgrade(owner if migrating == "owner" else earlier.url) == earlier.later

            assert await connection.fetch(ROWS) == rows
            assert await kept(connection) == catalog
            await connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")


@pytest.mark.long
async def test_an_agent_recalls_and_stores_over_the_same_connection_before_and_after(earlier: Earlier) -> None:
    async with connected(earlier.url) as connection:
        async with guild.connect(earlier.url, check_schema=False):
            before = await recalled()
            async with guild.tenant_scope("acme", agent_id="scribe"):
                await guild.remember("Warm the statements up.", source_type="document")
            backends = await connection.fetch(BACKENDS)

            assert await guild.upgrade(earlier.url) == earlier.later

            assert await recalled() == before
            async with guild.tenant_scope("acme", agent_id="scribe"):
                new = await guild.remember("The xylophone is blue.", source_type="document")
                await guild.relate(new, before[0][0], "follows")
                assert (await guild.recall("xylophones"))[0].memory_id == new.memory_id
                await guild.forget(before[1][0])
            assert before[1][0] not in [result[0] for result in await recalled()]
            assert await connection.fetch(BACKENDS) == backends
        await assert_vectors_are_true(connection, "acme")


@pytest.mark.long
async def test_a_recall_that_begins_while_rows_are_copied_finds_them(earlier: Earlier) -> None:
    async with (
        connected(earlier.url) as reader,
        connected(earlier.url) as watching,
        guild.connect(earlier.url, check_schema=False),
    ):
        before = await recalled()
        async with reader.transaction():
            await reader.execute("LOCK TABLE memory_words IN ACCESS SHARE MODE")
            upgrading = asyncio.create_task(guild.upgrade(earlier.url))
            await until_wait(watching, 1)
            recalling = asyncio.create_task(recalled())
            await until_wait(watching, 2)
        assert await recalling == before
        assert await upgrading == earlier.later


@pytest.mark.long
async def test_agents_at_work_neither_fail_nor_miss_anything(earlier: Earlier) -> None:
    upgraded = asyncio.Event()
    rounds = 0

    async def work(number: int) -> None:
        nonlocal rounds
        tenant_id = TENANTS[number % len(TENANTS)]
        while not upgraded.is_set():
            async with guild.tenant_scope(tenant_id, agent_id="worker"):
                text = f"worker {number} painted the gate {rounds}"
                new = (await guild.remember(text, source_type="document")).memory
                assert new.memory_id in [found.memory_id for found in await guild.recall(text)]
            assert len(await recalled(tenant_id)) == 20
            rounds += 1

    async def upgrade() -> list[str]:
        try:
            return await guild.upgrade(earlier.url)
        finally:
            upgraded.set()

    async with connected(earlier.url) as connection, guild.connect(earlier.url, check_schema=False):
        *_, applied = await asyncio.gather(*(work(number) for number in range(4)), upgrade())
        assert applied == earlier.later
        assert rounds > 0
        for tenant_id in TENANTS:
            await assert_vectors_are_true(connection, tenant_id)
