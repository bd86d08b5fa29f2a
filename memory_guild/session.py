"""The server's side of a scope: the connection, how it is ended and reset, and how it may have been lost."""

from __future__ import annotations

import time

import asyncpg

from memory_guild.errors import ScopeAbortedError, ScopeError, ScopeIdleError, ServerUnreachableError

# What asyncpg sends when a connection goes back to its pool, sent together with the COMMIT instead of after it. In a
# transaction that has failed the first of these statements fails: a COMMIT alone would quietly roll back.
# Temporary tables go too, which the pool would keep: the next tenant's scope could read them.
_CLOSE = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL; RESET ROLE; DISCARD TEMP; COMMIT"


class PooledConnection(asyncpg.Connection):
    """A connection that knows when a scope has reset it already."""

    _is_reset = False

    def mark_reset(self) -> None:
        """Spare the pool its round trip: what it would reset has been reset."""
        self._is_reset = True

    def get_reset_query(self) -> str:
        """The statements that the pool sends before it lends the connection again."""
        if self._is_reset:
            self._is_reset = False
            return ""
        return super().get_reset_query()


def connection_lost() -> ServerUnreachableError:
    """What a scope raises whose connection broke."""
    return ServerUnreachableError("the server ended the connection; the scope was rolled back, run it again")


class Session:
    """The server's side of a scope: its connection, how it ends, and how it may have been lost.

    Attributes:
        connection: The driver's connection.
        last_used: When the last statement ended, on the monotonic clock in seconds.
    """

    def __init__(self, connection: PooledConnection, idle_seconds: float) -> None:
        self.last_used = time.monotonic()
        self.connection = connection
        self._idle_seconds = idle_seconds

    @property
    def is_alive(self) -> bool:
        """Whether the connection is still open."""
        return not self.connection.is_closed()

    def require_alive(self) -> None:
        """Raise what happened to a connection that the server has ended, or to a transaction that the caller has."""
        if self.is_alive:
            if self.connection.is_in_transaction():
                return
            # The role ended with the transaction: what follows would run with all rights of the login.
            self.abandon()
            raise ScopeError("a COMMIT or ROLLBACK of its own has ended the scope; leave the block instead")
        if 0 < self._idle_seconds <= time.monotonic() - self.last_used:
            raise ScopeIdleError(
                f"the scope sent no statement for {self._idle_seconds:g} s, so the server ended it; call models and"
                " networks outside the scope (MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS sets the limit)"
            )
        raise connection_lost()

    async def commit(self) -> None:
        """End with a commit and the pool's reset, in one round trip."""
        self.require_alive()
        try:
            await self.control(_CLOSE)
        except asyncpg.InFailedSQLTransactionError:
            await self.roll_back()
            raise ScopeAbortedError(
                "a statement of the scope had failed, so the whole scope was rolled back; let the error end the scope,"
                " or put what may fail into a nested scope"
            ) from None
        self.connection.mark_reset()

    async def control(self, statement: str) -> None:
        """Send a statement that begins or ends something; a connection that broke is the package's error."""
        try:
            await self.connection.execute(statement)
        except asyncpg.InternalClientError:  # the server's last words came between two statements
            self.abandon()
            raise connection_lost() from None

    async def roll_back(self, statement: str = "ROLLBACK") -> None:
        """Undo everything, or as far as the statement says; the server does so itself where the connection is lost."""
        if self.is_alive:
            try:
                await self.connection.execute(statement)
            except Exception:  # the error that ended the scope says more
                self.abandon()

    def abandon(self) -> None:
        """Cut a connection of which nobody knows what it would do next; the pool opens another."""
        if self.is_alive:
            self.connection.terminate()
