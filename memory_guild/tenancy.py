"""The scope as the unit of work: one transaction, one tenant, enforced by the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Token
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from memory_guild.database import scope as scopes
from memory_guild.database.conflicts import repeated
from memory_guild.database.engine import GuildClient, client
from memory_guild.database.groups import Groups, confirmation
from memory_guild.database.opening import Opening
from memory_guild.database.recording import log, outlive, trail_of, write
from memory_guild.database.scope import Scope
from memory_guild.database.sqlstate import (
    INSUFFICIENT_PRIVILEGE,
    INVALID_PARAMETER_VALUE,
    Explanations,
    translated_errors,
)
from memory_guild.database.trail import Entry, Trail
from memory_guild.database.transaction import SavepointContext, ScopeTransaction, ScopeTransactionContext
from memory_guild.errors import (
    RoleMissingError,
    ScopeAbortedError,
    ScopeError,
    TenantMismatchError,
    TenantMovedError,
    TenantMovingError,
    UnknownGroupError,
)
from memory_guild.types import AuditEvent
from memory_guild.values.checks import check_name, check_text

APP_ROLE = "memory_guild_app"
ADMIN_ROLE = "memory_guild_admin"

ATTEMPTS = 10
"""How often something is tried before others may keep it from succeeding."""

_SECONDS_BETWEEN_LOOKS = 0.05
"""How long a scope waits before it looks again whether its tenant has been moved."""

_log = logging.getLogger("memory_guild.tenancy")

_Result = TypeVar("_Result")


class _ScopeBlock:
    """What the blocks of tenants and of maintenance share: one transaction as one role."""

    _is_entered = False
    _transaction: ScopeTransaction | None = None

    def __init__(self, role: str, tenant_id: str | None, agent_id: str | None, group: str | None = None) -> None:
        self._role = role
        self._tenant_id = tenant_id
        self._agent_id = agent_id
        self._group = group

    async def __aenter__(self) -> Scope:
        """Begin."""
        if self._is_entered:
            raise ScopeError("a scope object opens one block; call tenant_scope() again")
        self._is_entered = True
        outer = scopes.surrounding_scope()
        if outer is not None:
            outer.transaction.session.require_loop()
        if outer is not None and not outer.transaction.closed:
            group = outer.group
            self._context: SavepointContext | ScopeTransactionContext = self._nest(outer)
            transaction = await self._entered(self._context)
        else:
            pool = self._pool(outer)
            groups = await pool.known_groups()
            if groups is None:
                group = pool.settings.schema
                self._require_only_group(group)
                self._context = self._begin(pool, group)
                transaction = await self._entered(self._context)
            else:
                group, transaction = await self._enter_group(pool, groups)
        self._transaction = transaction
        trail = transaction.session.trail
        self._written_before = 0 if trail is None else len(trail.written)
        scope = Scope(self._tenant_id, self._agent_id, group, transaction)
        self._token: Token[Scope | None] = scopes.enter(scope)
        return scope

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Commit, or roll back after an error."""
        if self._transaction is None:
            raise ScopeError("this scope has not begun, so it cannot end; use it with `async with`")
        context, trail = self._context, self._transaction.session.trail
        if self._transaction.closed:  # ended already, see ScopeTransaction.end_nested() and close()
            if trail is not None and isinstance(context, ScopeTransactionContext):
                await outlive(context, trail.rest())
            return
        with suppress(ValueError):  # an abandoned generator ends in another task, whose scope stays
            scopes.leave(self._token)
        if isinstance(context, SavepointContext):
            await self._end_nested(context, exc_type, exc_val, exc_tb)
        elif trail is None:
            await context.__aexit__(exc_type, exc_val, exc_tb)
        else:
            await _end_with_trail(context, trail, exc_type, exc_val, exc_tb)

    async def _end_nested(
        self,
        context: SavepointContext,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        is_kept = False
        try:
            await context.__aexit__(exc_type, exc_val, exc_tb)
            is_kept = exc_type is None
        finally:
            trail = context.transaction.session.trail
            if trail is not None and not is_kept:
                trail.roll_back_to(self._written_before)

    def _nest(self, outer: Scope) -> SavepointContext:
        if outer.tenant_id != self._tenant_id:
            raise TenantMismatchError("a scope of another tenant is open around this one; end it first")
        if self._group not in (None, outer.group):
            raise TenantMismatchError("a scope in another group of tenants is open around this one; end it first")
        if self._agent_id is None:
            self._agent_id = outer.agent_id
        return SavepointContext(outer.transaction.innermost())

    async def _entered(self, context: SavepointContext | ScopeTransactionContext) -> ScopeTransaction:
        with translated_errors(_explanations(self._role)):
            return await context.__aenter__()

    async def _enter_group(self, pool: GuildClient, groups: Groups) -> tuple[str, ScopeTransaction]:
        """Begin where there are several groups: in the tenant's, or in the one that maintenance names."""
        if self._tenant_id is None:
            group = await groups.named(self._group)
            self._context = self._begin(pool, group)
            return group, await self._entered(self._context)
        attempts = 0
        while True:
            group = await groups.of(self._tenant_id)
            self._context = self._begin(pool, group, confirms_group=groups.confirms)
            try:
                return group, await self._entered(self._context)
            except TenantMovingError:  # not in the server: the connection is for others meanwhile
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            except TenantMovedError:  # what this process knew of the tenant is old
                attempts += 1
                if attempts == ATTEMPTS:
                    raise
            groups.forget(self._tenant_id)

    def _require_only_group(self, only: str) -> None:
        if self._group not in (None, only):
            raise UnknownGroupError(str(self._group), [only])

    def _pool(self, ended: Scope | None) -> GuildClient:
        pool = client()
        if ended is not None and isinstance(pool, ScopeTransaction):  # that of the ended scope
            pool = ended.transaction.pool
        if not isinstance(pool, GuildClient):
            raise ScopeError("a scope cannot begin inside in_transaction(); open the scope first, it is a transaction")
        return pool.for_maintenance() if self._role == ADMIN_ROLE else pool.for_agents()

    def _begin(self, pool: GuildClient, group: str, *, confirms_group: bool = False) -> ScopeTransactionContext:
        opening = Opening(self._role, self._tenant_id, pool, group, confirms_group=confirms_group)
        return ScopeTransactionContext(pool, opening, pool.settings.scope_idle_timeout_seconds)


class tenant_scope(_ScopeBlock):  # noqa: N801 - used like a function, as asyncio.timeout is
    """Work for one tenant: a transaction that can read and write nothing but the tenant's rows.

    It begins and ends in one round trip each. Leaving the block commits everything, or, with an error, nothing. The
    same tenant nests as a savepoint; another tenant does not nest. Tasks started inside share the connection and take
    turns; a task that outlives the block gets :class:`ScopeClosedError`. Call no model and no network inside.

    Args:
        tenant_id: The tenant, 1 to 255 characters.
        agent_id: The agent that is assumed where none is given: a default, no boundary.

    Raises:
        InvalidInputError: The tenant or agent is empty or too long.
        TenantMismatchError: The block stands inside another tenant's.
        RoleMissingError: This login may not become the application role.
        SealError: The database is sealed, and this process has no key that opens it.
        ScopeAbortedError: At the end, where a statement had failed and its error was caught inside.
        ScopeIdleError: The scope waited too long between two statements.
        TenantMovedError: The tenant was moved to other groups again and again meanwhile. While it is being moved, the
            scope waits, without a connection of the pool.
        NoGroupError: The database has a catalogue of groups of tenants, and no group in it.
    """

    def __init__(self, tenant_id: str, agent_id: str | None = None) -> None:
        checked_agent = None if agent_id is None else check_name("agent_id", agent_id)
        super().__init__(APP_ROLE, check_name("tenant_id", tenant_id), checked_agent)


class maintenance_scope(_ScopeBlock):  # noqa: N801 - used like a function
    """An :class:`admin_scope` for fixed statements of the package's own, which are too many to be logged."""

    def __init__(self, group: str | None = None) -> None:
        super().__init__(ADMIN_ROLE, tenant_id=None, agent_id=None, group=group)


class admin_scope(_ScopeBlock):  # noqa: N801 - used like a function
    """Maintenance across all tenants: a transaction as the role ``memory_guild_admin``.

    It is logged when it begins and ends, and recorded in the audit: in its own transaction, or after its rollback in
    another one. That costs one statement.

    Args:
        reason: Why, for the log and the audit.
        group: The group of tenants to work in. A database with one group needs no name; all tenants are in it.

    Raises:
        InvalidInputError: The reason is no text that PostgreSQL can store.
        SeveralGroupsError: The database has several groups, and none is named.
        UnknownGroupError: The database has no group of this name.
        NoGroupError: The database has a catalogue of groups of tenants, and no group in it.
    """

    def __init__(self, reason: str = "not given", *, group: str | None = None) -> None:
        super().__init__(ADMIN_ROLE, tenant_id=None, agent_id=None, group=group)
        self._reason = check_text("reason", reason)
        self._began: float | None = None
        self._entry = Entry(AuditEvent.ADMIN_SCOPE, "committed", reason=self._reason)

    async def __aenter__(self) -> Scope:
        """Begin."""
        scope = await super().__aenter__()
        try:
            await write(scope.transaction, [self._entry])
        except BaseException as error:
            await super().__aexit__(type(error), error, error.__traceback__)
            raise
        trail = trail_of(scope.transaction)
        trail.written.append(self._entry)
        trail.undone.append(self._entry)
        self._began = time.monotonic()
        _log.warning("maintenance scope across all tenants begins; reason: %s", self._reason)
        return scope

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Commit, or roll back after an error."""
        if self._began is None:
            await super().__aexit__(exc_type, exc_val, exc_tb)
            return
        outcome = "rolled back"
        try:
            await super().__aexit__(exc_type, exc_val, exc_tb)
            if exc_type is None:
                outcome = "committed"
        finally:
            seconds = time.monotonic() - self._began
            _log.warning("maintenance scope ends after %.3f s, %s; reason: %s", seconds, outcome, self._reason)


async def keep_in_group(tenant_id: str) -> None:
    """Keep a tenant in the group that the maintenance scope works in, until the scope ends.

    Where the placement is the caller's own, it is asked, and nothing keeps the tenant.

    Raises:
        TenantMovedError: It is in another group.
    """
    scope = scopes.current_scope()
    groups = client().pool.for_agents().groups
    if groups is None:
        return
    if groups.confirms:
        with translated_errors():
            async with scope.transaction.driver() as driver:
                await driver.execute(confirmation(client().pool.settings.schema, tenant_id, scope.group))
    elif await groups.chosen(tenant_id) != scope.group:
        raise TenantMovedError("the tenant is in another group of tenants")


@dataclass(frozen=True, slots=True)
class Reach:
    """Whose rows a worker sees: those of one tenant, or of all tenants of a group.

    Attributes:
        tenant_id: The tenant; None for all of them.
        group: The group of tenants, where there are several.
    """

    tenant_id: str | None = None
    group: str | None = None

    def scope(self) -> tenant_scope | maintenance_scope:
        """A short scope."""
        return maintenance_scope(self.group) if self.tenant_id is None else tenant_scope(self.tenant_id)


async def reaches(tenant_id: str | None) -> list[Reach]:
    """How to see all rows of a tenant, or of all tenants (None): group by group."""
    groups = None if tenant_id is not None else await client().pool.known_groups()
    if groups is None:
        return [Reach(tenant_id)]
    return [Reach(group=name) for name in await groups.names()]


async def _end_with_trail(
    context: ScopeTransactionContext,
    trail: Trail,
    exc_type: type[BaseException] | None,
    exc_val: BaseException | None,
    exc_tb: TracebackType | None,
) -> None:
    """End a scope that has something for the audit: nothing is committed without it, and no rollback undoes it."""
    is_committed = False
    try:
        if exc_type is None:
            try:
                with suppress(ScopeAbortedError):  # the commit says so, too
                    await write(context.transaction, trail.surviving)
            except BaseException as error:
                await context.__aexit__(type(error), error, error.__traceback__)
                raise
        await context.__aexit__(exc_type, exc_val, exc_tb)
        is_committed = exc_type is None
    finally:
        if is_committed:
            for entry in (*trail.written, *trail.surviving):
                log(entry)
        else:
            await outlive(context, trail.rest())


async def retried(
    tenant_id: str, work: Callable[[], Awaitable[_Result]], *, is_repeatable: Callable[[], bool] = lambda: True
) -> _Result:
    """Do some work in a nested scope; after a deadlock or serialization failure undo it, wait a little, do it again.

    What the scope around did before keeps its locks: where that is what others wait for, each attempt fails.

    Raises:
        TransactionConflictError: Each attempt met others, or one did and the work cannot be repeated any more; nothing
            of it is left.
    """

    async def in_nested_scope() -> _Result:
        async with tenant_scope(tenant_id):
            return await work()

    return await repeated(in_nested_scope, ATTEMPTS, is_repeatable=is_repeatable)


def _explanations(role: str) -> Explanations:
    """What the server's refusal to begin means, by SQLSTATE."""
    return {
        INVALID_PARAMETER_VALUE: lambda _: RoleMissingError(
            f"the server has no role {role}; run `memory-guild upgrade`"
        ),
        INSUFFICIENT_PRIVILEGE: lambda _: RoleMissingError(
            f"this login may not become {role}; let a DBA run: GRANT {role} TO the_login"
        ),
    }
