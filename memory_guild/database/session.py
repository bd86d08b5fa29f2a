"""The server's side of a scope: the connection, how it is ended and reset, and how it may have been lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from memory_guild.database.connections import require_loop
from memory_guild.database.sqlstate import connection_lost, translated_errors
from memory_guild.database.tortoise import GroupedStatements, add_arrays, add_codec
from memory_guild.errors import (
    MemoryGuildError,
    ScopeAbortedError,
    ScopeError,
    ScopeIdleError,
    ServerUnreachableError,
)
from memory_guild.moments import TIMESTAMPTZ_OID, decode, encode

if TYPE_CHECKING:
    from memory_guild.database.trail import Trail

# What asyncpg sends when a connection goes back to its pool, sent together with the COMMIT instead of after it.
# Temporary tables go too, which the pool would keep: the next tenant's scope could read them.
_RESET = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL; RESET ROLE; DISCARD TEMP"

# Statements that somebody prepared by SQL. One may have taken the name of a statement of the driver's, and would run in
# its place in the next tenant's scope.
_PREPARED = "SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql"
_NONE_PREPARED = "SELECT 0"

# Behind a pooler the server's session is not ours to cut: they are dropped before somebody else gets it.
_DROP_PREPARED = """DO $$
DECLARE
    prepared text;
BEGIN
    FOR prepared IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LOOP
        EXECUTE pg_catalog.format('DEALLOCATE %I', prepared);
    END LOOP;
END
$$; """


_OF_LIMIT = 0.9
"""From how much of the limit on the server may have ended the scope: its clock starts a little earlier."""


class PooledConnection(asyncpg.Connection):
    """A connection that reads every moment, and knows what was reset, and how a sealed database's next scope is opened.

    Attributes:
        challenges: What the next opening has to answer, by schema; where there is nothing, the session is asked first.
        before_reset: What has to be said before the session is reset.
    """

    before_reset = ""
    _is_reset = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.challenges: dict[str, int] = {}
        self._stmt_cache = GroupedStatements(self)
        add_codec(self, TIMESTAMPTZ_OID, "timestamptz", encode, decode)
        add_arrays(self)

    def work_in(self, schema: str | None) -> None:
        """Use the statements that were prepared in a schema; None for the one that the connection begins in."""
        self._stmt_cache.schema = schema

    def _maybe_gc_stmt(self, statement: Any) -> None:
        """Close a statement on the server that nobody holds any more."""
        if not self._stmt_cache.holds(statement):
            super()._maybe_gc_stmt(statement)  # type: ignore[misc]  # asyncpg-stubs leave it out

    def mark_reset(self) -> None:
        """Save the pool a round trip: the connection has been reset already."""
        self._is_reset = True

    def get_reset_query(self) -> str:
        """Nothing: :meth:`reset` sends its own, because it has to read the answer."""
        return ""

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the driver's own signature
        """Undo everything that the session was told; if that fails, close the connection. The pool opens another."""
        is_reset, self._is_reset = self._is_reset, False
        self.work_in(None)
        async with asyncio.timeout(timeout):
            await super().reset()
            if not is_reset and await self.execute(f"{self.before_reset}{_RESET}; {_PREPARED}") != _NONE_PREPARED:
                self.terminate()


class Session:
    """The server's side of a scope: its connection, how it ends, and how it may have been lost.

    Attributes:
        driver: The driver's connection, for the package's own statements: what they set ends with the transaction.
        is_lent: Whether anybody may have used it for other statements, so that it has to be reset at the end.
        last_used: When the last statement ended, on the monotonic clock in seconds.
        trail: What the scope has for the audit; None, as in most scopes, where that is nothing.
    """

    def __init__(self, driver: PooledConnection, idle_seconds: float, *, is_behind_pooler: bool = False) -> None:
        self.last_used = time.monotonic()
        self.driver = driver
        self.is_lent = False
        self.trail: Trail | None = None
        self._idle_seconds = idle_seconds
        self._drop_prepared = _DROP_PREPARED if is_behind_pooler else ""
        self._loop = asyncio.get_running_loop()

    @property
    def connection(self) -> PooledConnection:
        """The driver's connection, for any statement."""
        self.is_lent = True
        return self.driver

    @property
    def is_alive(self) -> bool:
        """Whether the connection is still open."""
        return not self.driver.is_closed()

    def require_alive(self) -> None:
        """Raise an error if the server has ended the connection, or the caller the transaction."""
        if self.is_alive:
            if self.driver.is_in_transaction():
                return
            # The role ended with the transaction: what follows would run with all rights of the login.
            self.abandon()
            raise ScopeError("a COMMIT or ROLLBACK of its own has ended the scope; leave the block instead")
        raise self.loss(time.monotonic() - self.last_used)

    def loss(self, idle_seconds: float) -> MemoryGuildError:
        """What to raise where the connection is lost.

        Args:
            idle_seconds: How long no statement was sent before it was noticed. A blocking call keeps the event loop
                from reading that the server has ended the scope, so only the next statement notices.
        """
        if 0 < self._idle_seconds * _OF_LIMIT <= idle_seconds:
            return ScopeIdleError(
                f"the scope sent no statement for {self._idle_seconds:g} s, so the server ended it; call models and"
                " networks outside the scope, and await no task of the scope inside a nested scope: it waits for the"
                " nested scope's end (MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS sets the limit)"
            )
        return connection_lost()

    async def take_turn(self, lock: asyncio.Lock) -> None:
        """Wait for the turn, but only as long as the server keeps the scope: its holder may be waiting for this task.

        Raises:
            WrongEventLoopError: The scope was opened in another event loop.
            ScopeIdleError: The server has ended the scope meanwhile.
        """
        require_loop(self._loop)
        if not lock.locked():
            await lock.acquire()
            return
        self.require_alive()

        def give_up(_: object) -> None:
            deadline.reschedule(self._loop.time())

        try:
            async with asyncio.timeout(None) as deadline:
                self.driver.add_termination_listener(give_up)
                try:
                    await lock.acquire()
                finally:
                    self.driver.remove_termination_listener(give_up)
        except TimeoutError:
            raise self.loss(time.monotonic() - self.last_used) from None

    async def commit(self) -> None:
        """End with a commit and, where it is needed, the pool's reset, in one round trip."""
        self.require_alive()
        try:
            with translated_errors():
                ended = await self.control(
                    f"{self.driver.before_reset}{_RESET}; COMMIT; {self._drop_prepared}{_PREPARED}"
                    if self.is_lent
                    else "COMMIT"
                )
        except ScopeAbortedError:  # the reset was refused
            await self.roll_back()
            ended = "ROLLBACK"
        if self.is_lent and ended.startswith("SELECT"):  # so the COMMIT before it succeeded
            if ended != _NONE_PREPARED:
                self.abandon()
                return
            ended = "COMMIT"
        if ended != "COMMIT":  # after a statement that failed, the server rolls back and calls it no error
            raise ScopeAbortedError(
                "a statement of the scope had failed, so the whole scope was rolled back; let the error end the scope,"
                " or put what may fail into a nested scope"
            )
        self.driver.mark_reset()

    async def control(self, statement: str) -> str:
        """Send a statement that begins or ends something; a connection that broke is the package's error.

        Returns:
            What the server says that it did.
        """
        idle_seconds = time.monotonic() - self.last_used
        try:
            return await self.driver.execute(statement)
        except (asyncpg.InternalClientError, asyncpg.PostgresConnectionError):
            self.abandon()  # the server's last words came between two statements
            raise self.loss(idle_seconds) from None
        finally:
            self.last_used = time.monotonic()

    def require_loop(self) -> None:
        """Check that the event loop is the one that opened the scope.

        Raises:
            WrongEventLoopError: It is another.
        """
        require_loop(self._loop)

    async def roll_back(self, statement: str = "ROLLBACK") -> None:
        """Undo everything, or as far as the statement says; the server does so itself where the connection is lost."""
        if self.is_alive:
            try:
                await self.driver.execute(f"{statement}; {self._drop_prepared}")
            except Exception:  # the error that ended the scope says more
                self.abandon()

    def abandon(self) -> None:
        """Close a connection whose state is unknown; the pool opens another."""
        if self.is_alive:
            self.driver.terminate()


async def close_around(client: AsyncpgDBClient, abandon: Callable[[], None]) -> None:
    """Close a client's pool that has lent a connection which nobody will give back.

    Args:
        client: The client.
        abandon: Cuts that connection, once the pool knows that it closes: before, it would open another one instead.
    """
    closing = asyncio.create_task(client.close())
    while not closing.done() and client._pool is not None and not client._pool.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(0)
    abandon()
    await closing


@contextmanager
def abandoning(session: Session) -> Iterator[None]:
    """Cut the connection where the block ends with anything but an error of the package's own."""
    try:
        yield
    except MemoryGuildError:
        raise
    except BaseException:
        session.abandon()
        raise


class Turn:
    """Waits for its turn, and refuses a transaction that ended meanwhile.

    Args:
        lock: Whoever holds it has the turn.
        session: The scope's.
        require_open: Raises where the transaction has ended.
    """

    def __init__(self, lock: asyncio.Lock, session: Session, require_open: Callable[[], None]) -> None:
        self._lock = lock
        self._session = session
        self._require_open = require_open

    async def __aenter__(self) -> PooledConnection:
        """Take the turn; the driver's connection."""
        await self._session.take_turn(self._lock)
        self._began = time.monotonic()
        try:
            self._require_open()
        except BaseException:
            self._lock.release()
            raise
        return self._session.driver

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        """Leave it to the next one."""
        idle_seconds = self._began - self._session.last_used
        self._session.last_used = time.monotonic()
        self._lock.release()
        if isinstance(exc_val, asyncpg.InternalClientError | asyncpg.PostgresConnectionError) and not isinstance(
            exc_val, asyncpg.OutdatedSchemaCacheError
        ):
            self._session.abandon()
            raise self._session.loss(idle_seconds) from None
        if isinstance(exc_val, asyncpg.InvalidSQLStatementNameError):  # SQL has dropped what the driver prepared
            self._session.abandon()
            raise ServerUnreachableError(
                "a statement that the driver had prepared is gone; the scope was rolled back, run it again"
            ) from None
