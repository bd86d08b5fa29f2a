"""A scope's transaction as a Tortoise client: one connection of the pool, begun and ended in one round trip each."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from contextvars import Token
from types import TracebackType
from typing import Any

import asyncpg
from tortoise import Model
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import (
    BaseDBAsyncClient,
    ConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
)

from memory_guild.database.connections import ENGINE, current_connection, transaction_of_task
from memory_guild.database.executor import GuildExecutor
from memory_guild.database.opening import Opening
from memory_guild.database.session import Session, Turn, abandoning, close_around
from memory_guild.database.sqlstate import TranslatingClient, translated_errors
from memory_guild.database.tortoise import connections_of, context_of_task, driver_connection, tortoise_context
from memory_guild.database.travelling import travelling
from memory_guild.errors import ReadOnlyError, ScopeAbortedError, ScopeClosedError, SealError


class KeyedConnection:
    """A connection for statements that find their rows by key: one plan serves all tenants, so it is not made anew.

    Args:
        connection: The connection; by default the one that the task has when the statement runs.
    """

    def __init__(self, connection: AsyncpgDBClient | None = None) -> None:
        self._given = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._current(), name)

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, list[dict[Any, Any]]]:
        """Run a statement."""
        connection = self._current()
        if isinstance(connection, ScopeTransaction):
            return await connection.execute_by_key(query, values)
        affected, rows = await connection.execute_query(query, values)
        return affected, list(rows)

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[Any, Any]]:
        """Run a statement."""
        _, rows = await self.execute_query(query, values)
        return [dict(row) for row in rows]

    def _current(self) -> BaseDBAsyncClient:
        return self._given if self._given is not None else current_connection()


class ScopeExecutor(GuildExecutor):
    """Tortoise's executor inside a scope: it finds the rows of single instances by key."""

    async def execute_update(self, instance: type[Model] | Model, update_fields: Any) -> int:
        """Update the row of an instance; how many rows there were."""
        self._use_key()
        affected: int = await super().execute_update(instance, update_fields)
        return affected

    async def execute_delete(self, instance: type[Model] | Model) -> int:
        """Delete the row of an instance; how many rows there were."""
        self._use_key()
        affected: int = await super().execute_delete(instance)
        return affected

    def _use_key(self) -> None:
        if isinstance(self.db, ScopeTransaction):
            self.db = KeyedConnection(self.db)  # type: ignore[assignment]  # it stands for the connection


class ScopeTransaction(TranslatingClient, TransactionWrapper):
    """The client that Tortoise uses inside a scope.

    Concurrent tasks take turns, and while a savepoint is open, the statements outside it wait for its end.
    """

    executor_class = ScopeExecutor
    session: Session
    _lent: Any

    def __init__(self, parent: AsyncpgDBClient) -> None:
        self.closed = False
        self.pool: Any = parent.pool if isinstance(parent, ScopeTransaction) else parent
        self.depth: int = parent.depth + 1 if isinstance(parent, ScopeTransaction) else 0
        self._planner_settings: set[str] = set()
        super().__init__(self.pool)
        self._parent = parent
        if isinstance(parent, ScopeTransaction):
            self.session = parent.session
            self._lent = parent._lent

    @property
    def is_distributed(self) -> bool:
        """Whether the schema is one of Citus."""
        return bool(self.pool.is_distributed)

    @property
    def _connection(self) -> Any:
        """The connection as the pool lent it: Tortoise, and whoever looks for one, takes it for any statement."""
        self.session.is_lent = True
        return self._lent

    @_connection.setter
    def _connection(self, lent: Any) -> None:
        self._lent = lent

    async def close(self) -> None:
        """Close the pool: Tortoise asks the task's connection, which may be that of a suspended generator.

        Nobody will end its scope any more, so it is rolled back with its connection.
        """
        self.closed = True
        parent = self._parent
        while isinstance(
            parent, ScopeTransaction
        ):  # the blocks of those around end too, and must not wait for this one
            parent.closed = True
            parent._lock.release()
            parent = parent._parent
        await close_around(self.pool, self.session.abandon)

    def require_open(self) -> None:
        """Raise if the transaction has ended, or the server has ended it."""
        if self.closed:
            raise ScopeClosedError("the scope ended while this task still used it; await the task inside the scope")
        self.session.require_alive()

    def acquire_connection(self) -> ConnectionWrapper[asyncpg.Connection[asyncpg.Record]]:
        """The connection, for any statement."""
        innermost = self.innermost()
        return _LentConnection(innermost._lock, innermost)

    def driver(self) -> Turn:
        """The driver's connection, for one statement of the package's own, which leaves nothing to be reset."""
        innermost = self.innermost()
        return Turn(innermost._lock, self.session, innermost.require_open)

    def innermost(self) -> ScopeTransaction:
        """The task's savepoint inside this transaction, or the transaction itself.

        A queryset keeps the connection that it was built with. Where a nested scope was opened since, it runs inside:
        Waiting for the outer block would deadlock: that block waits for this queryset.
        """
        current = transaction_of_task.get()
        ancestor: AsyncpgDBClient | None = current
        while isinstance(ancestor, ScopeTransaction) and ancestor is not self:
            ancestor = ancestor._parent
        return current if isinstance(current, ScopeTransaction) and ancestor is self and not current.closed else self

    def end_nested(self) -> None:
        """End the savepoints inside this one that nobody will end; what they did is rolled back with this one."""
        nested = self.innermost()
        while nested is not self:
            nested.closed = True
            assert isinstance(nested._parent, ScopeTransaction)
            nested = nested._parent
            nested._lock.release()

    def _in_transaction(self) -> TransactionContext:
        return SavepointContext(self.innermost())

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, list[dict[Any, Any]]]:
        """Run a statement that may list rows: it is planned for this tenant's values, see :meth:`plan_for_values`."""
        await self.plan_for_values()
        return await self.execute_by_key(query, values)

    async def execute_by_key(self, query: str, values: list[Any] | None = None) -> tuple[int, list[dict[Any, Any]]]:
        """Run a statement that finds its rows by key."""
        affected, rows = await super().execute_query(query, values)
        return affected, rows

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[Any, Any]]:
        """Run a statement that may list rows, see :meth:`execute_query`."""
        await self.plan_for_values()
        rows: list[dict[Any, Any]] = await super().execute_query_dict(query, values)
        return rows

    async def plan_for_values(self, *, along_an_index: bool = False) -> None:
        """Before the first list of a scope, tell the server to plan for the values at hand.

        A plan kept from another tenant may be a hundred times too slow for a list, whereas a read by key has one plan
        for all, and planning it anew would cost as much as running it.

        Args:
            along_an_index: Whether an index has the whole order of the list. The planner must not take one that has
                the beginning of it then, and sort the rest: that one leads past the rows of all tenants.
        """
        # A worker of Citus gets each statement with its values, and keeps no plan.
        wanted = ["plan_cache_mode = force_custom_plan"] * (not self.is_distributed)
        wanted += ["enable_incremental_sort = off"] * along_an_index
        innermost = self.innermost()  # what is set in a savepoint ends with it
        if missing := [setting for setting in wanted if setting not in innermost._planner_settings]:
            innermost._planner_settings.update(missing)
            settings = [f"SET LOCAL {setting}" for setting in missing]
            with translated_errors():
                async with innermost.driver() as driver:
                    await driver.execute(travelling(*settings) if self.is_distributed else "; ".join(settings))


class _LentConnection(ConnectionWrapper["asyncpg.Connection[asyncpg.Record]"]):
    """A turn with the connection as the pool lent it, for Tortoise."""

    client: ScopeTransaction

    async def __aenter__(self) -> asyncpg.Connection[asyncpg.Record]:
        self._turn = self.client.driver()
        await self._turn.__aenter__()
        return self.connection

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        await self._turn.__aexit__(exc_type, exc_val, exc_tb)


class ScopeTransactionContext(TransactionContext):
    """Takes a connection from the pool, begins with ``opening``, and gives the connection back clean or not at all.

    Args:
        client: The client with the pool.
        opening: How to begin.
        idle_seconds: After how long without a statement the server will end the transaction; 0 never.
    """

    def __init__(self, client: AsyncpgDBClient, opening: Opening, idle_seconds: float) -> None:
        self.client = self.transaction = ScopeTransaction(client)
        self._pool_client = client
        self._pool: Any = None
        self._opening = opening
        self._idle_seconds = idle_seconds

    def again(self) -> ScopeTransactionContext:
        """Another transaction like this one, which has not begun."""
        return ScopeTransactionContext(self._pool_client, self._opening.again(), self._idle_seconds)

    @property
    def is_possible(self) -> bool:
        """Whether the pool is open, so that another one can begin."""
        return self._pool is not None and not self._pool.is_closing()

    async def __aenter__(self) -> ScopeTransaction:
        """Begin."""
        await self._pool_client.acquire_connection().ensure_connection()
        self._pool = self._pool_client._pool
        lent = await self._pool.acquire()
        self.transaction._connection = lent
        self.transaction.session = session = Session(
            driver_connection(lent), self._idle_seconds, is_behind_pooler=self._opening.is_behind_pooler
        )
        try:
            await self._opening.begin(session)
        except BaseException as error:
            if not isinstance(error, asyncpg.PostgresError | SealError):
                session.abandon()
            try:
                await session.roll_back()
            finally:
                await self._give_back(lent)
            raise
        self._current = CurrentTransaction(self.transaction, self.transaction.pool)
        return self.transaction

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Commit, or roll back what failed."""
        session = self.transaction.session
        try:
            with translated_errors(), abandoning(session):
                async with self.transaction._lock:
                    self.transaction.closed = True
                    if exc_type is None:
                        await session.commit()
                    else:
                        await session.roll_back()
        finally:
            self.transaction.closed = True
            if isinstance(exc_val, ReadOnlyError):
                await self._pool.expire_connections()
            try:
                await self._give_back(self.transaction._lent)
            finally:
                self._current.leave()

    async def _give_back(self, lent: Any) -> None:
        """Return the connection; one that cannot be reset is closed, and by then the scope's end is decided."""
        with suppress(Exception):
            await self._pool.release(lent)


class CurrentTransaction:
    """Makes a transaction the one of the current task until :meth:`leave`, for the package's models and for Tortoise's.

    Tortoise's own, and models of the application that share the pool, look for it under the connection's name.
    """

    def __init__(self, transaction: TransactionalDBClient, pool: Any) -> None:
        self._token: Token[Any] = transaction_of_task.set(transaction)
        self._left = ExitStack()
        self._left.enter_context(tortoise_context(pool.context))
        context = context_of_task()
        for name in connections_of(context, ENGINE):
            handler = context.connections  # type: ignore[union-attr]  # it has connections
            there: Any = handler._get_storage().get(name)
            if there is not None and there.pool.for_agents() is pool.for_agents():
                self._left.callback(_put_back, handler, handler.set(name, transaction))

    def leave(self) -> None:
        """Return to the connection around; an abandoned generator ends in another task, whose connection stays."""
        self._left.close()
        with suppress(ValueError):
            transaction_of_task.reset(self._token)


def _put_back(handler: Any, token: Any) -> None:
    with suppress(ValueError):
        handler.reset(token)


class SavepointContext(TransactionContext):
    """A nested scope or transaction: a savepoint that alone may use the connection until it ends."""

    def __init__(self, parent: ScopeTransaction) -> None:
        self.client = self.transaction = ScopeTransaction(parent)
        self._parent = parent

    async def __aenter__(self) -> ScopeTransaction:
        """Set the savepoint."""
        await self._parent.session.take_turn(self._parent._lock)
        try:
            self._parent.require_open()
            with translated_errors():
                await self.transaction.session.control(f"SAVEPOINT memory_guild_{self.transaction.depth}")
        except BaseException:
            self._parent._lock.release()
            raise
        self._current = CurrentTransaction(self.transaction, self.transaction.pool)
        return self.transaction

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Keep what was done since the savepoint, or undo it."""
        if self.transaction.closed:  # ended already, see ScopeTransaction.end_nested()
            return
        name = f"memory_guild_{self.transaction.depth}"
        try:
            # Cancelled in between: whether the savepoint was rolled back is unknown, so nothing around it may commit.
            with translated_errors(), abandoning(self.transaction.session):
                async with self.transaction._lock:
                    self.transaction.closed = True
                    if exc_type is None:
                        self.transaction.session.require_alive()
                        await self._keep(name)
                    else:
                        await self._undo(name)
        finally:
            self.transaction.closed = True
            self._parent._lock.release()
            self._current.leave()

    async def _keep(self, name: str) -> None:
        try:
            with translated_errors():
                await self.transaction.session.control(f"RELEASE {name}")
        except ScopeAbortedError:
            await self._undo(name)
            raise ScopeAbortedError(
                "a statement of the nested scope had failed, so the nested scope was rolled back; let the error end it"
            ) from None

    async def _undo(self, name: str) -> None:
        await self.transaction.session.roll_back(f"ROLLBACK TO {name}; RELEASE {name}")
