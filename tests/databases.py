"""Copies of the migrated database: the one place that makes them, uses them again and drops them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg

from memory_guild.testing.databases import (
    completed,
    create_database,
    drop_database,
    name_of,
    new_database,
    run_statement,
    with_database,
)
from tests import citus

__all__ = [
    "SpareDatabases",
    "copied_database",
    "new_database",
    "run_statement",
    "spare_databases_like",
    "spare_databases_prepared",
    "with_database",
]

# Half the work of copying page by page through the write-ahead log, which is faster only where the source is large or
# the server has much to write at a checkpoint.
COPY_OF = 'TEMPLATE "{}" STRATEGY FILE_COPY'

CLEAR = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DELETE FROM memory_records;
DELETE FROM data_sources;
DELETE FROM memory_access_policies;
DELETE FROM pg_statistic USING pg_class
WHERE pg_class.oid = starelid AND relnamespace <> 'pg_catalog'::regnamespace
"""
CATALOGS = (
    *("pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl", "pg_depend", "pg_description"),
    *("pg_extension", "pg_index", "pg_namespace", "pg_policy", "pg_proc", "pg_rewrite", "pg_trigger"),
    "aerich",
)
FINGERPRINT = f"""
SELECT concat_ws(
    ' ',
    {", ".join(f"(SELECT sum(hashtextextended(concat(ctid, xmin), 0)) FROM {catalog})" for catalog in CATALOGS)},
    (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = pg_database.oid),
    datacl,
    datallowconn
)
FROM pg_database
WHERE datname = current_database()
"""
"""What changes with any change of the catalog: each row's version of all but the five tables and what ANALYZE saw."""


@contextmanager
def copied_database(server_url: str, template: str, rows: str = "") -> Iterator[str]:
    """The URL of a copy of the migrated database, with rows, gone after the block."""
    if citus.URL:
        with citus.new_schema(rows) as url:
            yield url
        return
    with new_database(server_url, COPY_OF.format(template)) as url:
        if rows:
            completed(run_statement(url, rows))
        yield url


class SpareDatabases:
    """Copies of the migrated database that tests use one after the other.

    A copy takes as long as most tests. So one that a test gives back is emptied and used again, unless anything but the
    rows of the five tables has changed: then it is dropped.
    """

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._spare: list[str] = []
        self._fingerprint = ""

    async def take(self) -> str:
        """The URL of an empty migrated database."""
        if self._spare:
            return with_database(self._server_url, self._spare.pop())
        name = await create_database(self._server_url, COPY_OF.format(self._template))
        if not self._fingerprint:
            connection = await asyncpg.connect(with_database(self._server_url, name))
            self._fingerprint = await connection.fetchval(FINGERPRINT)
            await connection.close()
        return with_database(self._server_url, name)

    async def give_back(self, url: str) -> None:
        """Empty the database for the next test, or drop it."""
        name = name_of(url)
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            if await self._is_as_before(name):
                self._spare.append(name)
                return
        await drop_database(self._server_url, name)

    async def drop_all(self) -> None:
        """Drop what is left."""
        while self._spare:
            await drop_database(self._server_url, self._spare.pop())

    async def _is_as_before(self, name: str) -> bool:
        connection = await asyncpg.connect(with_database(self._server_url, name))
        try:
            if await connection.fetchval(FINGERPRINT) != self._fingerprint:
                return False
            await connection.execute(CLEAR)
            # Plans and the pages that are read depend on what earlier tests have left: leave nothing.
            await connection.execute(
                "VACUUM memory_records, memory_embeddings, memory_relationships, data_sources, memory_access_policies"
            )
            return True
        finally:
            await connection.close()


@contextmanager
def spare_databases_like(server_url: str, template: str) -> Iterator[SpareDatabases | citus.SpareSchemas]:
    """Copies of a database, dropped after the block."""
    if citus.URL:
        with citus.spare_schemas() as schemas:
            yield schemas
        return
    spare = SpareDatabases(server_url, template)
    yield spare
    asyncio.run(spare.drop_all())


@contextmanager
def spare_databases_prepared(
    server_url: str, template: str, prepare: Callable[[str], Coroutine[Any, Any, Any]]
) -> Iterator[SpareDatabases | citus.SpareSchemas]:
    """Copies of a copy of a database that was prepared by a function of its URL."""
    if citus.URL:
        with citus.spare_schemas(prepare) as schemas:
            yield schemas
        return
    with copied_database(server_url, template) as url:
        asyncio.run(prepare(url))
        with spare_databases_like(server_url, name_of(url)) as spare:
            yield spare
