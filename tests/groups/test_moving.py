"""A tenant changes its group: with all that it has, once, and whatever its agents do meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.statements import statement
from memory_guild.errors import InvalidInputError, LockNotAvailableError, SchemaError, UnknownGroupError
from memory_guild.protocols import IndexEntry
from memory_guild.schema import groups as groups_of_database
from memory_guild.schema import moving_tenants
from memory_guild.schema.groups import TenantMove, group_of, list_all, move_tenant
from memory_guild.types import AuditEvent
from tests.databases import run_statement
from tests.groups.placed import TABLES, count_of, remember_in, rows_of, texts_of
from tests.search.indexes import DictIndex
from tests.tenancy.logins import connected

MODEL = "written:down"
WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def a_life(tenant_id: str, *, with_vectors: bool) -> None:
    """Memories that follow each other, forgotten, changed and embedded ones, from sources that are no more the same."""
    async with guild.tenant_scope(tenant_id, agent_id="scribe"):
        report = await guild.remember_many(
            [{"content_text": f"{tenant_id} said {n}", "source_type": "conversation"} for n in range(30)], source="crm"
        )
        assert report.created == 30
        memories = await guild.find(limit=30)
        for earlier, later in pairwise(memories):
            await guild.relate(later, earlier, "follows")
        await guild.forget(memories[3], memories[4])
        await guild.supersede(memories[5], "what was said in other words")
        await guild.update(memories[6], metadata={"page": 7})
        held = (await guild.remember("held", source_type="external", source="held")).memory
        assert held is not None
        if with_vectors:
            vectors = [(memory, [float(number), 1.0, 0.0]) for number, memory in enumerate(memories[7:12])]
            await guild.embeddings.attach(vectors, model=MODEL)


async def sources_in(group: str) -> None:
    async with guild.admin_scope("test", group=group):
        await guild.sources.register("crm", source_type="api")
        await guild.sources.register("held", source_type="api", metadata={"quarantine": True})


@asynccontextmanager
async def two_lives(url: str, *, with_vectors: bool) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Two tenants in one group, and a superuser who looks."""
    async with guild.connect(url):
        await sources_in("public")
        for tenant_id in ("acme", "bolt"):
            await texts_of(tenant_id)
            await move_tenant(tenant_id, "public", database_url=url)
            await a_life(tenant_id, with_vectors=with_vectors)
        async with guild.admin_scope("test", group="public"):
            await guild.sources.deactivate("crm")
            await guild.sources.update("held", metadata={})
        async with connected(url) as superuser:
            yield superuser


def of_tenant(rows: dict[str, list[Any]], memory_ids: set[str], tenant_id: str) -> dict[str, list[Any]]:
    """The rows of a tenant, without what names a source by its id, and what is made anew but by and by."""
    ends = ("memory_id", "source_memory_id")
    return {
        table: sorted(
            (
                {name: value for name, value in row.items() if name not in ("source_id", "starts")}
                for row in found
                if row.get("tenant_id") == tenant_id or any(row.get(end) in memory_ids for end in ends)
            ),
            key=json.dumps,
        )
        for table, found in rows.items()
        if table != "memory_word_counts"
    }


@pytest.mark.long
async def test_all_that_a_tenant_has_goes_along(any_groups_url: str, request: pytest.FixtureRequest) -> None:
    url, is_searched = any_groups_url, "with the search" in request.node.name
    async with two_lives(url, with_vectors=is_searched) as superuser:
        before = await rows_of(superuser, "public")
        ids = {
            tenant_id: {row["memory_id"] for row in before["memory_records"] if row["tenant_id"] == tenant_id}
            for tenant_id in ("acme", "bolt")
        }
        moved = await move_tenant("acme", "north", database_url=url)

        assert moved[:3] == ("acme", "public", "north")
        assert moved.rows["memory_records"] == len(ids["acme"]) == 32
        assert set(before) == (set(TABLES) if is_searched else set(TABLES[:4]))
        left, arrived = await rows_of(superuser, "public"), await rows_of(superuser, "north")
        assert of_tenant(arrived, ids["acme"], "acme") == of_tenant(before, ids["acme"], "acme")
        assert of_tenant(left, ids["bolt"], "bolt") == of_tenant(before, ids["bolt"], "bolt")
        assert not any(of_tenant(left, ids["acme"], "acme").values())
        stamps = await superuser.fetch(
            "SELECT source_name, is_held, count(*) FROM north.memory_sources JOIN north.data_sources USING (source_id)"
            " GROUP BY source_name, is_held ORDER BY source_name"
        )
        assert [tuple(row) for row in stamps] == [("crm", False, 30), ("held", True, 1)]
        async with guild.tenant_scope("acme") as scope:
            assert scope.group == "north"
            assert await guild.count() == 29
            if is_searched:
                assert (await guild.recall("what was said in other words"))[0].memory.tenant_id == "acme"

        assert (await move_tenant("acme", "public", database_url=url)).rows["memory_records"] == 32
        again = await rows_of(superuser, "public")
        for tenant_id in ("acme", "bolt"):
            assert of_tenant(again, ids[tenant_id], tenant_id) == of_tenant(before, ids[tenant_id], tenant_id)


async def test_what_is_moved_is_in_the_audit_of_both_groups_and_in_the_log(
    groups: str, caplog: pytest.LogCaptureFixture
) -> None:
    await remember_in(groups, "public", "acme")
    with caplog.at_level("INFO", "memory_guild.audit"):
        await move_tenant("acme", "north", database_url=groups)
    assert [getattr(record, "event", None) for record in caplog.records if record.name == "memory_guild.audit"] == [
        AuditEvent.MOVE,
        AuditEvent.MOVE,
    ]
    for group in ("public", "north"):
        async with guild.admin_scope("test", group=group):
            (entry,) = await guild.audit.entries(event=AuditEvent.MOVE)
        assert (entry.tenant_id, entry.subject, entry.details["from"]) == ("acme", "north", "public")
        assert entry.details["rows"]["memory_records"] == 1
    assert [(one.name, one.tenants) for one in await list_all(database_url=groups)] == [("public", 0), ("north", 1)]


async def test_a_process_that_knew_the_old_group_finds_the_new_one(groups_url: str) -> None:
    async with guild.connect(groups_url):
        await remember_in(groups_url, "public", "acme")
        async with guild.connect(groups_url) as other:
            assert await texts_of("acme") == ("public", ["what acme knows"])
        await move_tenant("acme", "north", database_url=groups_url)
        assert await texts_of("acme") == ("north", ["what acme knows"])
        with pytest.raises(guild.MemoryGuildError), other.use():
            await texts_of("acme")


async def agent(url: str, tenants: int, stop: asyncio.Event, stored: list[str], number: int) -> None:
    """Stores pairs that follow each other, and reads back what it has stored, as a process of its own would."""
    async with guild.connect(url, check_schema=False):
        turn = 0
        while not stop.is_set():
            turn += 1
            tenant_id = f"tenant {turn % tenants}"
            texts = [f"{tenant_id} {number} {turn} {half}" for half in ("first", "second")]
            async with guild.tenant_scope(tenant_id, agent_id="scribe"):
                pair = [(await guild.remember(text, source_type="document")).memory for text in texts]
                await guild.relate(pair[1], pair[0], "follows")
            stored += texts
            async with guild.tenant_scope(tenant_id):
                assert len(await guild.traverse(pair[1])) == 1


@pytest.mark.long
async def test_nothing_is_lost_or_halved_while_agents_write_and_tenants_move(any_groups_url: str) -> None:
    url = any_groups_url
    tenants, stop = 2, asyncio.Event()
    stored: list[list[str]] = [[], [], []]
    agents = [asyncio.create_task(agent(url, tenants, stop, mine, n)) for n, mine in enumerate(stored)]
    while not all(len(mine) > 20 for mine in stored):  # noqa: ASYNC110 - the agents only store
        await asyncio.sleep(0.05)
    moves = 0
    for turn in range(20):
        target = "north" if turn % 2 else "public"
        for number in range(tenants):
            move = await move_tenant(f"tenant {number}", target, database_url=url)
            moves += move.source != move.target
        await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*agents)

    assert moves >= 38
    expected = sorted(text for mine in stored for text in mine)
    async with guild.connect(url):
        found = [await texts_of(f"tenant {number}") for number in range(tenants)]
    assert sorted(text for _, texts in found for text in texts) == expected
    async with connected(url) as superuser:
        for group in ("public", "north"):
            rows = await rows_of(superuser, group)
            ids = {row["memory_id"] for row in rows["memory_records"]}
            assert all(
                {row["source_memory_id"], row["target_memory_id"]} <= ids for row in rows["memory_relationships"]
            )
            assert len(rows["memory_relationships"]) * 2 == len(ids)
            if "memory_words" in rows:
                assert {row["memory_id"] for row in rows["memory_words"]} == ids


async def test_a_move_waits_for_open_scopes_and_new_ones_wait_for_it(groups: str) -> None:
    await remember_in(groups, "public", "acme")
    async with guild.tenant_scope("acme", agent_id="scribe"):
        moving = asyncio.create_task(move_tenant("acme", "north", database_url=groups))
        await asyncio.sleep(0.5)
        assert not moving.done()
        await guild.remember("written meanwhile", source_type="document")
    assert (await moving).rows["memory_records"] == 2
    assert await texts_of("acme") == ("north", ["what acme knows", "written meanwhile"])


async def test_scopes_that_wait_for_a_move_keep_no_connection_from_others(
    groups_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")
    async with guild.connect(groups_url):
        await remember_in(groups_url, "public", "acme", "bolt")
        async with connected(groups_url) as mover:
            await mover.execute("BEGIN")
            await mover.fetch(statement("schema/lock_placement"), "public", "acme")
            waiting = [asyncio.create_task(texts_of("acme")) for _ in range(6)]
            for _ in range(5):
                assert await asyncio.wait_for(texts_of("bolt"), 10) == ("public", ["what bolt knows"])
            assert not any(task.done() for task in waiting)
            await mover.execute("ROLLBACK")
        assert await asyncio.gather(*waiting) == [("public", ["what acme knows"])] * 6


async def test_a_scope_that_does_not_end_makes_the_move_give_up(groups: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_tenants, "_LOCK_ATTEMPTS", 2)
    await remember_in(groups, "public", "acme")
    async with guild.tenant_scope("acme"):
        with pytest.raises(LockNotAvailableError):
            await move_tenant("acme", "north", database_url=groups)
    assert await texts_of("acme") == ("public", ["what acme knows"])


@pytest.mark.parametrize("step", range(1, 16, 2))
async def test_a_move_that_is_killed_moves_nothing(groups: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever moves dies after some of the statements; a trigger of the test's own does it."""
    await remember_in(groups, "public", "acme", "bolt")
    async with connected(groups) as superuser:
        before = [await rows_of(superuser, group) for group in ("public", "north")]
        async with connected(groups) as killer:
            execute = asyncpg.Connection.execute
            seen = 0

            async def dying(self: Any, query: str, *arguments: Any, **options: Any) -> str:
                nonlocal seen
                if "north.memory_" in query or "public.memory_" in query:
                    seen += 1
                    if seen == step:
                        pid = self.get_server_pid()
                        await execute(killer, f"SELECT pg_terminate_backend({pid})")
                return await execute(self, query, *arguments, **options)

            monkeypatch.setattr(asyncpg.Connection, "execute", dying)
            moved = step > 13
            try:
                await move_tenant("acme", "north", database_url=groups)
            except guild.MemoryGuildError:
                assert seen == step
            else:
                moved = True
            monkeypatch.undo()
        if not moved:
            assert [await rows_of(superuser, group) for group in ("public", "north")] == before
            assert await group_of("acme", database_url=groups) == "public"
        total = sum([await count_of(superuser, group, "acme") for group in ("public", "north")])
        assert total == 1
    assert (await texts_of("acme"))[1] == ["what acme knows"]


async def test_what_cannot_be_moved_is_refused(groups: str) -> None:
    await remember_in(groups, "public", "acme")
    with pytest.raises(UnknownGroupError):
        await move_tenant("acme", "south", database_url=groups)
    with pytest.raises(InvalidInputError, match="tenant_id: is in no group"):
        await move_tenant("nobody", "north", database_url=groups)
    with pytest.raises(InvalidInputError):
        await move_tenant("", "north", database_url=groups)
    assert await move_tenant("acme", "public", database_url=groups) == TenantMove("acme", "public", "public", {})
    assert await texts_of("acme") == ("public", ["what acme knows"])


async def test_a_group_without_the_search_takes_no_tenant_that_has_it(searched_groups_url: str) -> None:
    await guild.upgrade(searched_groups_url, schema="south")
    await groups_of_database.create("south", database_url=searched_groups_url)
    async with guild.connect(searched_groups_url):
        await remember_in(searched_groups_url, "public", "acme")
        await run_statement(searched_groups_url, "DROP SCHEMA south CASCADE")
        await guild.upgrade(searched_groups_url, schema="south")
        with pytest.raises(SchemaError, match="MEMORY_GUILD_SCHEMA=south"):
            await move_tenant("acme", "south", database_url=searched_groups_url)
        assert await texts_of("acme") == ("public", ["what acme knows"])


async def test_an_index_outside_loses_nothing_of_a_tenant_that_moves(searched_groups_url: str) -> None:
    index = DictIndex()
    url = searched_groups_url
    async with guild.connect(url, vector_index=index):
        for tenant_id in ("acme", "bolt", "citadel"):
            async with guild.tenant_scope(tenant_id, agent_id="scribe"):
                memory = (await guild.remember("text", source_type="document")).memory
                await guild.embeddings.attach([(memory, [1.0, 0.0])], model=MODEL)
        assert (await guild.sync_vectors()).stored == 3
        assert {tenant_id for tenant_id, _ in index.kept} == {"acme", "bolt", "citadel"}
        for tenant_id, target in (("acme", "north"), ("bolt", "public")):
            await move_tenant(tenant_id, target, database_url=url)
        await guild.sync_vectors()
        assert {tenant: len(kept) for (tenant, _), kept in index.kept.items()} == {"acme": 1, "bolt": 1, "citadel": 1}
        assert await guild.sweep_vectors() == guild.SweepReport(listed=3)
        async with guild.tenant_scope("acme"):
            await guild.forget(*await guild.find())
        await guild.sync_vectors()
        assert [len(kept) for (tenant, _), kept in index.kept.items() if tenant == "acme"] == [0]
        assert await guild.unregister_vector_index()


class ListsAfterwards(DictIndex):
    """An index whose list takes so long that something else happens first."""

    first: Callable[[], Awaitable[object]] | None = None

    async def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        if self.first is not None:
            first, self.first = self.first, None
            await first()
        async for entry in super().list(tenant_id, model):
            yield entry


async def test_a_sweep_does_not_take_the_vectors_of_a_tenant_that_moves_for_orphans(searched_groups_url: str) -> None:
    index, url = ListsAfterwards(), searched_groups_url
    async with guild.connect(url, vector_index=index):
        await remember_in(url, "public", "acme")
        async with guild.tenant_scope("acme"):
            await guild.embeddings.attach([(memory, [1.0, 0.0]) for memory in await guild.find()], model=MODEL)
        assert (await guild.sync_vectors()).stored == 1

        async def move() -> None:
            await move_tenant("acme", "north", database_url=url)
            await guild.sync_vectors()

        index.first = move
        assert await guild.sweep_vectors() == guild.SweepReport(listed=1)  # in its new group
        assert (await guild.sync_vectors()).deleted == 0
        assert [len(kept) for kept in index.kept.values()] == [1]


async def test_a_key_that_is_just_claimed_is_not_due_after_the_move(searched_groups_url: str) -> None:
    index, url = DictIndex(), searched_groups_url
    async with guild.connect(url, vector_index=index):
        await guild.sync_vectors()
        await remember_in(url, "public", "acme")
        async with guild.tenant_scope("acme"):
            await guild.embeddings.attach([(memory, [1.0, 0.0]) for memory in await guild.find()], model=MODEL)
        async with connected(url) as worker, connected(url) as witness:
            async with worker.transaction():
                await worker.execute("UPDATE public.memory_vector_outbox SET due_at = now() + interval '1 hour'")
                moving = asyncio.create_task(move_tenant("acme", "north", database_url=url))
                while not await witness.fetchval(WAITERS):  # noqa: ASYNC110 - the server does not say when
                    await asyncio.sleep(0.01)
            await moving
            assert await witness.fetchval(
                "SELECT due_at > now() + interval '50 minutes' FROM north.memory_vector_outbox"
            )
