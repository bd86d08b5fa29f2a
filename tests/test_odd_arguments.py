"""Whatever a caller passes to a verb, only the package's own errors come out, and nothing is half-written."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

import memory_guild as guild
from memory_guild import MemoryRecord, remember, serializers, tenant_scope
from memory_guild.errors import InvalidInputError, MemoryGuildError
from memory_guild.memories.conditions import Conditions
from memory_guild.serializers import MemoryRecordCreate, MemoryRecordWithRelationsRead, MemoryRelationshipCreate
from memory_guild.values.checks import encode_json_object


def nested(depth: int, inner: Any = 1) -> Any:
    """Lists in lists."""
    for _ in range(depth):
        inner = [inner]
    return inner


def endless() -> list[Any]:
    """A list that contains itself."""
    values: list[Any] = []
    values.append(values)
    return values


class Ambiguous:
    """Neither true nor false, as an array or a table is."""

    def __bool__(self) -> bool:
        raise ValueError("is ambiguous")


@dataclass
class Odd:
    """Something that is no argument of any verb, but has the looks of one."""

    memory_id: Any = "x"


def odd_values() -> dict[str, Any]:
    """Values of many kinds, by a name for the report."""
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}
    return {
        **{repr(value): value for value in (None, True, 0, -1, 2**63, 10**400, 1.5, 1j, ..., NotImplemented)},
        **{repr(value): value for value in (Decimal("NaN"), Fraction(1, 3), float("nan"), float("inf"), -0.0)},
        **{
            ascii(value): value for value in ("", " ", "x", "\x00", "\ud800", "𝄞", "%s", "'; --", b"x", bytearray(b"x"))
        },
        "long text": "x" * 2_000_000,
        "long name": "x" * 256,
        "empty list": [],
        "list": ["x"],
        "list of lists": [[]],
        "list of everything": [None, 5, "\x00", object(), [], {}],
        "deep list": nested(100_000),
        "deep dict": deep,
        "dict 256 deep": nested(250),
        "endless list": endless(),
        "tuple": (1, 2),
        "set": {1},
        "range": range(3),
        "empty dict": {},
        "dict": {"x": object()},
        "dict of other keys": {1: 2, None: 3, ("a",): 4},
        "dict of operators": {"x": {"$gt": "x", "$no": 1}},
        "iterator": iter(["x"]),
        "object": object(),
        "ambiguous": Ambiguous(),
        "class": MemoryRecord,
        "enum": guild.SourceType,
        "type": int,
        "function": nested,
        "error": ValueError("x"),
        "uuid": uuid4(),
        "text of a uuid": str(uuid4()),
        "naive": datetime(2026, 1, 1),
        "first": datetime.min.replace(tzinfo=UTC),
        "last": datetime.max.replace(tzinfo=UTC),
        "east of the last": datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        "long ago": timedelta.max,
        "negative": timedelta.min,
        "unsaved memory": MemoryRecord(agent_id="a", tenant_id="t", source_type="document", content_text="x"),
        "has a memory_id": Odd(),
        "has no good memory_id": Odd(nested(100_000)),
    }


def arguments_of(memory: MemoryRecord, other: MemoryRecord) -> dict[str, dict[str, Any]]:
    """Good arguments of every verb; those of a star are under its name."""
    return {
        "as_of": {"moment": datetime.now(UTC)},
        "contradictions": {"memory": memory},
        "count": {},
        "embed_pending": {"tenant_id": "odd"},
        "erase_where": {"agent_id": "nobody"},
        "fetch_relations": {"memories": [memory]},
        "find": {},
        "find_all": {},
        "forget": {"memories": memory},
        "forget_where": {"agent_id": "nobody"},
        "get": {"memory": memory},
        "get_many": {"memories": [memory]},
        "hydrate": {"vector_hits": [(memory, 0.5)]},
        "neighbors": {"memory": memory},
        "path": {"source": memory, "target": other},
        "purge": {"older_than": timedelta(0)},
        "recall": {"query": "one"},
        "relate": {"source": memory, "target": other, "relationship_type": "supports"},
        "relate_by_names": {"tenant_id": "odd"},
        "relate_many": {"edges": []},
        "remember": {"content_text": "new", "source_type": "document"},
        "remember_many": {"items": [{"content_text": "new", "source_type": "document"}]},
        "restore": {"memories": memory},
        "subgraph": {"start": memory},
        "supersede": {"old": memory, "new_text": "newer"},
        "sweep_vectors": {"tenant_id": "odd"},
        "sync_vectors": {"tenant_id": "odd"},
        "traverse": {"start": memory},
        "unregister_vector_index": {},
        "unrelate": {"source": memory, "target": other},
        "update": {"memory": memory, "metadata": {}},
    }


def parameters_of(verb: Callable[..., Any]) -> list[str]:
    """The names of all that a verb takes, conditions included."""
    names: list[str] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        names += Conditions.__annotations__ if parameter.kind is parameter.VAR_KEYWORD else [name]
    return names


async def run(verb: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Call a verb and wait for all that it yields."""
    stars = [p.name for p in inspect.signature(verb).parameters.values() if p.kind is p.VAR_POSITIONAL]
    result = verb(*(arguments[name] for name in stars), **{n: v for n, v in arguments.items() if n not in stars})
    if isinstance(result, AsyncIterator):
        async for _ in result:
            pass
    elif isinstance(result, Awaitable):
        await result


VERBS = [name for name in guild.__all__ if name in arguments_of(None, None)]  # type: ignore[arg-type]  # only names


def test_every_verb_is_tried() -> None:
    others = {"connect", "upgrade", "tenant_scope", "admin_scope", "erase_tenant"}
    functions = {name for name in guild.__all__ if inspect.isfunction(getattr(guild, name))}
    assert functions - others == set(VERBS)


@pytest.mark.long
@pytest.mark.parametrize("name", VERBS)
async def test_odd_arguments_are_our_errors(shared_database: str, name: str) -> None:
    verb = getattr(guild, name)
    async with tenant_scope("odd", agent_id="a"):
        memory = (await remember("one", source_type="document")).memory
        other = (await remember("two", source_type="document")).memory
        partial = await MemoryRecord.all().only("content_text").first()
    odd = {**odd_values(), "partial memory": partial, "list of a partial memory": [partial]}
    wrong = []
    for parameter in parameters_of(verb):
        for kind, value in odd.items():
            if parameter == "progress" and callable(value):
                continue  # what a caller's function raises is the caller's
            try:
                async with tenant_scope("odd", agent_id="a"):
                    await run(verb, {**arguments_of(memory, other)[name], parameter: value})
                    raise _UndoneError
            except (MemoryGuildError, _UndoneError):
                pass
            except Exception as error:
                wrong.append((parameter, kind, type(error).__name__, str(error)[:80]))
    assert wrong == []


ITEM = {"content_text": "new", "source_type": "document"}
EDGE = {"relationship_type": "supports"}
PARTS = [
    *(("remember_many", "items", ITEM, key) for key in (*MemoryRecordCreate.model_fields, "unknown")),
    *(("relate_many", "edges", EDGE, key) for key in (*MemoryRelationshipCreate.model_fields, "unknown")),
]


@pytest.mark.parametrize(("name", "several", "part", "key"), PARTS, ids=lambda part: str(part))
@pytest.mark.long
async def test_odd_parts_of_a_batch_are_our_errors(
    shared_database: str, name: str, several: str, part: dict[str, Any], key: str
) -> None:
    verb: Any = getattr(guild, name)
    async with tenant_scope("odd", agent_id="a"):
        first = (await remember("one", source_type="document")).memory
        second = (await remember("two", source_type="document")).memory
    if part is EDGE:
        part = {**part, "source_memory_id": first, "target_memory_id": second}
    for kind, value in odd_values().items():
        async with tenant_scope("odd", agent_id="a"):
            try:
                async with tenant_scope("odd", agent_id="a"):
                    await verb(**{several: [{**part, key: value}]})
            except MemoryGuildError:
                pass
            except Exception as error:
                raise AssertionError(f"{kind}: {error!r}") from error


class _UndoneError(Exception):
    """Rolls the scope back."""


SCOPE_ARGUMENTS = {"tenant_id": tenant_scope, "agent_id": lambda value: tenant_scope("odd", value)}


@pytest.mark.parametrize("parameter", SCOPE_ARGUMENTS)
async def test_odd_arguments_of_a_scope_are_our_errors(shared_database: str, parameter: str) -> None:
    for value in odd_values().values():
        with suppress(MemoryGuildError):
            async with SCOPE_ARGUMENTS[parameter](value):
                pass


@pytest.mark.parametrize("room", range(40, 400, 30))
def test_metadata_from_a_deep_stack_is_stored_or_refused(room: int) -> None:
    def at_depth(depth: int) -> str:
        return at_depth(depth - 1) if depth else encode_json_object("metadata", {"deep": nested(250)}, 1_000_000)

    frames = len(inspect.stack(0))
    with suppress(InvalidInputError):
        assert at_depth(sys.getrecursionlimit() - frames - room).startswith('{"deep":[[')


NO_LISTS = [None, 5, "x" * 1_000_000, b"x", MemoryRecord, guild.SourceType, iter([]), {}, {"a": 1}, object()]


@pytest.mark.parametrize("relation", NO_LISTS, ids=lambda relation: type(relation).__name__)
def test_relations_that_are_no_lists_are_refused_at_once(relation: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        MemoryRecordWithRelationsRead.model_validate({"embeddings": relation})
    problems = [error for error in raised.value.errors(include_url=False) if error["loc"] == ("embeddings",)]
    assert len(problems) == 1
    assert "must be lists" in problems[0]["msg"]


SERIALIZERS = [
    kind for kind in vars(serializers).values() if isinstance(kind, type) and kind.__module__ == serializers.__name__
]


@pytest.mark.parametrize("serializer", SERIALIZERS, ids=lambda serializer: serializer.__name__)
@pytest.mark.long
def test_odd_fields_of_a_serializer_are_pydantics_errors(serializer: Any) -> None:
    odd = odd_values()
    for key in (*serializer.model_fields, "unknown"):
        for kind, value in odd.items():
            try:
                serializer.model_validate({key: value})
            except ValidationError:
                pass
            except Exception as error:
                raise AssertionError(f"{key}, {kind}: {error!r}") from error
