"""The Tortoise engine: Tortoise's asyncpg client with our settings, our errors and the embedded server behind it.

``TORTOISE_ORM`` names this module as the connection's engine; Tortoise finds the client as ``client_class``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import asyncpg
from tortoise import Model
from tortoise.backends.asyncpg.client import TransactionWrapper
from tortoise.backends.base.client import (
    BaseDBAsyncClient,
    NestedTransactionContext,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.context import TortoiseContext

from memory_guild.database import citus
from memory_guild.database.connections import current_connection, forget, register, wrong_loop
from memory_guild.database.executor import GuildExecutor
from memory_guild.database.generating import GuildSchemaGenerator
from memory_guild.database.groups import Groups, has_catalogue, schemas_with_tables
from memory_guild.database.opening import Seal
from memory_guild.database.quoting import quote_identifier
from memory_guild.database.scope import TenantManager
from memory_guild.database.scripts import single_statements
from memory_guild.database.seal import seal_of, seal_where_possible, state_of
from memory_guild.database.session import PooledConnection, close_around
from memory_guild.database.sqlstate import (
    DRIVER_ERRORS,
    OLDEST_SERVER_VERSION,
    TranslatingClient,
    connection_lost,
    translate_connecting,
    translated_errors,
)
from memory_guild.database.statements import statement
from memory_guild.database.tortoise import context_of_task
from memory_guild.database.transaction import CurrentTransaction
from memory_guild.database.travelling import STAY
from memory_guild.errors import (
    MemoryGuildError,
    ProgrammingError,
    ReadOnlyError,
    ServerTooOldError,
    TenantNotSetError,
    UnsupportedEncodingError,
)
from memory_guild.protocols import Embedder, Placement, Screen, VectorIndex
from memory_guild.settings import DatabaseUrl, Settings


class ScopelessExecutor(GuildExecutor):
    """Refuses tenant models, because a connection named with ``using_db`` bypasses the router."""

    def __init__(self, model: type[Model], db: BaseDBAsyncClient, *args: Any, **kwargs: Any) -> None:
        if isinstance(model._meta.manager, TenantManager):
            raise TenantNotSetError("this connection belongs to no scope; leave using_db out")
        super().__init__(model, db, *args, **kwargs)


class GuildClient(TranslatingClient):
    """A pool of connections to the server that the settings name."""

    executor_class = ScopelessExecutor
    schema_generator = GuildSchemaGenerator
    # Tortoise annotates it as a connection, and has a class of connections there itself.
    connection_class = PooledConnection  # type: ignore[assignment]

    def __init__(
        self,
        connection_name: str,
        settings: Settings | None = None,
        fetch_inserted: bool = True,
        embedded_login: str = "agents",
    ) -> None:
        super().__init__(connection_name=connection_name, fetch_inserted=fetch_inserted)
        self.settings = settings = settings or Settings.from_environment()
        self.schema = settings.schema
        self.context: TortoiseContext | None = context_of_task()
        self.is_closed = False
        self._embedded_login = embedded_login
        self.seal = Seal(is_sealed=False, key=settings.seal_key)
        self.is_distributed = False  # whether the schema is one of Citus
        self.embedder: Embedder | None = None  # the one that the settings name, once it is needed, or the caller's own
        self.vector_index: VectorIndex | None = None  # likewise
        self.owns_vector_index = False  # whether it ends with the pool
        self.deciders: dict[str, object] = {}  # of the access policies, by group, once they are needed
        self.groups: Groups | None = None  # where the database has several
        self.placement: Placement | None = None  # the caller's own
        self.check_group: Callable[[str], Awaitable[None]] | None = None  # before a group is used for the first time
        self.closed_with_it: list[Callable[[], Awaitable[None]]] = []
        self.screen: Screen | None = None  # the one that the settings name, once it is needed, or the caller's own
        self._agents: GuildClient | None = None
        self._maintenance: GuildClient | None = None

    async def create_connection(self, with_db: bool) -> None:
        """Open the pool; start the embedded server first where the settings name no other."""
        with _translated_connecting(await self._locate()):
            self._pool = await asyncpg.create_pool(
                min_size=self.settings.pool_min,
                max_size=self.settings.pool_max,
                init=_refuse_unusable_server,
                connect=self._connect,
                **self._arguments(with_db),
            )
        await self._post_connect()
        with translated_errors():
            pool: Any = self._pool
            async with pool.acquire() as connection:
                await self._find_groups(connection)
                await self._find_seal(connection)
            if self.is_distributed:
                await pool.expire_connections()  # the first one lacks the settings of the others

    async def _find_groups(self, connection: Any) -> None:
        """Learn whether the database has several groups of tenants."""
        self.groups, is_agents = None, self._embedded_login == "agents"
        has_groups = await has_catalogue(connection, self.schema, waits=is_agents)
        if self.placement is not None or has_groups:
            self.groups = Groups(self.schema, self.execute_query_dict, self.placement, has_catalogue=has_groups)
            self.groups.check = self.check_group

    async def _find_seal(self, connection: Any) -> None:
        """Learn whether the schemas are Citus's, and whether they are sealed; the key where the login may read it.

        All groups have one key, and are of one kind.
        """
        if self.seal.is_sealed:  # the embedded server, which this process has sealed itself
            return
        schemas = await schemas_with_tables(connection, self.schema) if self.groups is not None else [self.schema]
        for schema in schemas[:1]:
            state = await state_of(connection, schema)
            if state["has_citus"]:
                self.is_distributed = await citus.keeps_apart(connection, schema)
            if self.settings.seal_key is None:
                self.seal = await seal_of(connection, schema, state)

    def for_agents(self) -> GuildClient:
        """The pool that tenants' scopes use."""
        return self._agents or self

    def for_maintenance(self) -> GuildClient:
        """The pool that maintenance scopes use: on the embedded server the agents' login may not become their role."""
        if self.settings.database_url is not None or self._embedded_login != "agents":
            return self
        if self._maintenance is None:
            settings = replace(self.settings, pool_min=0)
            self._maintenance = GuildClient(self.connection_name, settings, self.fetch_inserted, "maintenance")
            self._maintenance._agents = self
        return self._maintenance

    async def close(self) -> None:
        """Close the pool, and that of maintenance scopes."""
        self._leave_dead_loop()
        if self._maintenance is not None:
            await self._maintenance.close()
        await super().close()
        if self.vector_index is not None and self.owns_vector_index:
            self.owns_vector_index = False
            await self.vector_index.close()
        while self.closed_with_it:
            await self.closed_with_it.pop()()
        self.deciders.clear()
        self.is_closed = True
        forget(self)

    async def known_groups(self) -> Groups | None:
        """The groups of tenants, where there are several. The pool opens to learn that, where it has not yet."""
        agents = self.for_agents()
        await agents.acquire_connection().ensure_connection()
        return agents.groups

    @property
    def pool(self) -> GuildClient:
        """Itself: a transaction's is the client that it took its connection from."""
        return self

    @property
    def home(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that the open connections belong to; None where there are none."""
        return self._bound_loop

    @property
    def target(self) -> str:
        """Which server, without a password."""
        return str(self.settings.database_url or "the embedded server")

    def acquire_connection(self) -> Any:
        """A connection of the pool, in the event loop that opened it."""
        self._leave_dead_loop()
        return super().acquire_connection()

    def _leave_dead_loop(self) -> None:
        """Drop the connections if their event loop has ended; the next statement opens new ones in this loop.

        Raises:
            WrongEventLoopError: Their event loop is another one, and it is not closed.
        """
        loop = self._bound_loop
        if loop is not None and not self._check_bound_loop():
            if not loop.is_closed():
                raise wrong_loop()
            self._pool = self._bound_loop = self._maintenance = None
            if self.owns_vector_index:
                self.vector_index, self.owns_vector_index = None, False
            self.deciders.clear()
            self.closed_with_it.clear()
            self._pool_init_lock = asyncio.Lock()

    def _check_bound_loop(self) -> bool:
        return self._bound_loop is None or self._bound_loop is asyncio.get_running_loop()

    def _check_loop(self) -> bool:
        """Tell Tortoise to keep this client in another event loop too: the client itself refuses to work there.

        Tortoise would put another one in its place, for the first loop as well.
        """
        return True

    async def _connect(self, *arguments: Any, **keywords: Any) -> asyncpg.Connection[asyncpg.Record]:
        """Open one more connection for the pool. It may fail although the first one succeeded."""
        if self.is_distributed:
            keywords["server_settings"] = _server_settings(self.settings, is_distributed=True)
        with _translated_connecting(str(self._url)):
            connection: PooledConnection = await asyncpg.connect(*arguments, **keywords)
        if self.is_distributed:
            connection.before_reset = STAY
        return connection

    @asynccontextmanager
    async def dedicated_connection(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection beside the pool, with the same settings, closed at the end of the block."""
        with _translated_connecting(await self._locate()):
            connection = await asyncpg.connect(**self._arguments(with_db=True))
        try:
            with translated_errors():
                yield connection
        except ProgrammingError:
            if not connection.is_closed():
                raise
            raise connection_lost() from None
        finally:
            with suppress(*DRIVER_ERRORS, OSError):  # it is lost, or will be
                await connection.close()

    async def _locate(self) -> str:
        self._url = self.settings.database_url or await self._attach()
        self.user, self.password, self.database = self._url.user, self._url.password, self._url.database
        return str(self._url)

    async def _attach(self) -> DatabaseUrl:
        from memory_guild import embedded  # only an installation with the extra has what it needs

        settings = self.settings
        server = await asyncio.to_thread(embedded.attach, settings.embedded_folder, settings.embedded_version)
        owner = DatabaseUrl.parse(server.url)
        if self._embedded_login == "owner":
            return owner
        self._url = owner
        with _translated_connecting(server.url):
            connection = await asyncpg.connect(**self._arguments(with_db=True))
        try:
            with translated_errors():
                await connection.execute(statement("database/embedded_logins"))
                if self._embedded_login == "agents":
                    for schema in await schemas_with_tables(connection, self.schema, waits=True):
                        self.seal = await seal_where_possible(connection, schema, self.seal.key)
        finally:
            with suppress(*DRIVER_ERRORS, OSError):  # it is lost, or will be
                await connection.close()
        return DatabaseUrl.parse(server.url_of(self._embedded_login))

    def _arguments(self, with_db: bool) -> dict[str, Any]:
        return {
            "dsn": self._url.dsn,
            "user": self._url.user,
            "password": self._url.password,
            "database": self._url.database if with_db else None,
            "timeout": self.settings.connect_timeout_seconds,
            "server_settings": _server_settings(self.settings, is_distributed=self.is_distributed),
            **({"statement_cache_size": 0} if self.settings.pooler else {}),
            "connection_class": self.connection_class,
        }

    async def _translate_exceptions(
        self, func: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        try:
            return await super()._translate_exceptions(func, *args, **kwargs)
        except ReadOnlyError:
            await self._expire_connections()
            raise

    async def _close(self) -> None:
        try:
            await super()._close()
        except (*DRIVER_ERRORS, OSError):  # a connection was lost: there is nothing to say goodbye to
            if self._pool is not None:
                self._pool.terminate()
            self._pool = None

    def _in_transaction(self) -> TransactionContext:
        self._leave_dead_loop()
        return GuildTransactionContext(GuildTransaction(self), self._pool_init_lock)


class GuildTransaction(TranslatingClient, TransactionWrapper):
    """A connection of the pool for the length of one transaction."""

    executor_class = ScopelessExecutor

    @property
    def pool(self) -> GuildClient:
        """The client that the connection was taken from."""
        parent: Any = self._parent  # of this engine: a client or a transaction
        pool: GuildClient = parent.pool
        return pool

    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(GuildTransaction(self))

    async def execute_script(self, query: str) -> None:
        """Run a script; on Citus, one statement after the other."""
        for script in single_statements(query) if self.pool.is_distributed else [query]:
            await super().execute_script(script)

    async def commit(self) -> None:
        """Commit the transaction, or keep what was done since the savepoint."""
        if not self._connection_is_open():
            raise connection_lost()
        with translated_errors():
            await super().commit()

    async def rollback(self) -> None:
        """Undo the transaction; the server does so itself where the connection is lost."""
        try:
            await super().rollback()
        except DRIVER_ERRORS:  # the error that ended the transaction says more
            self.abandon()
            self._finalized = True

    async def close(self) -> None:
        """Close the pool, as Tortoise asks the connection of the task: a suspended generator may have left this one."""
        parent = self._parent
        while isinstance(parent, GuildTransaction):
            parent = parent._parent
        await close_around(parent, self.abandon)

    def abandon(self) -> None:
        """Cut the connection, and with it the transaction."""
        if self._connection_is_open():
            self._connection.terminate()

    async def _translate_exceptions(
        self, func: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        try:
            return await super()._translate_exceptions(func, *args, **kwargs)
        except ProgrammingError:
            if self._connection_is_open():
                raise
            raise connection_lost() from None

    def _connection_is_open(self) -> bool:
        try:
            return not self._connection.is_closed()
        except asyncpg.InterfaceError:
            return False  # a lost connection has left the pool, and what stood for it answers nothing


class GuildTransactionContext(TransactionContextPooled):
    """Always gives the connection back. Tortoise's own keeps it if the transaction cannot begin or end."""

    _current: CurrentTransaction

    async def __aenter__(self) -> Any:
        """Begin."""
        await self.ensure_connection()
        with translated_errors():
            self.client._connection = await self.client._parent._pool.acquire()
        try:
            await self.client.begin()
        except BaseException:
            await self._give_back()
            raise
        self._current = CurrentTransaction(self.client, self.client._parent)
        return self.client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        """Commit, or roll back after an error."""
        try:
            if not self.client._finalized:
                await (self.client.commit() if exc_type is None else self.client.rollback())
        finally:
            try:
                await self._give_back()
            finally:
                self._current.leave()

    async def _give_back(self) -> None:
        """Return the connection; the pool closes one that cannot be reset, and by then the outcome is decided."""
        pool = self.client._parent._pool
        if pool:
            with suppress(Exception):
                await pool.release(self.client._connection)


@asynccontextmanager
async def working_in(schema: str) -> AsyncIterator[None]:
    """A transaction that works in another schema: the task's statements outside scopes use it."""
    async with client()._in_transaction() as transaction:
        await transaction.execute_script(f"SET LOCAL search_path = {quote_identifier(schema)}")
        yield


class _OneLine(logging.Filter):
    """asyncpg logs each failed attempt to connect again with a traceback; our error says in a line what is wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record; True, as it is to be logged."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, MemoryGuildError):
            record.msg, record.args, record.exc_info = "%s: %s", (record.getMessage(), error), None
        return True


logging.getLogger("asyncpg.pool").addFilter(_OneLine())


@contextmanager
def _translated_connecting(target: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if (ours := translate_connecting(error, target)) is not None:
            raise ours from None
        raise


def _server_settings(settings: Settings, *, is_distributed: bool) -> dict[str, str]:
    if settings.pooler:
        return {"application_name": settings.application_name}  # it refuses the others, and they would not last
    quoted_schema = settings.schema.replace('"', '""')
    return {
        "search_path": f'"{quoted_schema}"',
        "application_name": settings.application_name,
        "row_security": "on",  # where a role's default is off, each query of a scope would fail
        "statement_timeout": str(round(settings.statement_timeout_seconds * 1000)),
        **(citus.START_UP if is_distributed else {}),
    }


async def _refuse_unusable_server(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER_VERSION:
        raise ServerTooOldError(
            f"the server is PostgreSQL {version.major}.{version.minor}; {OLDEST_SERVER_VERSION} or newer is needed",
            server_version=f"{version.major}.{version.minor}",
        )
    # The server says it when a connection begins; a pooler may keep it to itself.
    encoding = getattr(connection.get_settings(), "server_encoding", None)
    encoding = encoding or await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise UnsupportedEncodingError(encoding)


def client_class(**credentials: Any) -> GuildClient:
    """The client for ``Tortoise.init``; it lets every task find the database."""
    from memory_guild.database.history import know_new_databases  # Aerich is slow to import; Tortoise has done so

    know_new_databases()
    opened = GuildClient(**credentials)
    register(opened)
    return opened


def client() -> GuildClient:
    """The client of the current task: the pool, or inside a scope or transaction its connection."""
    current: GuildClient = current_connection()
    return current
