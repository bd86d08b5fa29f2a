"""Groups of tenants on Citus: made on workers, and moved between them while agents write; a tenant that moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypedDict
from uuid import uuid4

import pytest

import memory_guild as guild
from memory_guild.errors import InvalidInputError, SchemaError, UnknownGroupError
from memory_guild.schema.groups import create, group_of, list_all, move, move_tenant, names, rebalance, upgrade_all
from tests import citus
from tests.tenancy.logins import connected


@pytest.fixture
async def home() -> AsyncIterator[str]:
    """The URL of a catalogue with two groups, in a schema that is not distributed; all three are gone afterwards."""
    name = f"mg_home_{uuid4().hex[:8]}"
    url = citus.with_schema(name)
    async with connected(url) as superuser:
        await superuser.execute(f"CREATE SCHEMA {name}")
        groups = [f"{name}_{letter}" for letter in "ab"]
        for group in groups:
            assert await create(group, database_url=url, schema=name, force=True)
    yield url
    async with connected(url) as superuser:  # a new connection: a test may have ended what the other one has to workers
        await superuser.execute("SET client_min_messages = warning")
        for schema in [*await names(database_url=url, schema=name), name]:
            await superuser.execute(f"DROP SCHEMA {schema} CASCADE")


class Place(TypedDict):
    """Where the catalogue is."""

    database_url: str
    schema: str | None


def place_of(url: str) -> Place:
    return Place(database_url=url, schema=citus.schema_of(url))


async def workers(url: str) -> list[str]:
    async with connected(url) as superuser:
        rows = await superuser.fetch(
            "SELECT nodename, nodeport FROM pg_dist_node WHERE shouldhaveshards ORDER BY nodeid"
        )
    return [f"{row['nodename']}:{row['nodeport']}" for row in rows]


async def texts_of(tenant_id: str) -> tuple[str, list[str]]:
    async with guild.tenant_scope(tenant_id) as scope:
        return scope.group, sorted([memory.content_text async for memory in guild.find_all()])


async def test_the_same_code_works_in_groups_on_two_workers(home: str) -> None:
    place = place_of(home)
    one, other = await names(**place)
    async with guild.connect(home, schema=citus.schema_of(home)):
        for number in range(4):
            async with guild.tenant_scope(f"tenant {number}", agent_id="scribe") as scope:
                assert scope.group == (one, other)[number % 2]
                first = (await guild.remember("first", source_type="document")).memory
                second = (await guild.remember("second", source_type="document")).memory
                await guild.relate(second, first, "follows")
                assert len(await guild.traverse(second)) == 1
        for group in (one, other):
            async with guild.admin_scope("test", group=group):
                assert await guild.MemoryRecord.all().count() == 4
                await guild.sources.register("crm", source_type="api")
    assert {group.node for group in await list_all(**place)} <= set(await workers(home))
    assert [group.tenants for group in await list_all(**place)] == [2, 2]
    assert all(group.size_bytes > 0 for group in await list_all(**place))
    assert [done.error for done in await upgrade_all(**place)] == [None, None]
    for group in (one, other):
        assert (await guild.schema.validate(home, schema=group)).differences == ()
    assert [finding for finding in await guild.schema.doctor(**place) if finding.level == "broken"] == []
    assert await create(f"{one}_like", like=one, **place)
    async with guild.connect(home, schema=citus.schema_of(home)), guild.admin_scope("test", group=f"{one}_like"):
        assert [source.source_name for source in await guild.sources.list_all()] == ["crm"]


async def test_a_tenant_changes_its_group(home: str) -> None:
    place = place_of(home)
    one, other = await names(**place)
    async with guild.connect(home, schema=citus.schema_of(home)):
        for group in (one, other):
            async with guild.admin_scope("test", group=group):
                await guild.sources.register("crm", source_type="api")
        async with guild.tenant_scope("acme", agent_id="scribe"):
            first = (await guild.remember("first", source_type="document", source="crm")).memory
            second = (await guild.remember("second", source_type="document")).memory
            await guild.relate(second, first, "follows")
            await guild.forget((await guild.remember("forgotten", source_type="document")).memory)
        moved = await move_tenant("acme", other, **place)
        assert (moved.source, moved.rows["memory_records"], moved.rows["memory_sources"]) == (one, 3, 1)
        assert await texts_of("acme") == (other, ["first", "second"])
        async with guild.tenant_scope("acme"):
            assert (await guild.get(first.memory_id)).updated_at == first.updated_at
            assert len(await guild.traverse(second)) == 1
        async with guild.admin_scope("test", group=one):
            assert await guild.MemoryRecord.all().count() == 0
    assert await group_of("acme", **place) == other


@pytest.mark.parametrize("online", [False, True], ids=["writes wait", "online"])
async def test_groups_move_while_agents_write(home: str, online: bool) -> None:
    place = place_of(home)
    one, other = await names(**place)
    stop, stored = asyncio.Event(), [[], []]  # type: ignore[var-annotated]

    async def agent(number: int) -> None:
        turn = 0
        async with guild.connect(home, schema=citus.schema_of(home), check_schema=False):
            while not stop.is_set():
                turn += 1
                texts = [f"{turn} {half}" for half in ("first", "second")]
                async with guild.tenant_scope(f"tenant {number}", agent_id="scribe"):
                    pair = [(await guild.remember(text, source_type="document")).memory for text in texts]
                    await guild.relate(pair[1], pair[0], "follows")
                stored[number] += texts

    async with guild.connect(home, schema=citus.schema_of(home)):
        for number in range(2):  # so each has its own group
            await texts_of(f"tenant {number}")
    agents = [asyncio.create_task(agent(number)) for number in range(2)]
    nodes = await workers(home)
    at_first = {group.name: group.node for group in await list_all(**place)}
    target = next(node for node in nodes if node != at_first[one])
    seen: list[float] = []
    moved = await move(one, target, online=online, progress=lambda at: seen.append(at.fraction), **place)
    assert (moved.source, moved.target) == (at_first[one], target)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert {group.name: group.node for group in await list_all(**place)}[one] == target
    for done in await rebalance(online=online, **place):
        assert {group.name: group.node for group in await list_all(**place)}[done.group] == done.target
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*agents)

    async with guild.connect(home, schema=citus.schema_of(home)):
        for number, texts in enumerate(stored):
            assert (await texts_of(f"tenant {number}"))[1] == sorted(texts)
            async with guild.admin_scope("test", group=(one, other)[number]):
                assert await guild.MemoryRelationship.all().count() == len(texts) // 2
    assert [finding for finding in await guild.schema.doctor(**place) if finding.level == "broken"] == []
    assert [f.level for f in await guild.schema.doctor(**place) if f.subject == "policies of the shards"] == [
        "ok",
        "ok",
    ]


KILLS = """
SELECT run_command_on_workers(format(
    $$ SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE current_setting('port') = %L AND backend_type = 'client backend' AND pid <> pg_backend_pid() $$, $1::text
))
"""
"""Ends all sessions on one worker, as when it crashes; it is back at once."""


async def test_a_worker_that_loses_its_sessions_halves_nothing_and_disturbs_no_other(home: str) -> None:
    place = place_of(home)
    one, other = await names(**place)
    nodes = await workers(home)
    await move(one, nodes[0], **place)
    await move(other, nodes[1], **place)
    stop = asyncio.Event()
    stored: list[list[str]] = [[], []]
    errors: list[list[Exception]] = [[], []]

    async def agent(number: int) -> None:
        turn = 0
        async with guild.connect(home, schema=citus.schema_of(home), check_schema=False):
            while not stop.is_set():
                turn += 1
                texts = [f"{turn} {half}" for half in ("first", "second")]
                try:
                    async with guild.tenant_scope(f"tenant {number}", agent_id="scribe"):
                        pair = [(await guild.remember(text, source_type="document")).memory for text in texts]
                        await guild.relate(pair[1], pair[0], "follows")
                except guild.MemoryGuildError as error:
                    errors[number].append(error)
                    await asyncio.sleep(0.02)
                else:
                    stored[number] += texts

    async with guild.connect(home, schema=citus.schema_of(home)):
        for number in range(2):
            await texts_of(f"tenant {number}")
    agents = [asyncio.create_task(agent(number)) for number in range(2)]
    async with connected(home) as superuser:
        for _ in range(10):
            await asyncio.sleep(0.2)
            await superuser.fetch(KILLS, nodes[0].rpartition(":")[2])
    before = len(stored[0])
    while len(stored[0]) < before + 4:  # noqa: ASYNC110 - it works again
        await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*agents)

    assert errors[0]
    assert errors[1] == []
    async with guild.connect(home, schema=citus.schema_of(home)):
        for number, texts in enumerate(stored):
            found = (await texts_of(f"tenant {number}"))[1]
            assert set(texts) <= set(found)  # whether an interrupted commit took place, nobody was told
            assert len(found) == len({text.partition(" ")[0] for text in found}) * 2
            async with guild.admin_scope("test", group=(one, other)[number]):
                assert await guild.MemoryRelationship.all().count() == len(found) // 2


async def test_a_catalogue_is_on_the_coordinator_and_its_groups_are_on_workers(home: str) -> None:
    place = place_of(home)
    one, _ = await names(**place)
    with pytest.raises(SchemaError, match="cannot have the catalogue"):
        await create("elsewhere", database_url=home, schema=one, force=True)
    plain = f"{one}_plain"
    async with connected(home) as superuser:
        await superuser.execute(f"CREATE SCHEMA {plain}")
        try:
            await guild.upgrade(home, schema=plain)
            with pytest.raises(SchemaError, match="are no distributed ones"):
                await create("elsewhere", database_url=home, schema=plain, force=True)
            assert not await superuser.fetchval("SELECT to_regnamespace('elsewhere')")
        finally:
            await superuser.execute(f"SET client_min_messages = warning; DROP SCHEMA {plain} CASCADE")


async def test_what_cannot_be_moved_is_refused(home: str) -> None:
    place = place_of(home)
    one, _ = await names(**place)
    with pytest.raises(InvalidInputError, match="node: is none of the workers"):
        await move(one, "nowhere:1", **place)
    with pytest.raises(UnknownGroupError):
        await move("nothing", (await workers(home))[0], **place)


async def test_a_move_that_is_interrupted_is_mended_by_the_next(home: str) -> None:
    place = place_of(home)
    one, _ = await names(**place)
    here = {group.name: group.node for group in await list_all(**place)}[one]
    async with connected(home) as superuser:
        await superuser.execute(f"ALTER TABLE {one}.memory_records NO FORCE ROW LEVEL SECURITY")
        assert here is not None
        await move(one, here, **place)
        forced = "SELECT relforcerowsecurity FROM pg_class WHERE oid = $1::text::regclass"
        assert await superuser.fetchval(forced, f"{one}.memory_records")
