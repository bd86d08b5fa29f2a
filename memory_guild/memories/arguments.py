"""Arguments of the verbs: memories by model or id, choices, limits, and the tenant of the scope."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from memory_guild.database.scope import Scope, current_scope
from memory_guild.errors import InvalidInputError, TenantNotSetError
from memory_guild.memories.results import HasMemoryId, MemoryResult
from memory_guild.models import MemoryRecord, StrictModel
from memory_guild.values.checks import check_uuid

MemoryArgument: TypeAlias = HasMemoryId | UUID | str
"""A memory: its model, its id, its id as text, or a result that has its ``memory_id``."""

MAX_LIMIT = 10_000
"""The most memories that one call returns. For more, use ``find_all`` or the cursor of ``find``."""

_Choice = TypeVar("_Choice", bound=str)
_Value = TypeVar("_Value")


def tenant_of(scope: Scope) -> str:
    """The scope's tenant.

    Raises:
        TenantNotSetError: It is a maintenance scope, which has no tenant.
    """
    if scope.tenant_id is None:
        raise TenantNotSetError("a maintenance scope has no tenant; use the models there, or open tenant_scope()")
    return scope.tenant_id


def current_tenant() -> str:
    """The tenant of the scope that the task is in.

    Raises:
        TenantNotSetError: The task is in no scope, or in a maintenance scope.
        ScopeClosedError: The scope has ended.
    """
    return tenant_of(current_scope())


def memory_id_of(field: str, memory: MemoryArgument) -> UUID:
    """The id of a memory given as an argument."""
    if isinstance(memory, UUID):
        return memory
    memory_id = getattr(memory, "memory_id", memory)
    if isinstance(memory_id, (list, tuple, set)):
        raise InvalidInputError(field, f"must be one memory, not a {type(memory_id).__name__} of them")
    return check_uuid(field, memory_id)


def memory_of(memory: object) -> MemoryRecord | None:
    """The model of a memory given as an argument; None if it was given by id."""
    memory = memory.memory if isinstance(memory, MemoryResult) else memory
    return memory if isinstance(memory, MemoryRecord) else None


def memory_ids_of(field: str, memories: Iterable[MemoryArgument]) -> list[UUID]:
    """The ids of several memories, in the same order."""
    if isinstance(memories, str):
        raise InvalidInputError(field, "must be an iterable of memories, not str")
    numbered = enumerate(check_several(field, memories))
    return [memory_id_of(f"{field}[{number}]", memory) for number, memory in numbered]


def check_several(field: str, values: Iterable[_Value]) -> Iterable[_Value]:
    """Any iterable, but not one value that happens to be iterable too."""
    if not isinstance(values, Iterable) or isinstance(values, (StrictModel, MemoryResult)):
        raise InvalidInputError(field, f"must be an iterable, not {type(values).__name__}")
    return values


def column_value(model: type[StrictModel], column: str, value: Any) -> Any:
    """The value as it is stored, checked by the column's field."""
    return model._meta.fields_map[column].to_db_value(value, model)


def column_values(model: type[StrictModel], column: str, values: Any) -> list[Any] | None:
    """The stored form of one value or of a collection of values; None stands for any value."""
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Collection):
        values = [values]
    return [column_value(model, column, value) for value in values]


def check_choice(field: str, value: object, choices: Iterable[_Choice]) -> _Choice:
    """One of a few choices, given as an enum or as the values of a ``Literal``: ``get_args(OnForgotten)``."""
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise InvalidInputError(field, f"must be one of: {', '.join(known)}")
    return known[known.index(value)]


def check_whole_number(field: str, value: int, *, largest: int = MAX_LIMIT) -> int:
    """A number from 1 to ``largest``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise InvalidInputError(field, f"must be a whole number from 1 to {largest:,}")
    return value


def check_flag(field: str, value: object) -> bool:
    """True or False, and nothing that is only true or false in Python's eyes, such as ``"false"``."""
    if not isinstance(value, bool):
        raise InvalidInputError(field, f"must be True or False, not {type(value).__name__}")
    return value
