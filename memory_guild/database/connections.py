"""Which memory database the current task uses.

Tortoise keeps its connections in a context variable of the task that called ``Tortoise.init``. A request, a notebook's
next cell or a thread has another one. So the package keeps a register of its own: its models and verbs find their
database there, and do not meet the connections of an application that uses Tortoise for itself.

A task uses, in this order: the transaction that it is in; the database that it, or the task that started it, chose with
``connect()`` or ``use()``; the one of Tortoise's current context; the one that is open in its event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import ReferenceType, WeakKeyDictionary, ref

from tortoise.context import TortoiseContext

from memory_guild.database.tortoise import connections_of, context_of_task
from memory_guild.errors import NotConnectedError, SeveralDatabasesError, WrongEventLoopError

Loop = asyncio.AbstractEventLoop

ENGINE = "memory_guild.database.engine"


class Pool(Protocol):
    """What this module needs of a pool; ``engine`` implements it."""

    is_closed: bool

    @property
    def home(self) -> Loop | None:
        """The event loop that its connections belong to."""

    @property
    def target(self) -> str:
        """Which server, without a password."""

    def for_agents(self) -> Pool:
        """The pool that tenants' scopes use."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """A database, and Tortoise's context at the time: one that is entered later may have another."""

    pool: Pool
    context: TortoiseContext | None


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a database was opened."""

    loop: Loop | None
    task: ReferenceType[asyncio.Task[Any]] | None


_chosen: ContextVar[_Choice | None] = ContextVar("memory_guild_database", default=None)
transaction_of_task: ContextVar[Any] = ContextVar("memory_guild_transaction", default=None)
"""The task's transaction: a scope's, or one of Tortoise's ``in_transaction()``. Tortoise takes longer to say so."""

_registering: ContextVar[bool] = ContextVar("memory_guild_registering", default=True)
_open: WeakKeyDictionary[Pool, _Origin] = WeakKeyDictionary()


def current_connection() -> Any:
    """The connection of the current task: its transaction, or else a pool, see :func:`current_pool`."""
    transaction = transaction_of_task.get()
    return current_pool() if transaction is None else transaction


def current_pool() -> Pool:
    """The pool of the current task's database.

    Raises:
        NotConnectedError: None is open.
        SeveralDatabasesError: Several are, and the task has not chosen one.
        WrongEventLoopError: Those that are open belong to other event loops.
    """
    choice, context = _chosen.get(), context_of_task()
    if context is not None and (choice is None or choice.context is not context):
        for alias in connections_of(context, ENGINE):
            connection: Any = context.connections.get(alias)  # the pool, or the transaction that Tortoise is in
            pool: Pool = connection.pool.for_agents()
            return pool
    if choice is None:
        return _pool_of_loop(_running_loop())
    if choice.pool.is_closed:
        raise NotConnectedError(
            "the connect() block that this task was started in has ended; end the task before it, or connect again"
        )
    return choice.pool


def _pool_of_loop(loop: Loop | None) -> Pool:
    open_now = [(pool, pool.home or origin.loop) for pool, origin in list(_open.items())]
    here = [pool for pool, home in open_now if loop is None or home is loop]
    # Nobody uses those of a loop that has ended, or that were opened before there was one.
    here = here or [pool for pool, home in open_now if home is None or home.is_closed()]
    if len(here) == 1:
        return here[0]
    if here:
        raise SeveralDatabasesError([pool.target for pool in here])
    if open_now:
        raise wrong_loop()
    raise NotConnectedError


def wrong_loop() -> WrongEventLoopError:
    """The error for a connection that is used in another event loop than its own."""
    return WrongEventLoopError(
        "the memory database was opened in another event loop, and its connections work there only; hand the work over"
        " with asyncio.run_coroutine_threadsafe(work(), loop), or open a pool in this loop: `async with"
        " guild.connect():`"
    )


def require_loop(loop: Loop | None) -> None:
    """Check that the running event loop is the connection's own. In another one it would hang, or break that loop.

    Raises:
        WrongEventLoopError: Another loop is running.
    """
    if loop is not asyncio.get_running_loop():
        raise wrong_loop()


def register(pool: Pool) -> None:
    """Let tasks that have not chosen a database find this one.

    One that another task opens beside it, such as a request, stays private to that task: others do not notice. Two that
    the same task opens, such as an application's start-up, are equals.
    """
    loop, task = _running_loop(), _running_task()
    here = [origin for origin in list(_open.values()) if origin.loop is loop and loop is not None]
    is_first = not here or any(origin.task is not None and origin.task() is task for origin in here)
    if is_first and _registering.get():
        _open[pool] = _Origin(loop, None if task is None else ref(task))


def forget(pool: Pool) -> None:
    """Take a closed database out of the register."""
    _open.pop(pool, None)


@contextmanager
def unregistered() -> Iterator[None]:
    """Keep databases that are opened inside the block out of the register."""
    token = _registering.set(False)
    try:
        yield
    finally:
        _registering.reset(token)


@contextmanager
def chosen(pool: Pool) -> Iterator[None]:
    """Use this database inside the block, and in the tasks that are started there.

    A scope or transaction of another database that is open around the block is not seen inside.
    """
    transaction = transaction_of_task.get()
    hides = transaction is not None and transaction.pool.for_agents() is not pool
    tokens: list[tuple[ContextVar[Any], Any]] = [(_chosen, _chosen.set(_Choice(pool, context_of_task())))]
    if hides:
        tokens.append((transaction_of_task, transaction_of_task.set(None)))
    try:
        yield
    finally:
        for variable, token in tokens:
            with suppress(ValueError):  # the block ended in another task, whose choice stays
                variable.reset(token)


def _running_loop() -> Loop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _running_task() -> asyncio.Task[Any] | None:
    return None if _running_loop() is None else asyncio.current_task()
