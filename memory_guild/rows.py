"""Rows of a fixed statement as models: every verb that returns models makes them here.

The models are those that a queryset would return. Making them here is faster: the driver has decoded the columns, and
only JSON and enums are left to convert.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import asyncpg

from memory_guild.models import MemoryRecord, StrictModel
from memory_guild.values.fields import ChoiceField, JsonObjectField

_Model = TypeVar("_Model", bound=StrictModel)


def models_from(model: type[_Model], rows: Sequence[asyncpg.Record]) -> list[_Model]:
    """The models of rows, in the rows' order.

    A row may have more columns than the model: columns of the statement's own before them, and behind them those that
    a later migration has added to the table. The model's columns stand together and begin with its primary key.

    Args:
        model: The model.
        rows: The rows of one statement.

    Source: ``tortoise.Model._init_from_db``. Its instances are equal to these in every attribute.
    """
    if not rows:
        return []
    names = list(rows[0].keys())
    first = names.index(model._meta.db_pk_column)
    last = first + len(model._meta.db_fields)
    columns, conversions = names[first:last], _conversions(model)
    models = []
    for row in rows:  # There may be thousands of rows, so the loop calls as little as possible.
        instance = model.__new__(model)
        attributes = instance.__dict__
        attributes.update(zip(columns, row[first:last], strict=True))
        for column, convert in conversions:
            if (value := attributes[column]) is not None:
                attributes[column] = convert(value)
        attributes["_partial"] = False
        attributes["_saved_in_db"] = True
        attributes["_custom_generated_pk"] = True
        attributes["_await_when_save"] = {}
        models.append(instance)
    return models


def model_from(model: type[_Model], row: asyncpg.Record) -> _Model:
    """The model of a row, see :func:`models_from`."""
    return models_from(model, [row])[0]


def memories_from(rows: Sequence[asyncpg.Record]) -> list[MemoryRecord]:
    """The memories of rows, see :func:`models_from`."""
    return models_from(MemoryRecord, rows)


_decode = json.JSONDecoder().raw_decode  # json.loads also looks for an encoding and for trailing text


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
