"""How a scope begins: the role, the tenant and the settings of its transaction, in one round trip."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg

from memory_guild.database.groups import confirmation
from memory_guild.database.quoting import quote_identifier, quote_literal
from memory_guild.database.travelling import LOGIN, WORKER_SETTINGS, new_challenge, opening_call, travelling
from memory_guild.errors import SealError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_guild.database.session import PooledConnection, Session
    from memory_guild.settings import SealKey, Settings

_REFUSED = "MG004"
_CHALLENGE = "MG005"
_NEVER_ASKED = "55000"


@dataclass(frozen=True, slots=True)
class Seal:
    """What a login knows of a database's seal.

    Attributes:
        is_sealed: Whether scopes have to be opened with a key.
        key: The key, if this process has it.
    """

    is_sealed: bool
    key: SealKey | None


class Pool(Protocol):
    """What an opening asks of the pool that its connection comes from."""

    settings: Settings
    seal: Seal
    is_distributed: bool


class Opening:
    """The statements that begin a scope; every setting ends with the transaction.

    In a sealed database the opening answers the session's challenge. Each answer makes the next challenge one larger,
    so a connection of one's own has to be asked once. Behind a pooler nobody knows which session it will be: there the
    opening asks first, which costs a second round trip.

    Args:
        role: The role that the scope runs as.
        tenant_id: Its tenant; None for all of them.
        pool: Where the connection comes from. It knows its database's seal only once it is open.
        group: The schema that it works in.
        confirms_group: Whether the database has to confirm that the tenant is in this group.

    Attributes:
        group: The schema.
    """

    def __init__(
        self, role: str, tenant_id: str | None, pool: Pool, group: str, *, confirms_group: bool = False
    ) -> None:
        self._role = role
        self._tenant_id = tenant_id
        self._pool = pool
        self._settings = pool.settings
        self.group = group
        self._confirms_group = confirms_group

    def again(self) -> Opening:
        """One for another transaction in the same group, even if the tenant was moved out of it meanwhile."""
        return Opening(self._role, self._tenant_id, self._pool, self.group)

    @property
    def is_behind_pooler(self) -> bool:
        """Whether the server's session is a pooler's, which lends it to others too."""
        return self._settings.pooler

    async def begin(self, session: Session) -> None:
        """Begin.

        Raises:
            SealError: The database is sealed, and there is no key, or it is not the database's.
        """
        if self.group != self._settings.schema:
            session.driver.work_in(self.group)
        seal = self._pool.seal
        if self._tenant_id is None or (seal.key is None and not seal.is_sealed):
            await session.control(self._text(setting=_set_tenant(self._tenant_id or "")))
        elif seal.key is None:
            raise SealError(
                "the database is sealed, and this process has no key; set MEMORY_GUILD_SEAL_KEY to what"
                " `memory-guild seal` prints"
            )
        else:
            await self._begin_sealed(session, self._tenant_id, seal.key)

    async def _begin_sealed(self, session: Session, tenant_id: str, key: SealKey) -> None:
        # On Citus nothing is called where there is no key: then the setting is the tenant, as everywhere.
        setting = _set_tenant(tenant_id) if self._pool.is_distributed else ""

        def answer(challenge: int) -> str:
            arguments = f"{quote_literal(tenant_id)}, pg_catalog.decode('{key.proof(challenge, tenant_id)}', 'hex')"
            if self._pool.is_distributed:
                return opening_call(self.group, arguments)
            return f"SELECT {self._function('open')}({arguments})"

        driver = session.driver
        # Taken, not read: if this is interrupted, nobody knows which challenge comes next.
        challenge = driver.challenges.pop(self.group, None)
        if challenge is not None:
            try:
                await session.control(self._text(setting=setting, call=answer(challenge)))
            except asyncpg.PostgresError as error:
                # A statement of an earlier scope may have asked, or have discarded the session's sequences.
                if error.sqlstate not in (_REFUSED, _NEVER_ASKED):
                    raise
                await session.roll_back()
            else:
                driver.challenges[self.group] = challenge + 1
                return
        if self._pool.is_distributed:
            await session.control(self._text(setting=setting))
            told = [await new_challenge(driver, self.group)]
        else:
            with _challenges(driver) as told:
                await session.control(self._text(call=f"SELECT {self._function('challenge')}()"))
        try:
            await session.control(answer(told[-1]))
        except asyncpg.PostgresError as error:
            if error.sqlstate == _REFUSED:
                raise SealError(
                    "the key does not open this database; set MEMORY_GUILD_SEAL_KEY to what `memory-guild seal` prints"
                ) from None
            raise
        if not self._settings.pooler:
            driver.challenges[self.group] = told[-1] + 1

    def _text(self, *, setting: str = "", call: str = "") -> str:
        idle_milliseconds = round(self._settings.scope_idle_timeout_seconds * 1000)
        # Whatever the server's default: what a statement waited for, the next one has to see.
        statements = ["BEGIN ISOLATION LEVEL READ COMMITTED", f"SET LOCAL ROLE {self._role}"]
        if self._confirms_group and self._tenant_id is not None:
            # Before the search_path changes: the function's plan would be made anew each time.
            statements.append(confirmation(self._settings.schema, self._tenant_id, self.group))
        if self._settings.pooler or self.group != self._settings.schema:
            statements.append(f"SET LOCAL search_path = {quote_identifier(self.group)}")
        if self._settings.pooler:
            # A pooler hands over connections that never saw our start-up settings.
            statements += [
                "SET LOCAL row_security = on",
                f"SET LOCAL statement_timeout = {round(self._settings.statement_timeout_seconds * 1000)}",
            ]
        # To compile a walk over twelve memories takes a hundred times as long as to run it.
        settings = [setting, "SET LOCAL jit = off"]
        if self._pool.is_distributed:
            login = [LOGIN] if self._tenant_id is None else []
            settings = [travelling(*filter(None, settings), *WORKER_SETTINGS, *login)]
        statements += [
            *settings,
            call,
            f"SET LOCAL idle_in_transaction_session_timeout = {idle_milliseconds}",
        ]
        return "; ".join(filter(None, statements))

    def _function(self, name: str) -> str:
        """With its schema: an earlier scope's search_path decides nothing."""
        return f"{quote_identifier(self.group)}.memory_guild_{name}"


@contextmanager
def _challenges(driver: PooledConnection) -> Iterator[list[int]]:
    """The challenges that the session tells inside the block."""
    told: list[int] = []

    def listen(_: Any, message: Any) -> None:
        if message.sqlstate == _CHALLENGE:
            told.append(int(message.message))

    driver.add_log_listener(listen)
    try:
        yield told
    finally:
        driver.remove_log_listener(listen)


def _set_tenant(tenant_id: str) -> str:
    """``SET LOCAL`` rather than ``set_config()``: a distributed engine carries it to its workers."""
    return f"SET LOCAL memory_guild.tenant_id = {quote_literal(tenant_id)}"
