"""What the package relies on of Tortoise's and asyncpg's internals: fails when a release changes one of them."""

from __future__ import annotations

import inspect

import asyncpg
import pytest
from aerich.models import Aerich
from asyncpg.pool import PoolConnectionProxy
from pypika_tortoise.queries import QueryBuilder
from pypika_tortoise.terms import JSONAttributeCriterion, Parameterizer
from tortoise import Model, Tortoise
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import ConnectionWrapper, TransactionContextPooled
from tortoise.backends.base.executor import BaseExecutor
from tortoise.context import TortoiseContext, get_current_context
from tortoise.fields.relational import ReverseRelation
from tortoise.queryset import ExistsQuery, QuerySet, UnionCountQuery, UnionQuery
from tortoise.router import router
from tortoise.timezone import _reset_timezone_cache, get_timezone

from memory_guild import connect, find, remember, tenant_scope
from memory_guild.database.connections import ENGINE
from memory_guild.database.scope import TenantQuerySet
from memory_guild.database.session import PooledConnection
from memory_guild.database.tortoise import (
    ARRAYS,
    FetchedRelation,
    GuestContext,
    add_arrays,
    add_codec,
    connections_of,
    driver_connection,
    loaded_instance,
    separate_tortoise,
    set_relation,
    tortoise_context,
)
from memory_guild.models import MODELS, MemoryEmbedding, MemoryRecord, StrictModel


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_loaded_instance_has_what_tortoise_gives_one(model: type[StrictModel]) -> None:
    columns = dict.fromkeys(model._meta.db_fields)
    expected = vars(model._init_from_db(**columns))

    _, attributes = loaded_instance(model)

    assert {name: value for name, value in expected.items() if name not in columns} == attributes


async def test_a_relation_that_is_set_is_one_that_was_fetched(database: str) -> None:
    memory, _ = loaded_instance(MemoryRecord)
    embedding = MemoryEmbedding(vector_id="v", embedding_model="m")

    set_relation(memory, "embeddings", [embedding])

    assert list(memory.embeddings) == [embedding]
    assert memory.embeddings[0] is embedding


async def test_a_pool_lends_a_proxy_of_the_drivers_connection(database_url: str) -> None:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool, pool.acquire() as lent:
        assert isinstance(lent, PoolConnectionProxy)
        assert type(driver_connection(lent)) is asyncpg.Connection


async def test_statements_are_prepared_once_for_each_schema_that_a_connection_works_in(database_url: str) -> None:
    connection = await asyncpg.connect(
        database_url, connection_class=PooledConnection, statement_cache_size=3, max_cached_statement_lifetime=0
    )
    names = "SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT current_schema()' ORDER BY name"
    try:
        found = []
        for schema in ("one", "two", "one", "one", "two"):
            connection.work_in(schema)
            assert await connection.fetchval("SELECT current_schema()") == "public"
            connection.work_in("witness")
            found.append([row["name"] for row in await connection.fetch(names)])
        assert [len(prepared) for prepared in found] == [1, 2, 2, 2, 2]  # three are kept, and one is the witness's
        assert found[1] == found[-1]

        # One that somebody holds stays, whichever schema the connection works in when others take its place.
        connection.work_in("one")
        prepared = await connection.prepare("SELECT 1")
        connection.work_in("two")
        for number in range(5):
            assert await connection.fetchval(f"SELECT {number}") == number
        assert await prepared.fetchval() == 1
        del prepared
        assert await connection.fetchval("SELECT 'one more'") == "one more"
        kept = await connection.fetch("SELECT statement FROM pg_prepared_statements")
        assert len(kept) == 3
    finally:
        await connection.close()


async def test_a_pool_resets_with_the_connections_own_query(database_url: str) -> None:
    asked = []

    class Asked(asyncpg.Connection):
        def get_reset_query(self) -> str:
            asked.append(self)
            return super().get_reset_query()

    async with asyncpg.create_pool(database_url, min_size=1, max_size=1, connection_class=Asked) as pool:
        async with pool.acquire():
            assert asked == []
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (AsyncpgDBClient, "_translate_exceptions", ["self", "func", "args", "kwargs"]),
        (AsyncpgDBClient, "_in_transaction", ["self"]),
        (AsyncpgDBClient, "_post_connect", ["self"]),
        (AsyncpgDBClient, "acquire_connection", ["self"]),
        (TransactionWrapper, "__init__", ["self", "connection"]),
        (ConnectionWrapper, "__init__", ["self", "lock", "client"]),
        (TransactionContextPooled, "__init__", ["self", "client", "pool_init_lock"]),
        (QuerySet, "_filter_or_exclude", ["self", "args", "negate", "kwargs"]),
        (QuerySet, "_clone", ["self"]),
        (ExistsQuery, "_execute", ["self"]),
        (ReverseRelation, "_raise_if_not_fetched", ["self"]),
        (Model, "_getbypk", ["key"]),
        (QuerySet, "_execute", ["self"]),
        (UnionQuery, "_execute", ["self"]),
        (UnionCountQuery, "_execute", ["self"]),
        (BaseExecutor, "execute_union", ["self", "sql", "app_field", "model_field", "models"]),
        (Model, "_validate_relation_type", ["field_key", "value"]),
        (Model, "_create_or_get", ["db", "defaults", "kwargs"]),
        (QueryBuilder, "get_parameterized_sql", ["self", "ctx"]),
        (JSONAttributeCriterion, "__init__", ["self", "json_column", "path", "alias"]),
        (Parameterizer, "create_param", ["self", "value"]),
    ],
)
def test_what_the_engine_overrides_or_calls_is_there(owner: type, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


QUERIES = {
    "by id": (lambda memory: MemoryRecord.filter(memory_id=memory.memory_id), False),
    "by primary key": (lambda memory: MemoryRecord.filter(pk__in=[memory.memory_id]), False),
    "by relation": (lambda memory: MemoryEmbedding.filter(memory=memory), False),
    "by a key of a relation": (lambda memory: MemoryEmbedding.filter(memory__memory_id=memory.memory_id), False),
    "a list": (lambda memory: MemoryRecord.filter(agent_id="a"), True),
    "all but one": (lambda memory: MemoryRecord.exclude(memory_id=memory.memory_id), True),
    "a text that looks like a key": (lambda memory: MemoryRecord.filter(content_text='"memory_id" = $1'), True),
}


@pytest.mark.parametrize(("make", "is_planned"), QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("ask", ["select", "count", "exists", "values"])
async def test_lists_are_planned_for_their_tenant_and_reads_by_key_are_not(
    database_url: str, make: object, is_planned: bool, ask: str
) -> None:
    async with connect(database_url):
        async with tenant_scope("acme", agent_id="a"):
            memory, _ = await remember("one", source_type="document")
        async with tenant_scope("acme") as scope:
            queryset = make(memory)  # type: ignore[operator]
            assert isinstance(queryset, TenantQuerySet)
            await (queryset if ask == "select" else getattr(queryset, ask)())
            mode = await scope.transaction.session.connection.fetchval("SHOW plan_cache_mode")
            assert mode == ("force_custom_plan" if is_planned else "auto")
            assert len((await find()).memories) == 1


async def test_a_connection_takes_a_codec_without_asking_the_server(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    add_codec(connection, 23, "int4", lambda number: b"\0\0\0\7", lambda data: f"four bytes: {data.hex()}")

    assert await connection.fetchval("SELECT $1::int4", 1) == "four bytes: 00000007"
    await connection.close()


@pytest.mark.parametrize("name", ARRAYS)
async def test_a_connection_takes_arrays_without_asking_the_server(database_url: str, name: str) -> None:
    asking, knowing = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    add_arrays(knowing)
    wanted = await asking.fetchrow("SELECT oid::int, typelem::int FROM pg_type WHERE oid = $1::regtype", f"{name}[]")
    assert wanted is not None
    assert ARRAYS[name] == tuple(wanted)

    one = {"timestamptz": "now()", "jsonb": "'{}'", "uuid": "gen_random_uuid()"}.get(name, "1")
    values = await asking.fetchval(f"SELECT ARRAY[[{one}::{name}, NULL]]")
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(asyncpg.Connection, "_introspect_types")
        assert await knowing.fetchval(f"SELECT $1::{name}[]", values) == values == [[values[0][0], None]]
    await asking.close()
    await knowing.close()


async def test_a_new_connection_of_ours_knows_the_arrays_and_reads_moments_in_them(database_url: str) -> None:
    async with connect(database_url), tenant_scope("acme") as scope:
        with pytest.MonkeyPatch.context() as patch:
            patch.delattr(asyncpg.Connection, "_introspect_types")
            read = await scope.transaction.session.connection.fetchrow(
                "SELECT ARRAY[moment, 'infinity'], moment, $1::varchar[]"
                " FROM (SELECT '0044-03-15 BC'::timestamptz) AS at (moment)",
                ["a"],
            )
    assert read is not None
    assert read[0][0] == read[1]
    assert read[2] == ["a"]


async def test_a_relation_of_a_model_is_ours_until_it_is_fetched(database: str) -> None:
    memory, _ = loaded_instance(MemoryRecord)
    for name in ("embeddings", "outgoing_edges", "incoming_edges"):
        assert type(getattr(memory, name)) is FetchedRelation
        assert getattr(memory, name) is getattr(memory, name)


CONFIG = {
    "connections": {"theirs": {"engine": "tortoise.backends.asyncpg", "credentials": {"host": "nowhere"}}},
    "apps": {"theirs": {"models": ["aerich.models"], "default_connection": "theirs"}},
    "routers": [],
}


@pytest.fixture
def unlabeled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aerich's model as Tortoise first finds it."""
    monkeypatch.setattr(Aerich._meta, "app", None)


async def test_the_connections_of_a_context_are_known_by_their_engine(unlabeled: None) -> None:
    async with separate_tortoise():
        assert list(connections_of(TortoiseContext(), ENGINE)) == []
        await Tortoise.init(config=CONFIG)
        context = get_current_context()
        assert list(connections_of(context, "tortoise.backends.asyncpg")) == ["theirs"]
        assert list(connections_of(context, ENGINE)) == []
    assert list(connections_of(None, ENGINE)) == []


async def test_a_guests_context_has_one_connection_and_gives_way_to_another(unlabeled: None) -> None:
    connection = AsyncpgDBClient(connection_name="guest", host="nowhere")
    guest = GuestContext("guest", ENGINE, connection)

    assert guest.connections.get("guest") is connection
    with tortoise_context(guest):
        assert get_current_context() is guest
        with tortoise_context(GuestContext("other", ENGINE, connection)):
            assert get_current_context() is guest
        async with separate_tortoise():
            await Tortoise.init(config=CONFIG)
            assert get_current_context() not in (guest, None)
    assert get_current_context() is not guest


async def test_what_tortoise_keeps_for_the_whole_process_is_put_back(
    unlabeled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMEZONE", "Asia/Kabul")
    _reset_timezone_cache()
    before = router._routers, Aerich._meta.app, Aerich._meta.default_connection
    async with separate_tortoise():
        await Tortoise.init(config=CONFIG, timezone="UTC")
        assert get_timezone() == "UTC"
        assert Aerich._meta.app == "theirs"

    assert get_timezone() == "Asia/Kabul"
    assert (router._routers, Aerich._meta.app, Aerich._meta.default_connection) == before
    monkeypatch.undo()
    _reset_timezone_cache()
