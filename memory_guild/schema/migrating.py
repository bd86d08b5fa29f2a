"""Upgrade the database to this version's migrations with Aerich, one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakKeyDictionary

from memory_guild.database.conflicts import repeated
from memory_guild.database.connecting import connect_for_maintenance, settings_for
from memory_guild.database.engine import client
from memory_guild.database.groups import has_catalogue, schemas_with_tables
from memory_guild.database.migrations import (
    GROUPS,
    SEARCH,
    TABLES,
    applied_migrations,
    refuse_tables_of_others,
    server_folder,
    server_migrations,
)
from memory_guild.database.sqlstate import translated_errors
from memory_guild.database.statements import statement
from memory_guild.database.tortoise import separate_tortoise
from memory_guild.errors import InvalidInputError, SchemaError, SchemaTooNewError
from memory_guild.schema.rights import restore_rights
from memory_guild.schema.scripts import choosing_text_search
from memory_guild.schema.shards import quicken

if TYPE_CHECKING:
    import asyncpg

    from memory_guild.settings import Settings

    Connection = asyncpg.Connection[asyncpg.Record]

_ATTEMPTS = 10  # agents at work may keep a migration, or the indexing of some memories, from succeeding so often
_SECONDS_BETWEEN_ATTEMPTS = 0.1

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def upgrade(
    database_url: str | None = None,
    *,
    schema: str | None = None,
    search: bool = False,
    text_search: str | None = None,
    progress: Callable[[int], None] | None = None,
    granted: Callable[[str], None] | None = None,
) -> list[str]:
    """Apply the migrations that the database lacks, each in its own transaction.

    Several processes may call this at once: one applies the migrations, the others wait and find nothing to do. If the
    roles of the scopes are missing or lack what the migrations gave them, as after a restore on another server, they
    get it again.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables, created if it is missing; by default ``MEMORY_GUILD_SCHEMA``.
        search: Whether to install the search that ``recall`` needs, too: tables of its own, and triggers on the five.
            Memories that are there already are indexed, in small transactions, while agents work; if that is
            interrupted, run it again. Where the search is installed, its migrations are always applied, and what they
            ask to be indexed anew is indexed.
        text_search: How the search reads words: a configuration of PostgreSQL's text search, such as ``german``; by
            default ``MEMORY_GUILD_TEXT_SEARCH``, and without it the one that the database has, ``english`` at first.
            A change indexes all memories anew, as above; until then a memory is found by its old words.
        progress: Called now and then with how many memories have been indexed or were already.
        granted: Called with each statement that gave the roles what they lacked.

    Returns:
        The names of the migrations that this call applied, in order.

    Raises:
        InvalidInputError: The server has no such ``text_search``, or it is given and the database has no search and is
            to get none; nothing was changed.
        SchemaTooNewError: The database has migrations that this code does not know; nothing was changed.
        TablesExistError: The database has tables of these names from elsewhere; nothing was changed.
        SchemaError: The search is wanted, and the server has no pgvector 0.7 or newer, or the schema is distributed; or
            the database has groups of tenants, and the schema is none of them, see
            :func:`memory_guild.schema.groups.upgrade_all`. Nothing was changed.
        UnsupportedEncodingError: The database is not in UTF-8.
        ConnectionFailedError: The server cannot be used.
        TransactionConflictError: Agents at work met this in a deadlock ten times in a row; run it again.
    """
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as lock,
    ):
        async with _turn(lock):
            has_search = search or bool(await applied_migrations(SEARCH))
            apps = [TABLES, SEARCH] if has_search else [TABLES]
            if await has_catalogue(lock, client().schema):
                _require_group(client().schema, await schemas_with_tables(lock, client().schema))
                apps = [GROUPS, *apps]
            pending = {app: await pending_migrations(app) for app in apps}
            if search and not server_migrations(SEARCH):
                raise SchemaError(
                    "on Citus there is no search yet; upgrade without it, or use a schema of a plain server"
                )
            if search and not await lock.fetchval(statement("schema/has_vectors")):
                raise SchemaError(
                    "the search needs pgvector 0.7 or newer, and this server has none; install it, for example with"
                    " `apt install postgresql-18-pgvector` for PostgreSQL 18, and upgrade again"
                )
            settings = settings_for(database_url, schema=schema)
            if text_search is not None and not has_search:
                raise InvalidInputError(
                    "text_search", "is for the search, which this database has not; use search=True"
                )
            wanted = settings.text_search if text_search is None else text_search
            chosen = await _text_search_of_server(lock, wanted) if has_search and wanted is not None else None
            for app in apps:
                if pending[app]:
                    await apply_migrations(app, settings)
            for grant in await restore_rights(lock, client().schema):
                if granted is not None:
                    granted(grant)
        await quicken(lock, client().schema)
        if search or chosen is not None or pending.get(SEARCH):
            # In a turn of its own: the roles may be new, and others see them once they are committed.
            async with _turn(lock):
                if chosen is not None:
                    await repeated(partial(_choose_text_search, chosen), _ATTEMPTS)
                await _index_words(progress or (lambda _: None))
        return [name for names in pending.values() for name in names]


def _require_group(schema: str, groups: list[str]) -> None:
    if schema not in groups:
        raise SchemaError(
            f"this database has groups of tenants, and the schema {schema} is none of them; run `memory-guild upgrade"
            " --all-groups`"
        )


@asynccontextmanager
async def _turn(lock: Connection) -> AsyncIterator[None]:
    """A transaction in which no other process upgrades this schema."""
    # The lock has its own connection: a migration that commits or fails must not release it.
    async with unhurried_transaction(lock):
        while not await lock.fetchval(statement("schema/upgrade_lock")):  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)
        yield


@asynccontextmanager
async def unhurried_transaction(connection: Connection) -> AsyncIterator[None]:
    """A transaction that may take as long as it needs."""
    with translated_errors():
        async with connection.transaction():
            for setting in ("statement_timeout = 0", "idle_in_transaction_session_timeout = 0", "jit = off"):
                await connection.execute(f"SET LOCAL {setting}")
            yield


async def pending_migrations(app: str) -> list[str]:
    """The app's migrations that are missing, in a database where they can be applied."""
    known, present = server_migrations(app), await applied_migrations(app)
    if unknown := [name for name in present if name not in known]:
        raise SchemaTooNewError(unknown)
    pending = [name for name in known if name not in present]
    await refuse_tables_of_others(pending, app)
    return pending


async def apply_migrations(app: str, settings: Settings) -> None:
    """Apply the app's migrations that are missing; after a failure those before it stay, and are not applied again."""
    # Tortoise, which Aerich sets up, has one set of models in a process: one task at a time.
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        await repeated(partial(_apply, app, settings), _ATTEMPTS)


async def _apply(app: str, settings: Settings) -> None:
    from aerich import Command  # here: it takes a tenth of a second to import

    command = Command(settings.tortoise_config(as_owner=True), app=app, location=str(server_folder(app)))
    async with separate_tortoise():
        await command.init()
        await command.upgrade()


async def _text_search_of_server(connection: Connection, name: str) -> str:
    """The name of a configuration of the text search with its schema.

    Raises:
        InvalidInputError: The server has none of this name.
    """
    rows = await connection.fetch(statement("schema/text_searches"))
    for row in rows:
        if name in (row["name"], row["qualified"]):
            return str(row["qualified"])
    known = ", ".join(row["name"] or row["qualified"] for row in rows)
    raise InvalidInputError("text_search", f"is no configuration of this server's text search; it has: {known}")


async def _choose_text_search(qualified: str) -> None:
    """Choose the text search of the database. Words that were made with another one are to be made anew."""
    async with client().dedicated_connection() as connection:
        with translated_errors():
            async with connection.transaction():
                if await connection.fetchval(statement("schema/text_search")) != qualified:
                    await connection.execute("SET LOCAL statement_timeout = 0")
                    await connection.execute(statement("schema/stop_indexing"))
                    await connection.execute(await choosing_text_search(qualified))


async def _index_words(progress: Callable[[int], None]) -> None:
    """Index the memories that were stored before the search was installed, or while it made their words differently.

    A few hundred in each transaction.
    """
    async with client().dedicated_connection() as connection:
        # All have a row before the first is completed by its neighbors' words: the migration says why.
        for name in ("schema/index_words", "schema/complete_words"):
            last: UUID | None = UUID(int=0)
            done = 0
            while last is not None:
                last, looked_at = await repeated(partial(_index_some, connection, name, last), _ATTEMPTS)
                done += looked_at
                if name == "schema/complete_words":
                    progress(done)


async def _index_some(connection: Connection, name: str, after: UUID) -> tuple[UUID | None, int]:
    """Let a statement work on the next memories; the id of the last one, None at the end, and how many they were."""
    with translated_errors():
        async with connection.transaction():
            await connection.execute(statement("schema/begin_indexing"))
            row = await connection.fetchrow(statement(name), after)
    assert row is not None
    return row["last"], row["looked_at"]
