"""Fixed statements whose rows become the models: the one mechanism behind the verbs.

A statement stands in ``sql/<name>.sql``. It runs on the connection of the scope that the task is in, as the models'
querysets do, and :func:`models_from` makes the models of its rows that a queryset would make of them, without the
queryset's detours: the driver has decoded the columns already, only JSON and enums are left to convert.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import asyncpg

from memory_guild.fields import ChoiceField, JsonObjectField
from memory_guild.models import MemoryRecord, StrictModel
from memory_guild.postgres import translate
from memory_guild.scope import current_scope
from memory_guild.sql import statement

_Model = TypeVar("_Model", bound=StrictModel)


class Stage(NamedTuple):
    """A temporary table for rows that a statement reads.

    Attributes:
        table: Its name.
        script: The statements that create it where it is missing, and empty it.
    """

    table: str
    script: str


class Statement:
    """A statement with a name, and how it is planned.

    Args:
        name: That of its file in ``sql/``.
        planned_for_values: True for lists, searches and counts: which plan is good depends on the tenant. A statement
            that finds its rows by key has one plan for all tenants, and planning it anew would cost as much as running.
        along_an_index: True where there is an index that has the whole order of the list.
    """

    def __init__(self, name: str, *, planned_for_values: bool = False, along_an_index: bool = False) -> None:
        self._name = name
        self._planned_for_values = planned_for_values
        self._along_an_index = along_an_index

    @property
    def text(self) -> str:
        """The SQL."""
        return statement(self._name)

    async def fetch(self, *arguments: Any) -> list[asyncpg.Record]:
        """Run it in the current scope; the rows.

        Raises:
            MemoryGuildError: The database refused it, or the scope has ended.
        """
        transaction = current_scope().transaction
        if self._planned_for_values:
            await transaction.plan_for_values(along_an_index=self._along_an_index)
        try:
            async with transaction.driver() as driver:
                return await driver.fetch(self.text, *arguments)
        except asyncpg.PostgresError as error:
            raise translate(error) or error from None

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
        try:
            async with transaction.driver() as driver:
                transaction.session.is_lent = True  # the table is to go at the end
                await driver.execute(stage.script)
                await driver.copy_records_to_table(stage.table, records=rows)
                return await driver.fetch(self.text, *arguments)
        except asyncpg.PostgresError as error:
            raise translate(error) or error from None

    async def fetch_in_batches(self, *arguments: Any, size: int) -> AsyncIterator[list[asyncpg.Record]]:
        """Run it in the current scope with a cursor, which other statements may come between.

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
            try:
                async with transaction.driver() as driver:
                    cursor = cursor or await self._cursor(driver, arguments)
                    rows = await cursor.fetch(size)
            except asyncpg.PostgresError as error:
                raise translate(error) or error from None
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


def models_from(model: type[_Model], rows: Sequence[asyncpg.Record], others: int = 0) -> list[_Model]:
    """The models of rows, in the rows' order: every column as the driver gives it, but for JSON and enums.

    Args:
        model: The model.
        rows: The rows of one statement.
        others: How many columns come before the model's.

    Source: ``tortoise.Model._init_from_db``, whose instances are equal to these in every attribute.
    """
    columns = list(rows[0].keys())[others:] if rows else []
    conversions = _conversions(model)
    models = []
    for row in rows:  # There may be thousands: what can be written here is not called.
        instance = model.__new__(model)
        attributes = instance.__dict__
        attributes.update(zip(columns, row[others:], strict=True))
        for column, convert in conversions:
            if (value := attributes[column]) is not None:
                attributes[column] = convert(value)
        attributes["_partial"] = False
        attributes["_saved_in_db"] = True
        attributes["_custom_generated_pk"] = True
        attributes["_await_when_save"] = {}
        models.append(instance)
    return models


def model_from(model: type[_Model], row: asyncpg.Record, others: int = 0) -> _Model:
    """The model of a row, see :func:`models_from`."""
    return models_from(model, [row], others)[0]


def memories_from(rows: Sequence[asyncpg.Record], others: int = 0) -> list[MemoryRecord]:
    """The memories of rows, see :func:`models_from`."""
    return models_from(MemoryRecord, rows, others)


_decode = json.JSONDecoder().raw_decode  # json.loads would look for an encoding, and for what may follow


def _read_json(text: str) -> Any:
    return _decode(text)[0]


@cache
def _conversions(model: type[StrictModel]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    conversions: list[tuple[str, Callable[[Any], Any]]] = []
    for column, field in model._meta.fields_map.items():
        if isinstance(field, JsonObjectField):
            conversions.append((column, _read_json))
        elif isinstance(field, ChoiceField):
            conversions.append((column, {str(member): member for member in field.choices}.__getitem__))
    return tuple(conversions)
