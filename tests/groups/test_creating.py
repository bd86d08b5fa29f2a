"""Groups are created: from a database that has tables already or none, again, at once, and beside agents."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.engine import client
from memory_guild.database.groups import catalogue_lock
from memory_guild.database.migrations import known_migrations
from memory_guild.errors import SchemaError, SettingsError, UnknownGroupError
from memory_guild.schema.groups import create, group_of, list_all, names
from tests.databases import run_statement
from tests.groups.placed import rows_of, texts_of
from tests.tenancy.logins import connected

WAITERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def remember(tenant_id: str, text: str = "text") -> None:
    async with guild.tenant_scope(tenant_id, agent_id="scribe"):
        await guild.remember(text, source_type="document")


async def test_what_is_there_becomes_a_group_with_its_tenants(database_url: str) -> None:
    async with guild.connect(database_url):
        for tenant_id in ("acme", "bolt", "forgetful"):
            await remember(tenant_id)
        async with guild.tenant_scope("forgetful"):
            await guild.forget(*await guild.find())

    assert await create("north", database_url=database_url)
    assert [(one.name, one.tenants) for one in await list_all(database_url=database_url)] == [
        ("public", 3),
        ("north", 0),
    ]
    assert [await group_of(name, database_url=database_url) for name in ("acme", "forgetful", "new")] == [
        "public",
        "public",
        None,
    ]
    async with guild.connect(database_url):
        assert await texts_of("acme") == ("public", ["text"])
        assert await texts_of("new") == ("north", [])
    for group in ("public", "north"):
        assert (await guild.schema.validate(database_url, schema=group)).differences == ()
    assert [one for one in await guild.schema.doctor(database_url) if one.level == "broken"] == []


async def test_a_new_database_needs_no_tables_outside_its_groups(empty_database_url: str) -> None:
    assert await create("north", database_url=empty_database_url)
    assert await create("south", database_url=empty_database_url)
    assert not await create("north", database_url=empty_database_url)
    assert await names(database_url=empty_database_url) == ["north", "south"]
    async with guild.connect(empty_database_url):
        await remember("acme")
        await remember("bolt")
        assert [await texts_of(tenant_id) for tenant_id in ("acme", "bolt")] == [
            ("north", ["text"]),
            ("south", ["text"]),
        ]
    async with connected(empty_database_url) as superuser:
        assert await rows_of(superuser, "public") == {}
    findings = await guild.schema.doctor(empty_database_url)
    assert [one for one in findings if one.level == "broken"] == []
    assert {one.group for one in findings} == {None, "north", "south"}
    with pytest.raises(SchemaError, match="the schema public is none of them; run `memory-guild upgrade --all-groups`"):
        await guild.upgrade(empty_database_url)


async def test_the_first_group_may_be_the_schema_that_is_there(database_url: str) -> None:
    async with guild.connect(database_url):
        await remember("acme")
    assert await create("public", database_url=database_url)
    assert [(one.name, one.tenants) for one in await list_all(database_url=database_url)] == [("public", 1)]
    async with guild.connect(database_url), guild.admin_scope("needs no name: there is one group") as scope:
        assert scope.group == "public"


async def test_the_catalogue_may_be_in_a_schema_of_its_own(empty_database_url: str) -> None:
    assert await create("north", database_url=empty_database_url, schema="Catalogue of groups")
    async with guild.connect(empty_database_url, schema="Catalogue of groups"):
        await remember('o\'acme "1"')
        assert await texts_of('o\'acme "1"') == ("north", ["text"])


async def test_agents_that_are_connected_keep_the_first_group_from_being_created(database_url: str) -> None:
    async with guild.connect(database_url):
        await remember("acme")
        with pytest.raises(SchemaError, match="others are connected to this database, with 1 session;"):
            await create("north", database_url=database_url)
        assert await names(database_url=database_url) == []
        assert await create("north", database_url=database_url, force=True)
        assert await create("south", database_url=database_url)  # agents know of groups now: they may stay


async def test_an_agent_that_connects_meanwhile_waits_and_knows(database_url: str) -> None:
    async with connected(database_url) as creator:
        await creator.execute(f"BEGIN; SELECT pg_advisory_xact_lock({catalogue_lock('public')})")

        async def agent() -> list[str]:
            async with guild.connect(database_url):
                found = client().groups
                return [] if found is None else await found.names()

        task = asyncio.create_task(agent())
        async with connected(database_url) as witness:
            while not await witness.fetchval(WAITERS):  # noqa: ASYNC110 - the server does not say when
                await asyncio.sleep(0.01)
        assert not task.done()
        # Nobody else may create a group now, but this one has the lock already.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("memory_guild.schema.groups.catalogue_lock", lambda home: "0")
            assert await create("north", database_url=database_url, force=True)
        await creator.execute("COMMIT")
        assert await task == ["public", "north"]


async def test_several_that_create_one_group_at_once(database_url: str) -> None:
    created = await asyncio.gather(*(create("north", database_url=database_url, force=True) for _ in range(4)))
    assert sorted(created) == [False, False, False, True]
    assert await names(database_url=database_url) == ["public", "north"]


async def test_a_new_group_has_what_all_tenants_share(groups_url: str) -> None:
    async with guild.connect(groups_url):
        async with guild.admin_scope("test", group="north"):
            await guild.sources.register("crm", source_type="api", metadata={"trust": 0.5})
            await guild.sources.register("old", source_type="api")
            await guild.sources.deactivate("old")
            await guild.policies.put("all", "package memory.access\nallow := true\n")
        assert await create("south", like="north", database_url=groups_url)
        async with guild.admin_scope("test", group="south"):
            found = await guild.sources.list_all()
            assert [(one.source_name, one.is_active, one.metadata) for one in found] == [
                ("crm", True, {"trust": 0.5}),
                ("old", False, {}),
            ]
            assert [one.policy_name for one in await guild.policies.list_all()] == ["all"]
        async with guild.admin_scope("test", group="public"):
            assert await guild.sources.list_all() == []
    unlike = [one.subject for one in await guild.schema.doctor(groups_url) if one.level == "notice" and not one.group]
    assert unlike == ["data sources of the groups", "access policies of the groups"]
    with pytest.raises(UnknownGroupError):
        await create("east", like="west", database_url=groups_url)
    assert await names(database_url=groups_url) == ["public", "north", "south"]


async def test_a_group_of_a_searched_database_is_searched(searched_groups_url: str) -> None:
    async with guild.connect(searched_groups_url):
        for tenant_id in ("acme", "bolt"):
            await remember(tenant_id, "The sky is blue.")
            async with guild.tenant_scope(tenant_id):
                assert len(await guild.recall("Which colour has the sky?")) == 1


async def test_a_group_of_a_sealed_database_is_sealed_with_the_same_key(database_url: str) -> None:
    key = await guild.schema.seal(database_url)
    assert await create("north", database_url=database_url)
    async with connected(database_url) as superuser:
        keys = [
            await superuser.fetchval(f"SELECT inner_key FROM {name}.memory_guild_seal") for name in ("public", "north")
        ]
    assert keys[0] == keys[1]
    assert await guild.schema.seal(database_url) == key


async def test_a_group_of_a_sealed_database_has_its_sources_and_policies_too(database_url: str) -> None:
    async with guild.connect(database_url), guild.admin_scope("test"):
        await guild.sources.register("crm", source_type="api")
        await guild.policies.put("all", "package memory.access\nallow := true\n")
    await guild.schema.seal(database_url)
    async with asyncio.timeout(60):
        assert await create("north", database_url=database_url, force=True)
    async with connected(database_url) as superuser:
        for table in ("data_sources", "memory_access_policies", "memory_guild_seal"):
            assert await superuser.fetchval(f"SELECT count(*) FROM north.{table}") == 1


async def test_a_schema_that_has_memories_becomes_a_group_with_its_tenants(groups_url: str) -> None:
    await guild.upgrade(groups_url, schema="south")
    async with guild.connect(groups_url, schema="south"):
        await remember("from before")
    assert await create("south", database_url=groups_url)
    async with guild.connect(groups_url):
        assert await texts_of("from before") == ("south", ["text"])


async def test_a_tenant_that_would_be_in_two_groups_is_refused(groups_url: str) -> None:
    async with guild.connect(groups_url):
        await remember("acme")
    await guild.upgrade(groups_url, schema="south")
    async with guild.connect(groups_url, schema="south"):
        await remember("acme")
    with pytest.raises(SchemaError, match="placed in other groups already: acme in public"):
        await create("south", database_url=groups_url)
    assert await names(database_url=groups_url) == ["public", "north"]


@pytest.mark.parametrize("name", ["", "pg_x", "x" * 64, "information_schema"])
async def test_what_is_no_name_of_a_schema_is_refused(groups_url: str, name: str) -> None:
    with pytest.raises(SettingsError):
        await create(name, database_url=groups_url)


async def test_all_groups_are_upgraded_and_one_that_fails_stops_no_other(groups_url: str) -> None:
    last = known_migrations()[-1]
    for group in ("public", "north"):
        await run_statement(groups_url, f"DELETE FROM {group}.aerich WHERE version = '{last}'")
    await create("south", database_url=groups_url)
    row = """'99_later.py', 'models', '{"models.X": {"table": "memory_records"}}'"""
    await run_statement(groups_url, f"INSERT INTO north.aerich (version, app, content) VALUES ({row})")

    seen: list[str] = []
    done = await guild.schema.groups.upgrade_all(
        database_url=groups_url, progress=lambda one: seen.append(one.group), at_once=2
    )

    assert [(one.group, one.applied) for one in done] == [("public", (last,)), ("north", ()), ("south", ())]
    assert [type(one.error).__name__ for one in done] == ["NoneType", "SchemaTooNewError", "NoneType"]
    assert sorted(seen) == ["north", "public", "south"]
    await run_statement(groups_url, "DELETE FROM north.aerich WHERE version LIKE '99%'")
    assert [one.applied for one in await guild.schema.groups.upgrade_all(database_url=groups_url)] == [(), (last,), ()]
    for group in ("public", "north", "south"):
        assert (await guild.schema.validate(groups_url, schema=group)).differences == ()


async def test_tables_that_are_gone_are_not_made_anew(groups_url: str) -> None:
    async with guild.connect(groups_url):
        await remember("acme")
        await remember("bolt")
    await run_statement(groups_url, "DROP SCHEMA north CASCADE")
    done = await guild.schema.groups.upgrade_all(database_url=groups_url)
    assert [str(one.error) for one in done] == [
        "None",
        "the tables of the group north are gone; restore its schema from a backup",
    ]
    broken = [one for one in await guild.schema.doctor(groups_url) if one.level == "broken"]
    assert [(one.group, one.detail, one.mend) for one in broken] == [
        ("north", "they are gone", "restore the group's schema from a backup")
    ]
    with pytest.raises(SchemaError, match="the tables of the group north are gone; name another one with `like`"):
        await create("south", like="north", database_url=groups_url, force=True)
    assert await names(database_url=groups_url) == ["public", "north"]
    async with guild.connect(groups_url), guild.tenant_scope("acme") as scope:
        assert scope.group == "public"
    with pytest.raises(guild.MemoryGuildError):
        async with guild.connect(groups_url), guild.tenant_scope("bolt"):
            pass


async def test_only_groups_can_be_upgraded_together(database_url: str) -> None:
    with pytest.raises(SchemaError, match="this database has no groups; run `memory-guild upgrade`"):
        await guild.schema.groups.upgrade_all(database_url=database_url)
    with pytest.raises(guild.MemoryGuildError, match="at_once: must be at least 1"):
        await guild.schema.groups.upgrade_all(database_url=database_url, at_once=0)


@pytest.mark.parametrize("last_made", ["north.memory_audit", "public.memory_placements"])
async def test_who_creates_a_group_and_dies_leaves_what_can_be_finished(database_url: str, last_made: str) -> None:
    async with guild.connect(database_url):
        await remember("from before")
    task = asyncio.create_task(create("north", database_url=database_url, force=True))
    async with connected(database_url) as killer:
        while not await killer.fetchval("SELECT to_regclass($1)", last_made):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises((guild.MemoryGuildError, asyncpg.PostgresError)):
        await task
    assert await create("north", database_url=database_url, force=True)
    assert await names(database_url=database_url) == ["public", "north"]
    async with guild.connect(database_url):
        assert await texts_of("from before") == ("public", ["text"])
        await remember("acme")
        assert (await texts_of("acme"))[0] == "north"
