"""Where tenants go, and that each scope works in its tenant's group."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.context import TortoiseContext

import memory_guild as guild
from memory_guild.database.engine import client
from memory_guild.errors import (
    InvalidInputError,
    MigrationsPendingError,
    NoGroupError,
    PermissionDeniedError,
    SchemaError,
    ScopeError,
    SettingsError,
    SeveralGroupsError,
    TenantMismatchError,
    UndefinedObjectError,
    UnknownGroupError,
)
from memory_guild.models import MemoryRecord
from memory_guild.settings import TORTOISE_ORM
from tests.databases import run_statement
from tests.groups.placed import count_of, remember_in, texts_of
from tests.search.indexes import DictIndex
from tests.tenancy.counting_proxy import counting_proxy
from tests.tenancy.logins import AGENT, login, user_of
from tests.tenancy.pgbouncer import PROGRAM, pgbouncer, through


async def group_of(tenant_id: str) -> str:
    async with guild.tenant_scope(tenant_id) as scope:
        return scope.group


async def test_a_database_without_a_catalogue_knows_no_groups(shared_database: str) -> None:
    assert client().groups is None
    assert await group_of("acme") == "public"
    assert await guild.schema.groups.names(database_url=shared_database) == []
    assert await guild.schema.groups.list_all(database_url=shared_database) == []
    assert await guild.schema.groups.group_of("acme", database_url=shared_database) is None
    async with guild.admin_scope("test", group="public") as scope:
        assert scope.group == "public"
    with pytest.raises(UnknownGroupError, match="there is no group north; this database has: public"):
        async with guild.admin_scope("test", group="north"):
            pass


async def test_new_tenants_go_to_the_emptiest_group_and_stay_there(groups: str) -> None:
    placed = {number: await group_of(f"tenant {number}") for number in range(10)}
    assert Counter(placed.values()) == {"public": 5, "north": 5}
    assert {number: await group_of(f"tenant {number}") for number in range(10)} == placed
    assert [(one.name, one.tenants) for one in await guild.schema.groups.list_all(database_url=groups)] == [
        ("public", 5),
        ("north", 5),
    ]


async def test_first_scopes_of_one_tenant_at_once_agree(groups: str) -> None:
    async def elsewhere() -> list[str]:
        async with guild.connect(groups, check_schema=False):
            return await asyncio.gather(*(group_of(f"tenant {number % 5}") for number in range(20)))

    for one in (answers := await asyncio.gather(*(elsewhere() for _ in range(4)))):
        assert one == answers[0]
        assert one[:5] == one[5:10]
    assert sum(one.tenants for one in await guild.schema.groups.list_all(database_url=groups)) == 5


async def test_verbs_querysets_and_sql_work_in_the_tenants_group(
    groups: str, past_groups: asyncpg.Connection[asyncpg.Record]
) -> None:
    await remember_in(groups, "north", "acme")
    await remember_in(groups, "public", "bolt")
    async with guild.tenant_scope("acme", agent_id="scribe"):
        memory = (await guild.remember("another", source_type="document")).memory
        await guild.relate(memory, (await guild.find(limit=2))[1], "follows")
        assert await MemoryRecord.all().count() == 2
        assert [one.tenant_id for one in await MemoryRecord.all().prefetch_related("outgoing_edges")] == ["acme"] * 2
        assert len(await guild.traverse(memory)) == 1
        assert await client().execute_query_dict("SELECT count(*) AS n FROM memory_relationships") == [{"n": 1}]
    assert await count_of(past_groups, "north", "acme") == 2
    assert await count_of(past_groups, "public", "acme") == 0
    assert await texts_of("bolt") == ("public", ["what bolt knows"])


async def test_a_scope_sees_nothing_of_its_tenant_in_another_group(
    groups: str, past_groups: asyncpg.Connection[asyncpg.Record]
) -> None:
    await remember_in(groups, "north", "acme")
    await remember_in(groups, "public", "bolt")
    for table in ("memory_records", "memory_embeddings", "memory_relationships", "memory_sources"):
        async with guild.tenant_scope("acme"):
            assert await client().execute_query_dict(f"SELECT * FROM public.{table}") == []
    for statement in ("SELECT * FROM public.memory_placements", "SELECT * FROM public.memory_groups"):
        with pytest.raises(PermissionDeniedError):
            async with guild.tenant_scope("acme"):
                await client().execute_query_dict(statement)


async def test_maintenance_names_its_group(groups: str) -> None:
    await remember_in(groups, "north", "acme", "bolt")
    with pytest.raises(SeveralGroupsError) as refused:
        async with guild.admin_scope("test"):
            pass
    assert refused.value.groups == ["public", "north"]
    assert str(refused.value) == (
        "this database has several groups of tenants: public, north; name one, as in `admin_scope(reason, group=…)`"
    )
    with pytest.raises(UnknownGroupError) as unknown:
        async with guild.admin_scope("test", group="south"):
            pass
    assert (unknown.value.group, unknown.value.groups) == ("south", ["public", "north"])
    async with guild.admin_scope("test", group="north") as scope:
        assert scope.group == "north"
        assert await MemoryRecord.all().count() == 2
        async with guild.admin_scope("nested") as nested:
            assert nested.group == "north"
        with pytest.raises(TenantMismatchError, match="another group of tenants"):
            async with guild.admin_scope("test", group="public"):
                pass
    async with guild.admin_scope("test", group="public"):
        assert await MemoryRecord.all().count() == 0


async def test_erasing_a_tenant_needs_its_own_group(groups: str) -> None:
    await remember_in(groups, "north", "acme")
    async with guild.admin_scope("test", group="public"):
        with pytest.raises(ScopeError, match="not in the group public"):
            async with guild.admin_scope("nested"):
                await guild.erase_tenant("acme")
    assert await texts_of("acme") == ("north", ["what acme knows"])
    async with guild.admin_scope("test", group="north"):
        assert (await guild.erase_tenant("acme")).memories == 1
    assert await texts_of("acme") == ("north", [])


def at_once(tenant_id: str) -> str:
    return "north" if tenant_id < "m" else "public"


async def later(tenant_id: str) -> str:
    await asyncio.sleep(0)
    return at_once(tenant_id)


@pytest.mark.parametrize("placement", [at_once, later])
async def test_a_callers_own_placement_decides(groups_url: str, placement: Callable[[str], Any]) -> None:
    async with guild.connect(groups_url, placement=placement):
        assert [await group_of(tenant_id) for tenant_id in ("acme", "zulu", "acme")] == ["north", "public", "north"]
        async with guild.admin_scope("test", group="north") as scope:
            assert scope.group == "north"
    assert await guild.schema.groups.group_of("acme", database_url=groups_url) is None


async def test_maintenance_reaches_all_groups_whoever_places_the_tenants(searched_groups_url: str) -> None:
    index = DictIndex()
    async with guild.connect(searched_groups_url, placement=at_once, vector_index=index):
        for tenant_id in ("acme", "zulu"):
            async with guild.tenant_scope(tenant_id, agent_id="scribe"):
                memory = (await guild.remember("text", source_type="document")).memory
                await guild.embeddings.attach([(memory, [1.0, 0.0])], model="written:down")
        assert (await guild.sync_vectors()).stored == 2
        assert await guild.sweep_vectors() == guild.SweepReport(listed=2)
        with pytest.raises(SeveralGroupsError):
            async with guild.admin_scope("test"):
                pass
        async with guild.admin_scope("test", group="public"):
            with pytest.raises(ScopeError, match="not in the group public"):
                await guild.erase_tenant("acme")
        async with guild.admin_scope("test", group="north"):
            assert (await guild.erase_tenant("acme")).memories == 1


async def test_a_callers_own_placement_that_names_no_group_is_an_error(groups_url: str) -> None:
    for answer, expected in ((None, InvalidInputError), ("", SettingsError), ("pg_catalog", SettingsError)):
        async with guild.connect(groups_url, placement=lambda tenant_id, answer=answer: answer):  # type: ignore[misc]
            with pytest.raises(expected):
                await group_of("acme")
    async with guild.connect(groups_url, placement=lambda tenant_id: "south"):
        with pytest.raises(MigrationsPendingError) as pending:
            await group_of("acme")
    assert pending.value.group == "south"
    with pytest.raises(InvalidInputError, match="placement: must be callable, not str"):
        async with guild.connect(groups_url, placement="north"):  # type: ignore[arg-type]
            pass


async def test_a_group_that_lacks_migrations_is_refused_and_the_others_are_not(groups_url: str) -> None:
    await run_statement(groups_url, "DELETE FROM north.aerich WHERE version LIKE '7%'")
    async with guild.connect(groups_url):
        assert await group_of("first") == "public"
        with pytest.raises(MigrationsPendingError) as pending:
            await group_of("second")
    assert pending.value.group == "north"
    assert str(pending.value).endswith("run `memory-guild upgrade --all-groups`")


async def test_an_agents_login_needs_nothing_but_the_application_role(groups_url: str) -> None:
    async with login(groups_url, AGENT) as agent_url, guild.connect(agent_url):
        assert [await group_of(f"tenant {number}") for number in range(4)] == ["public", "north", "public", "north"]
        assert await guild.schema.groups.names(database_url=agent_url) == ["public", "north"]
        with pytest.raises(PermissionDeniedError):
            await guild.schema.groups.list_all(database_url=agent_url)


async def test_a_catalogue_without_a_group_says_what_to_do(groups_url: str) -> None:
    await run_statement(groups_url, "TRUNCATE memory_groups CASCADE")
    async with guild.connect(groups_url):
        with pytest.raises(NoGroupError, match="no group of tenants yet; run `memory-guild groups create NAME`"):
            await group_of("acme")


async def test_a_sealed_database_has_one_key_for_all_groups(groups_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await guild.schema.seal(groups_url)
    assert await guild.schema.seal(groups_url) == key
    async with login(groups_url, AGENT) as agent_url:
        monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", key)
        async with guild.connect(agent_url):
            for _ in range(2):  # the first opening of a session asks, the next ones answer
                for tenant_id in ("acme", "bolt"):
                    async with guild.tenant_scope(tenant_id, agent_id="scribe"):
                        await guild.remember("known", source_type="document")
            assert [await texts_of(tenant_id) for tenant_id in ("acme", "bolt")] == [
                ("public", ["known"]),
                ("north", ["known"]),
            ]
            # What opened the tenant in one group opens it in no other.
            async with guild.tenant_scope("acme"):
                await client().execute_query("SELECT set_config('memory_guild.tenant_id', 'bolt', true)")
                assert await client().execute_query_dict("SELECT * FROM north.memory_records") == []
    await guild.schema.unseal(groups_url)
    monkeypatch.delenv("MEMORY_GUILD_SEAL_KEY")
    async with guild.connect(groups_url):
        assert await texts_of("bolt") == ("north", ["known"])


async def test_all_groups_are_sealed_or_none(groups_url: str, past_groups: asyncpg.Connection[asyncpg.Record]) -> None:
    await past_groups.execute("ALTER TABLE north.memory_guild_seal RENAME TO away")
    with pytest.raises(SchemaError):
        await guild.schema.seal(groups_url)
    async with guild.connect(groups_url):
        assert await group_of("acme") == "public"
    await past_groups.execute("ALTER TABLE north.away RENAME TO memory_guild_seal")
    key = await guild.schema.seal(groups_url)
    await past_groups.execute("ALTER TABLE north.memory_records RENAME TO away")
    for change in (guild.schema.seal(groups_url, key="0" * 64), guild.schema.unseal(groups_url)):
        with pytest.raises(UndefinedObjectError):
            await change
    await past_groups.execute("ALTER TABLE north.away RENAME TO memory_records")
    assert await guild.schema.seal(groups_url) == key


async def test_who_calls_tortoise_init_works_in_groups_from_the_first_scope_on(
    groups_url: str, monkeypatch: pytest.MonkeyPatch, past_groups: asyncpg.Connection[asyncpg.Record]
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", groups_url)
    await guild.schema.groups.create("south")
    await past_groups.execute("INSERT INTO memory_placements VALUES ('acme', 'south')")
    async with TortoiseContext():
        await Tortoise.init(config=TORTOISE_ORM)
        try:
            async with guild.tenant_scope("acme", agent_id="scribe") as scope:
                await MemoryRecord.create(agent_id="scribe", source_type="document", content_text="by a model")
                assert scope.group == "south"
            with pytest.raises(SeveralGroupsError):
                async with guild.admin_scope("test"):
                    pass
        finally:
            await Tortoise.close_connections()
    assert await count_of(past_groups, "south", "acme") == 1


async def test_opening_a_scope_takes_one_round_trip_in_each_group(
    groups_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    async with counting_proxy(groups_url) as (url, trips), guild.connect(url):
        for tenant_id in ("acme", "bolt"):
            await texts_of(tenant_id)
            await texts_of(tenant_id)
            trips.since_last()
            async with guild.tenant_scope(tenant_id):
                assert trips.since_last() == 1
            assert trips.since_last() == 1


async def test_groups_behind_a_pooler(groups_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One session of the server serves scopes of both groups, of sealed ones too, one after the other."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    for is_sealed in (False, True):
        key = await guild.schema.seal(groups_url) if is_sealed else ""
        monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", key)
        async with login(groups_url, AGENT) as agent_url:
            monkeypatch.setenv("MEMORY_GUILD_POOLER", "1")
            with pgbouncer(agent_url, [user_of(agent_url)]) as folder:
                async with guild.connect(through(folder, agent_url)):
                    for number in range(12):
                        async with guild.tenant_scope(f"tenant {number % 2}", agent_id="scribe") as scope:
                            await guild.remember(f"{is_sealed} {number}", source_type="document")
                            assert scope.group == ("public", "north")[number % 2]
                    assert [len((await texts_of(f"tenant {number}"))[1]) for number in range(2)] == [
                        6 + 6 * is_sealed
                    ] * 2
            monkeypatch.delenv("MEMORY_GUILD_POOLER")
