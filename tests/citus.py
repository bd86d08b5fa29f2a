"""The tests of the verbs and of the tenants on Citus: where ``MEMORY_GUILD_TEST_CITUS_URL`` names a coordinator.

Its login must be a superuser. A database of one's own would need the extension on every worker, so each test has a
schema, and its URL says which: ``…?search_path=the_schema``. Plain connections and the package both obey that.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from memory_guild.database.shards import name_fields
from memory_guild.schema.migrating import upgrade
from memory_guild.settings import Settings
from memory_guild.testing.databases import completed, run_statement
from tests.citus_exclusions import EXCLUDED, FOLDERS

Prepare = Callable[[str], Coroutine[Any, Any, Any]]

URL = os.environ.get("MEMORY_GUILD_TEST_CITUS_URL")

WAITING = "SELECT waiting_gpid % 10000000000 FROM citus_lock_waits"
"""The process on the coordinator whose statement waits on a worker."""

_FINGERPRINT = """
SELECT concat_ws(
    ' ',
    (SELECT sum(hashtextextended(concat(oid, xmin), 0)) FROM pg_class WHERE relnamespace = home AND relkind <> 'S'),
    (SELECT sum(hashtextextended(concat(ctid, xmin), 0)) FROM pg_proc WHERE pronamespace = home),
    (SELECT sum(hashtextextended(concat(pg_trigger.ctid, pg_trigger.xmin), 0))
        FROM pg_trigger INNER JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = home),
    (SELECT sum(hashtextextended(concat(pg_policy.ctid, pg_policy.xmin), 0))
        FROM pg_policy INNER JOIN pg_class ON pg_class.oid = polrelid WHERE relnamespace = home),
    (SELECT sum(hashtextextended(concat(attrelid, attname, attacl), 0))
        FROM pg_attribute INNER JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = home)
)
FROM to_regnamespace(quote_ident($1::text)) AS found (home)
"""
_CLEAR = """
DELETE FROM memory_records;
DELETE FROM data_sources;
DELETE FROM memory_access_policies;
"""


def with_schema(name: str) -> str:
    """The coordinator's URL, for a schema."""
    assert URL is not None
    return f"{URL}{'&' if '?' in URL else '?'}search_path={name}"


def schema_of(url: str) -> str | None:
    """The schema that a URL names; None where it names none."""
    return next((part[12:] for part in url.partition("?")[2].split("&") if part.startswith("search_path=")), None)


def obey_urls(patch: pytest.MonkeyPatch) -> None:
    """Let settings that name a database name its schema, too."""
    check = Settings.__post_init__

    def name_schema(settings: Settings) -> None:
        if settings.database_url is not None and (name := schema_of(f"?{settings.database_url.query}")):
            object.__setattr__(settings, "schema", name)
        check(settings)

    patch.setattr(Settings, "__post_init__", name_schema)


def name_errors(patch: pytest.MonkeyPatch) -> None:
    """Give the driver's errors the names that their texts have, as the package does for its own."""
    new = asyncpg.PostgresError.new.__func__  # type: ignore[attr-defined]  # asyncpg-stubs leave it out

    def new_with_names(cls: type[Any], fields: Any, query: str | None = None) -> Any:
        error = new(cls, fields, query)
        if str(error.sqlstate).startswith("23"):
            name_fields(error)
        return error

    patch.setattr(asyncpg.PostgresError, "new", classmethod(new_with_names))


async def create_schema() -> str:
    """The name of a new schema that the real migrations have built."""
    name = f"mg_test_{uuid4().hex[:12]}"
    await upgrade(with_schema(name), schema=name)
    return name


async def drop_schema(name: str) -> None:
    """Drop a schema, and end whoever uses it."""
    assert URL is not None
    await run_statement(URL, f"SET client_min_messages = warning; DROP SCHEMA IF EXISTS {name} CASCADE")


@contextmanager
def new_schema(rows: str = "") -> Iterator[str]:
    """The URL of a migrated schema with rows, gone after the block."""
    name = completed(create_schema())
    try:
        if rows:
            completed(run_statement(with_schema(name), rows))
        yield with_schema(name)
    finally:
        completed(drop_schema(name))


@asynccontextmanager
async def login(url: str, name: str, attributes: str | None, tables: Sequence[str]) -> AsyncIterator[str]:
    """The URL for a new login that owns some tables, gone after the block; the given one where it has no attributes."""
    if attributes is None:
        yield url
        return
    superuser = await asyncpg.connect(url)
    try:
        await superuser.execute(f"CREATE ROLE {name} LOGIN {attributes}")
        try:
            if tables:
                await superuser.execute(f"GRANT USAGE ON SCHEMA {schema_of(url)} TO {name}")
            for table in tables:
                await superuser.execute(f"ALTER TABLE {table} OWNER TO {name}")
            scheme, _, rest = url.partition("://")
            yield f"{scheme}://{name}@{rest.partition('@')[2]}"
        finally:
            if tables:
                await superuser.execute(f"REASSIGN OWNED BY {name} TO {superuser_of(url)}")
                await superuser.execute(f"REVOKE USAGE ON SCHEMA {schema_of(url)} FROM {name}")
            await superuser.execute(f"DROP ROLE {name}")
    finally:
        await superuser.close()


def superuser_of(url: str) -> str:
    """The login that a URL names."""
    return url.partition("://")[2].partition("@")[0].partition(":")[0]


class SpareSchemas:
    """Migrated schemas that tests use one after the other, as long as they change nothing but rows."""

    def __init__(self, prepare: Prepare | None = None) -> None:
        self._prepare = prepare
        self._spare: list[tuple[str, str]] = []
        self._taken: dict[str, str] = {}

    async def take(self) -> str:
        """The URL of an empty migrated schema."""
        if self._spare:
            name, fingerprint = self._spare.pop()
        else:
            name = await create_schema()
            if self._prepare is not None:
                await self._prepare(with_schema(name))
            connection = await asyncpg.connect(with_schema(name))
            fingerprint = await connection.fetchval(_FINGERPRINT, name)
            await connection.close()
        self._taken[with_schema(name)] = fingerprint
        return with_schema(name)

    async def give_back(self, url: str) -> None:
        """Empty the schema for the next test, or drop it."""
        name, fingerprint = schema_of(url) or "", self._taken.pop(url)
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection = await asyncpg.connect(url)
            try:
                if await connection.fetchval(_FINGERPRINT, name) == fingerprint:
                    await connection.execute(_CLEAR, timeout=20)
                    self._spare.append((name, fingerprint))
                    return
            finally:
                await connection.close()
        await drop_schema(name)

    async def drop_all(self) -> None:
        """Drop what is left."""
        while self._spare:
            await drop_schema(self._spare.pop()[0])


@contextmanager
def spare_schemas(prepare: Prepare | None = None) -> Iterator[SpareSchemas]:
    """Migrated schemas that were prepared by a function of their URLs, dropped after the block."""
    spare = SpareSchemas(prepare)
    yield spare
    asyncio.run(spare.drop_all())


def choose(items: list[pytest.Item]) -> list[pytest.Item]:
    """Those of the tests that run on Citus; what is excluded is skipped, with its reason."""
    folder = Path(__file__).parent
    chosen = []
    for item in items:
        place = item.path.relative_to(folder).as_posix()
        if not place.startswith(FOLDERS):
            continue
        name = f"{place}::{item.nodeid.partition('::')[2]}"
        for pattern, reason in EXCLUDED.items():
            if re.match(pattern, name):
                item.add_marker(pytest.mark.skip(reason=f"not on Citus: {reason}"))
        chosen.append(item)
    return chosen
