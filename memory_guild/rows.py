"""Rows of a fixed statement as models: the one mechanism behind the verbs.

:func:`models_from` makes the models of rows that a queryset would make of them, without the queryset's detours: the
driver has decoded the columns already, only JSON and enums are left to convert.
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
