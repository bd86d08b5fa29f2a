"""The groups of a database, and in which of them each tenant is.

A group is a schema that has the five tables. Most databases have one. Where there are several, a catalogue says which
tenant is in which: tables in the schema that the settings name, and functions that agents may call.

What a process knows of a tenant's place is a guess: the tenant may have been moved since. So each opening of a scope
lets the database confirm it, in the same round trip, which keeps the tenant there until the scope ends.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from memory_guild.database.quoting import quote_identifier, quote_literal
from memory_guild.errors import InvalidInputError, NoGroupError, SeveralGroupsError, UnknownGroupError
from memory_guild.settings import checked_schema

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from memory_guild.protocols import Placement

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

_MOST_PLACED = 100_000
"""How many tenants' groups a process remembers at most."""

_FOUND = "SELECT 1"

Ask = Callable[..., Awaitable[list[dict[str, Any]]]]
"""Runs a statement outside scopes, with a list of its arguments; the rows."""


class Groups:
    """The groups of a database that has several, as one process knows them.

    Args:
        home: The schema that the settings name.
        ask: Runs a statement outside scopes.
        placement: The caller's own placement; None for the catalogue's.
        has_catalogue: Whether the database has a catalogue, which maintenance goes by whoever places the tenants.

    Attributes:
        confirms: Whether the database confirms where a tenant is: the caller's own placement is not questioned.
        check: Checks the tables of a group before they are used for the first time.
    """

    def __init__(self, home: str, ask: Ask, placement: Placement | None, *, has_catalogue: bool) -> None:
        self._home = home
        self._ask = ask
        self._placement = placement
        self._has_catalogue = has_catalogue
        self._placed: dict[str, str] = {}
        self._checked: set[str] = set()
        self.confirms = placement is None
        self.check: Callable[[str], Awaitable[None]] | None = None

    async def of(self, tenant_id: str) -> str:
        """The group of a tenant. One that is new gets one.

        Raises:
            InvalidInputError: The caller's own placement returned no name of a schema.
            NoGroupError: There is no group yet.
            SchemaError: The group's tables are not those of this version.
        """
        group = await self.chosen(tenant_id) or self._placed.get(tenant_id) or await self._place(tenant_id)
        await self._check(group)
        return group

    def forget(self, tenant_id: str) -> None:
        """Ask the catalogue again the next time: the tenant was moved."""
        self._placed.pop(tenant_id, None)

    async def names(self) -> list[str]:
        """The names of the groups, the oldest first; only the home's where there is no catalogue."""
        if not self._has_catalogue:
            return [self._home]
        rows = await self._ask(f"SELECT groups.name FROM {groups_function(self._home)}() AS groups (name)")
        return [row["name"] for row in rows]

    async def named(self, group: str | None) -> str:
        """The group that maintenance names.

        Raises:
            SeveralGroupsError: It names none, and there are several.
            NoGroupError: There is none.
            UnknownGroupError: There is none of this name.
        """
        names = await self.names()
        if not names:
            raise NoGroupError
        if group is None and len(names) > 1:
            raise SeveralGroupsError(names)
        chosen = names[0] if group is None else checked_schema(group)
        if self.confirms and chosen not in names:
            raise UnknownGroupError(chosen, names)
        await self._check(chosen)
        return chosen

    async def chosen(self, tenant_id: str) -> str | None:
        """The group that the caller's own placement says; None where there is no such placement.

        Raises:
            InvalidInputError: It returned no text.
            SettingsError: There can be no schema of this name.
        """
        if self._placement is None:
            return None
        answer = self._placement(tenant_id)
        group: object = await answer if inspect.isawaitable(answer) else answer
        if not isinstance(group, str):
            raise InvalidInputError("placement", f"must return the name of a schema, not {type(group).__name__}")
        return checked_schema(group)

    async def _place(self, tenant_id: str) -> str:
        place = f"{quote_identifier(self._home)}.memory_guild_place"
        (row,) = await self._ask(f"SELECT {place}($1) AS name", [tenant_id])
        if len(self._placed) >= _MOST_PLACED:
            self._placed.clear()
        self._placed[tenant_id] = group = row["name"]
        return str(group)

    async def _check(self, group: str) -> None:
        if group not in self._checked:
            if self.check is not None:
                await self.check(group)
            self._checked.add(group)


def groups_function(home: str) -> str:
    """The function that lists the groups, with its schema."""
    return f"{quote_identifier(home)}.memory_guild_groups"


def confirmation(home: str, tenant_id: str, group: str) -> str:
    """The statement that keeps a tenant in its group until the transaction ends, or fails where it is in another."""
    function = f"{quote_identifier(home)}.memory_guild_require_placement"
    return f"SELECT {function}({quote_literal(tenant_id)}, {quote_literal(group)})"


def catalogue_lock(home: str) -> str:
    """What is locked, shared, to look for a catalogue, and alone to create one, as an expression of SQL."""
    return f"pg_catalog.hashtextextended({quote_literal(f'memory_guild.groups:{home}')}, 0)"


async def has_catalogue(connection: Connection, home: str, *, waits: bool = False) -> bool:
    """Whether a database has a catalogue of groups.

    Args:
        connection: A connection.
        home: The schema that would have it.
        waits: Whether to wait for who is just creating it.
    """
    table = quote_literal(f"{quote_identifier(home)}.memory_placements")
    turn = f"SELECT pg_catalog.pg_advisory_xact_lock_shared({catalogue_lock(home)}); " if waits else ""
    return await connection.execute(f"{turn}SELECT WHERE pg_catalog.to_regclass({table}) IS NOT NULL") == _FOUND


async def schemas_with_tables(connection: Connection, home: str, *, waits: bool = False) -> list[str]:
    """The schemas of all groups; without a catalogue the one that the settings name. See :func:`has_catalogue`."""
    if not await has_catalogue(connection, home, waits=waits):
        return [home]
    rows = await connection.fetch(f"SELECT groups.name FROM {groups_function(home)}() AS groups (name)")
    return [row["name"] for row in rows]
