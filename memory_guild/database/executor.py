"""Saving and filtering without writing a caller's words into SQL, as Tortoise's own executor would."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pypika_tortoise.functions import Cast
from pypika_tortoise.terms import Criterion, Field, Term
from tortoise import Model, filters
from tortoise.backends.asyncpg.executor import AsyncpgExecutor
from tortoise.contrib.postgres.json_functions import operator_keywords
from tortoise.expressions import Expression
from tortoise.fields.base import DatabaseDefault
from tortoise.queryset import QuerySet

from memory_guild.database.refusals import checked_text
from memory_guild.database.rendering import JsonPath
from memory_guild.errors import InvalidInputError

_ON_NUMBERS = (operator.gt, operator.ge, operator.lt, operator.le)
_ON_TIMES = tuple(
    operator_keywords[part]
    for part in ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "microsecond")
)
_ON_SEVERAL = (filters.is_in, filters.not_in, filters.between_and)
_ON_PRESENCE = (filters.is_null, filters.not_null)


def filter_json(column: Field, condition: object) -> Criterion:
    """A condition on what a JSON column has at a path: ``metadata__filter={"page__number__gte": 2}``.

    The path may end with one of Tortoise's operators. It is compared as text, and as a number or a time where the value
    is one; then what is there must be one in every row that the other conditions leave.

    Args:
        column: The column.
        condition: A dict with one item.

    Raises:
        InvalidInputError: The condition is no such dict, or the operator does not take the value.
    """
    name = f"{column.name}__filter"
    if not isinstance(condition, Mapping) or len(condition) != 1:
        raise InvalidInputError(name, "takes a dict with one condition, such as {'page__gte': 2}; filter twice for two")
    ((key, value),) = condition.items()
    if not isinstance(key, str):
        raise InvalidInputError(name, f"has a key of type {type(key).__name__}; keys must be str")
    keys = checked_text(f"{name} (a key)", key).split("__")
    compare: Callable[[Term, Any], Criterion] = operator.eq
    if len(keys) > 1 and keys[-1] in operator_keywords:
        compare = operator_keywords[keys.pop()]
    kind, operand = _operand(name, compare, value)
    if operand is None:
        compare, operand = (filters.not_null if compare is filters.not_equal else filters.is_null), True
    path: Term = JsonPath(column, list(keys))
    return compare(path if kind is None else Cast(path, kind), operand)


def _operand(field: str, compare: Callable[..., Any], value: Any) -> tuple[str | None, Any]:
    """What the text at a path is cast to, and the value to compare it with."""
    if compare in _ON_PRESENCE:
        if not isinstance(value, bool):
            raise InvalidInputError(field, f"takes True or False here, not {type(value).__name__}")
        return None, value
    if compare in _ON_TIMES:
        if not _is_number(value):
            raise InvalidInputError(field, f"takes a number here, not {type(value).__name__}")
        return "timestamp", value
    if compare in _ON_SEVERAL:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
            raise InvalidInputError(field, f"takes a list of values here, not {type(value).__name__}")
        if compare is filters.between_and and len(value) != 2:
            raise InvalidInputError(field, "takes two values here, the lowest and the highest")
        kinds, operands = zip(*(_scalar(field, item) for item in value), strict=True) if value else ((None,), ())
        if len(set(kinds)) > 1:
            raise InvalidInputError(field, "takes values of one type here")
        return kinds[0], list(operands)
    kind, operand = _scalar(field, value)
    if compare in _ON_NUMBERS and kind is None:
        raise InvalidInputError(field, f"takes a number or a time here, not {type(value).__name__}")
    if compare in (operator.eq, filters.not_equal, *_ON_NUMBERS):
        return kind, operand
    if not isinstance(value, str):
        raise InvalidInputError(field, f"takes a str here, not {type(value).__name__}")
    return None, operand


def _scalar(field: str, value: Any) -> tuple[str | None, Any]:
    match value:
        case None:
            return None, None
        case bool():
            return None, str(value).lower()
        case str():
            return None, checked_text(field, str.__str__(value))
        case int() | float() | Decimal():
            return "numeric", value
        case datetime():
            return "timestamptz" if value.tzinfo is not None else "timestamp", value
        case date():
            return "timestamp", value
        case _:
            raise InvalidInputError(field, f"compares with text, numbers and times, not {type(value).__name__}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


class GuildExecutor(AsyncpgExecutor):
    """Tortoise's executor, with our filter of JSON, and expressions as parameters."""

    # No ClassVar: Tortoise declares it as an attribute of instances, and mypy holds to that.
    FILTER_FUNC_OVERRIDE = {**AsyncpgExecutor.FILTER_FUNC_OVERRIDE, filters.json_filter: filter_json}  # noqa: RUF012

    async def execute_update(self, instance: type[Model] | Model, update_fields: Any) -> int:
        """Update the row of an instance; how many rows there were.

        Tortoise writes the values of expressions into the statement, so an instance with one is updated as a queryset.
        """
        meta = self.model._meta
        names = list(meta.fields_db_projection if update_fields is None else update_fields)
        values = {name: getattr(instance, name) for name in names if update_fields or name != meta.pk_attr}
        if any(isinstance(value, Expression) for value in values.values()):
            given = {name: value for name, value in values.items() if not isinstance(value, DatabaseDefault)}
            return await QuerySet(self.model).using_db(self.db).filter(pk=instance.pk).update(**given)
        affected: int = await super().execute_update(instance, update_fields)
        return affected
