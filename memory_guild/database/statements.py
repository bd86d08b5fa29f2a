"""Fixed statements: each has its own file, and runs on the connection of the task's scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from memory_guild.database.scope import current_scope
from memory_guild.database.sqlstate import Explanations, translated_errors

if TYPE_CHECKING:
    from memory_guild.database.transaction import ScopeTransaction

Replacing = tuple[tuple[str, str], ...]
"""Statements that are not included, and those that are instead; such a one may include the one that it replaces."""

_INCLUDE = "FROM include."


@cache
def statement(name: str, replacing: Replacing = ()) -> str:
    """The text of a statement; that of ``graph/traverse_memories`` is in ``graph/sql/traverse_memories.sql``.

    A statement names the columns of its rows: ``SELECT *`` of a table would return another type once a later version
    adds a column, and PostgreSQL refuses a prepared statement whose type changes.

    ``FROM include.NAME AS alias`` selects from another statement of the package: its text is put there as a subquery.
    ``FROM include.PACKAGE.NAME AS alias`` selects from one of another package.

    Args:
        name: Its package and its file.
        replacing: What is included in the place of other statements. Of several for one statement, the second is
            included in the first.
    """
    package, _, file = name.partition("/")
    text = files("memory_guild").joinpath(package, "sql", f"{file}.sql").read_text(encoding="utf-8")
    before, *includes = text.split(_INCLUDE)
    for include in includes:
        included, _, after = include.partition(" ")
        home, _, included_file = included.rpartition(".")
        wanted = f"{home or package}/{included_file}"
        at = next((number for number, pair in enumerate(replacing) if pair[0] == wanted), None)
        chosen = (
            statement(wanted, replacing)
            if at is None
            else statement(replacing[at][1], replacing[:at] + replacing[at + 1 :])
        )
        subquery = chosen.rstrip().removesuffix(";")
        before += f"FROM (\n{subquery}\n) {after}"
    return before


class Stage(NamedTuple):
    """A temporary table for rows that a statement reads.

    Attributes:
        table: Its name.
        script: The statements that create it where it is missing, and empty it.
    """

    table: str
    script: str


class Step(NamedTuple):
    """A part of what Citus runs in the place of a statement.

    Attributes:
        name: Its package and its file, see :func:`statement`.
        arguments: Which of the statement's arguments it has, counted from 1; None for all of them.
        always: Whether it runs although a step before it had rows.
    """

    name: str
    arguments: tuple[int, ...] | None = None
    always: bool = False


class Statement:
    """A statement with a name, and how it is planned.

    Args:
        name: Its package and its file, see :func:`statement`.
        planned_for_values: True for lists, searches and counts: which plan is good depends on the tenant. A statement
            that finds its rows by key has one plan for all tenants, and planning it anew would cost as much as running.
        along_an_index: True where there is an index that has the whole order of the list.
        explanations: Errors that say more than the usual ones, by SQLSTATE.
        replacing: What it includes in the place of other statements, see :func:`statement`.
        on_citus: What Citus runs in its place, where that would involve every worker: one step after the other, until
            one has rows.
    """

    def __init__(
        self,
        name: str,
        *,
        planned_for_values: bool = False,
        along_an_index: bool = False,
        explanations: Explanations | None = None,
        replacing: Replacing = (),
        on_citus: Sequence[Step] = (),
    ) -> None:
        self._name = name
        self._planned_for_values = planned_for_values
        self._along_an_index = along_an_index
        self._explanations = explanations
        self._replacing = replacing
        self._on_citus = on_citus

    @property
    def text(self) -> str:
        """The SQL."""
        return statement(self._name, self._replacing)

    async def fetch(self, *arguments: Any) -> list[asyncpg.Record]:
        """Run it in the current scope; the rows.

        Raises:
            MemoryGuildError: The database refused it, or the scope has ended.
        """
        transaction = current_scope().transaction
        if self._on_citus and transaction.is_distributed:
            return await self._fetch_in_steps(transaction, arguments)
        if self._planned_for_values:
            await transaction.plan_for_values(along_an_index=self._along_an_index)
        with translated_errors(self._explanations):
            async with transaction.driver() as driver:
                return await driver.fetch(self.text, *arguments)

    async def _fetch_in_steps(self, transaction: ScopeTransaction, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = []
        with translated_errors(self._explanations):
            for step in self._on_citus:
                if not rows or step.always:
                    given = arguments if step.arguments is None else [arguments[at - 1] for at in step.arguments]
                    async with transaction.driver() as driver:
                        rows = await driver.fetch(statement(step.name), *given) or rows
        return rows

    async def fetch_staged(self, stage: Stage, rows: Sequence[Sequence[Any]], *arguments: Any) -> list[asyncpg.Record]:
        """Copy rows into a temporary table and run the statement on it, with nothing in between; the rows.

        Args:
            stage: The table. Row-level security refuses a COPY into any other.
            rows: What to copy.
            *arguments: The statement's.

        Raises:
            MemoryGuildError: The database refused it, or the scope has ended.
        """
        transaction = current_scope().transaction
        with translated_errors():
            async with transaction.driver() as driver:
                transaction.session.is_lent = True  # the pool's reset drops the table at the end
                await driver.execute(stage.script)
                await driver.copy_records_to_table(stage.table, records=rows)
                return await driver.fetch(self.text, *arguments)

    async def fetch_in_batches(self, *arguments: Any, size: int) -> AsyncIterator[list[asyncpg.Record]]:
        """Run it in the current scope with a cursor; other statements may run between batches.

        Yields:
            The rows as they were at the beginning, ``size`` of them at a time.

        Raises:
            MemoryGuildError: The database refused it, or the scope has ended.
        """
        transaction = current_scope().transaction
        if self._planned_for_values:
            await transaction.plan_for_values()
        cursor: Any = None
        rows: list[asyncpg.Record] = []
        while cursor is None or len(rows) == size:
            with translated_errors(self._explanations):
                async with transaction.driver() as driver:
                    cursor = cursor or await self._cursor(driver, arguments)
                    rows = await cursor.fetch(size)
            if rows:
                yield rows

    async def _cursor(self, driver: asyncpg.Connection[asyncpg.Record], arguments: Sequence[Any]) -> Any:
        # By default the driver gives the statement a name and leaves it prepared. Behind a pooler it would meet that of
        # another process, since each counts them from 1 on.
        prepared = await driver.prepare(self.text, name="")
        return await prepared.cursor(*arguments)

    async def fetch_row(self, *arguments: Any) -> asyncpg.Record | None:
        """Run it in the current scope; its row, or None."""
        rows = await self.fetch(*arguments)
        return rows[0] if rows else None

    async def fetch_only_row(self, *arguments: Any) -> asyncpg.Record:
        """Run a statement that always has one row; the row."""
        (row,) = await self.fetch(*arguments)
        return row
