"""Connecting: open the pool, and check the schema against the code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial

from memory_guild.database.connections import ENGINE, chosen, register, transaction_of_task, unregistered
from memory_guild.database.engine import GuildClient, working_in
from memory_guild.database.isolation import check_isolation
from memory_guild.database.migrations import check_catalogue, check_migrations
from memory_guild.database.tortoise import GuestContext, tortoise_context
from memory_guild.errors import InvalidInputError, MigrationsPendingError
from memory_guild.protocols import Embedder, Placement, Screen, VectorIndex
from memory_guild.settings import DatabaseUrl, Settings


def settings_for(database_url: str | None = None, *, schema: str | None = None) -> Settings:
    """The environment's settings, overridden by the caller's."""
    settings = Settings.from_environment()
    if database_url is not None:
        settings = replace(settings, database_url=DatabaseUrl.parse(database_url))
    return settings if schema is None else replace(settings, schema=schema)


class MemoryDatabase:
    """A memory database that is open.

    Attributes:
        url: Its URL, without the password.
        schema: The schema that holds the tables.
    """

    def __init__(self, pool: GuildClient) -> None:
        self._pool = pool
        self.url = pool.target
        self.schema = pool.schema

    def __repr__(self) -> str:
        return f"<MemoryDatabase {self.url}, schema {self.schema}>"

    def use(self) -> AbstractContextManager[None]:
        """Use this database inside the block, and in the tasks that are started there: ``with archive.use():``.

        Needed only where several are open. A scope that is open around the block, in another database, is not seen
        inside.
        """
        return chosen(self._pool)


@asynccontextmanager
async def connect(
    database_url: str | None = None,
    *,
    schema: str | None = None,
    embedder: Embedder | str | None = None,
    vector_index: VectorIndex | str | None = None,
    screen: Screen | None = None,
    placement: Placement | None = None,
    check_schema: bool = True,
    as_owner: bool = False,
) -> AsyncIterator[MemoryDatabase]:
    """Open the pool and check the schema; close it at the end.

    Inside the block, and in the tasks that are started there, this database is used, also inside a scope of another.
    Every other task of this event loop uses it too: requests, a notebook's next cell, coroutines from other threads.
    Where one task opens several, those others have to name one, see :meth:`MemoryDatabase.use`; what a request opens
    for itself is its own. The application's own use of Tortoise is not touched.

    An agent that calls ``Tortoise.init(config=TORTOISE_ORM)`` itself does not need this.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.
        embedder: What turns texts into vectors for ``recall`` and ``embed_pending``: a name, as in
            ``MEMORY_GUILD_EMBEDDER``, or an object of your own that has the members of
            :class:`memory_guild.protocols.Embedder`; by default ``MEMORY_GUILD_EMBEDDER``.
        vector_index: Where ``recall`` looks for vectors outside scopes, and what ``sync_vectors`` keeps true: a name,
            as in ``MEMORY_GUILD_VECTOR_INDEX``, or an object of your own that has the members of
            :class:`memory_guild.protocols.VectorIndex`, which you close yourself; by default
            ``MEMORY_GUILD_VECTOR_INDEX``.
        screen: What sees each memory before it is stored, and may redact or refuse it, see
            :data:`memory_guild.protocols.Screen`; by default the function that ``MEMORY_GUILD_SCREEN`` names.
        placement: Says in which group of tenants each tenant is, see :data:`memory_guild.protocols.Placement`; by
            default the database's own catalogue, where it has several groups.
        check_schema: Whether to refuse a database whose migrations are not the code's, or that isolates no tenants.
        as_owner: Whether to connect to the embedded server as the owner of the tables, a superuser, instead of the
            agents' login. It changes nothing where a database is configured.

    Yields:
        The database.

    Raises:
        SettingsError: The environment or the URL cannot be used, or there is no embedder or vector index of this name.
        InvalidInputError: The embedder or the vector index lacks a member, or the screen or the placement cannot be
            called.
        ConnectionFailedError: The server cannot be used.
        EmbeddedServerError: The embedded server cannot be started.
        MigrationsPendingError: The database needs ``memory-guild upgrade``.
        SchemaTooNewError: The code is older than the database.
        RoleMissingError: This login has nothing of the application role.
        IsolationError: This login's scopes would not isolate tenants; the error lists why.
    """
    login = "owner" if as_owner else "agents"
    settings = settings_for(database_url, schema=schema)
    if isinstance(embedder, str):
        settings = replace(settings, embedder=embedder)
    elif embedder is not None and not isinstance(embedder, Embedder):
        raise InvalidInputError("embedder", f"must be an embedder or its name, not {type(embedder).__name__}")
    if isinstance(vector_index, str):
        settings = replace(settings, vector_index=vector_index)
    elif vector_index is not None and not isinstance(vector_index, VectorIndex):
        raise InvalidInputError(
            "vector_index", f"must be a vector index or its name, not {type(vector_index).__name__}"
        )
    for name, function in (("screen", screen), ("placement", placement)):
        if function is not None and not callable(function):
            raise InvalidInputError(name, f"must be callable, not {type(function).__name__}")
    pool = GuildClient(_NAME, settings, embedded_login=login)
    pool.embedder = None if isinstance(embedder, str) else embedder
    pool.vector_index = None if isinstance(vector_index, str) else vector_index
    pool.screen = screen
    pool.placement = placement
    pool.check_group = partial(_check_group, pool) if check_schema else None
    pool.context = GuestContext(_NAME, ENGINE, pool)
    try:
        with tortoise_context(pool.context), chosen(pool):
            await pool.create_connection(with_db=True)
            if check_schema:
                await _check(pool)
            register(pool)
            yield MemoryDatabase(pool)
    finally:
        # A suspended generator may have left its scope open in this task: nobody will end it, so nothing waits for it.
        left = transaction_of_task.get()
        await (pool if left is None or left.pool is not pool else left).close()


async def _check(pool: GuildClient) -> None:
    """Check the tables. Where there are several groups, each is checked before its first use, and now the catalogue."""
    if pool.groups is None:
        await check_migrations()
        await check_isolation()
    elif pool.groups.confirms:
        await check_catalogue()


async def _check_group(pool: GuildClient, group: str) -> None:
    """Check the tables of a group.

    Raises:
        MigrationsPendingError: The group needs ``memory-guild upgrade --all-groups``.
        SchemaTooNewError: The code is older than the group.
        IsolationError: This login's scopes would not isolate the tenants there.
    """
    with chosen(pool):
        async with working_in(group):
            try:
                await check_migrations()
            except MigrationsPendingError as error:
                raise MigrationsPendingError(error.pending, group=group) from None
            await check_isolation()


@asynccontextmanager
async def connect_for_maintenance(
    database_url: str | None = None, *, schema: str | None = None, as_owner: bool = True
) -> AsyncIterator[None]:
    """Open a pool whatever state the schema is in; no other task finds it."""
    with unregistered():
        async with connect(database_url, schema=schema, check_schema=False, as_owner=as_owner):
            yield


# Not "default": the application's own models, which ask Tortoise for that, must not find this one.
_NAME = "memory_guild"
