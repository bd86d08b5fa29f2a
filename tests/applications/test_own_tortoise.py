"""An application that has Tortoise itself, and two memory databases at once: none knows of the other."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import AsyncIterator
from contextvars import Context
from urllib.parse import parse_qs, urlsplit

import pytest
from tortoise import Tortoise
from tortoise.context import TortoiseContext
from tortoise.transactions import in_transaction

import memory_guild as guild
from memory_guild.errors import SeveralDatabasesError
from tests.applications.note_models import Note
from tests.databases import SpareDatabases


@pytest.fixture
async def other_url(spare_databases: SpareDatabases) -> AsyncIterator[str]:
    url = await spare_databases.take()
    yield url
    await spare_databases.give_back(url)


async def own_tortoise(url: str, alias: str) -> None:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    credentials = {
        "host": parts.hostname or query["host"][0],
        "port": parts.port or int(query.get("port", ["5432"])[0]),
        "user": parts.username,
        "password": parts.password,
        "database": parts.path.lstrip("/"),
    }
    config = {
        "connections": {alias: {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
        "apps": {"models": {"models": ["tests.applications.note_models"], "default_connection": alias}},
    }
    await Tortoise.init(config=config)
    await Tortoise.generate_schemas()


async def use_both() -> None:
    async with guild.tenant_scope("acme", agent_id="a"):
        await guild.remember("ours", source_type="document")
        await Note.create(text="in a scope")
        async with in_transaction():
            await Note.create(text="in a transaction")
        assert [memory.content_text for memory in await guild.MemoryRecord.all()] == ["ours"]
    await Note.create(text="outside")
    async with in_transaction(), guild.tenant_scope("acme", agent_id="a"):
        await Note.create(text="around a scope")
        assert await guild.count() == 1
    assert await Note.all().count() == 4
    assert await guild.DataSource.all().count() == 0


@pytest.mark.parametrize("same_database", [True, False])
@pytest.mark.parametrize("alias", ["default", "notes"])
@pytest.mark.parametrize("first", ["theirs", "ours"])
async def test_two_users_of_tortoise(
    first: str, alias: str, same_database: bool, database_url: str, other_url: str
) -> None:
    their_url = database_url if same_database else other_url
    async with TortoiseContext() if first == "theirs" else guild.connect(database_url):
        if first == "theirs":
            await own_tortoise(their_url, alias)
            async with guild.connect(database_url):
                await use_both()
            assert await Note.all().count() == 4, "theirs goes on after ours has ended"
            async with guild.connect(database_url), guild.tenant_scope("acme"):
                assert await guild.count() == 1
        else:
            await own_tortoise(their_url, alias)
            await use_both()
            await Tortoise.close_connections()
            async with guild.tenant_scope("acme"):
                assert await guild.count() == 1, "ours goes on after theirs has ended"
    async with TortoiseContext():
        await own_tortoise(their_url, alias)
        await Note._meta.db.execute_script("DROP TABLE note")


async def test_two_memory_databases(database_url: str, other_url: str) -> None:
    async with guild.connect(database_url) as first, guild.tenant_scope("acme", agent_id="a"):
        await guild.remember("one", source_type="document")
        async with guild.connect(other_url) as second:
            async with guild.tenant_scope("globex", agent_id="a"):
                await guild.remember("two", source_type="document")
                await guild.remember("three", source_type="document")
                with first.use():
                    with pytest.raises(guild.MemoryGuildError, match="no tenant"):
                        await guild.count()
                    async with guild.tenant_scope("acme"):
                        assert await guild.count() == 0, "the scope outside has not committed"
                assert await guild.count() == 2
                assert await guild.MemoryRecord.all().count() == 2
            with second.use():
                async with guild.tenant_scope("globex"):
                    assert await guild.count() == 2
        assert await guild.count() == 1
    assert first.url != second.url


async def test_a_task_that_chose_none_of_two_is_told_so(database_url: str, other_url: str) -> None:
    async def request() -> int:
        async with guild.tenant_scope("acme", agent_id="a"):
            return await guild.count()

    async with guild.connect(database_url) as first, guild.connect(other_url):
        with pytest.raises(SeveralDatabasesError, match="use"):
            await create_task(request(), context=Context())

        async def choosing() -> int:
            with first.use():
                return await request()

        assert await create_task(choosing(), context=Context()) == 0


async def test_what_a_request_connects_is_its_own(database_url: str, other_url: str) -> None:
    async def request() -> None:
        async with guild.connect(other_url), guild.tenant_scope("acme", agent_id="a"):
            await guild.remember("elsewhere", source_type="document")
            await create_task(plain_request(), context=Context())

    async def plain_request() -> None:
        async with guild.tenant_scope("acme", agent_id="a"):
            assert await guild.count() == 0

    async with guild.connect(database_url):
        await create_task(request(), context=Context())
