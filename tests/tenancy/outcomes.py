"""How an operation ended, as text that can be compared: its result, or its error with every field."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import asyncpg
from tortoise import Model
from tortoise.fields.relational import ReverseRelation

from tests.tenancy.worlds import OWN, OWN_EDGE, OWN_EMBEDDING, SECRET, SECRET_CONFIDENCE, Aim

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NOW = re.compile(r"20[2-9]\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00(:00)?|Z)?")
_KNOWN_IDS = {str(known) for known in (*OWN, OWN_EMBEDDING, OWN_EDGE)}


async def outcome_of(operation: Callable[[], Awaitable[Any]]) -> str:
    """Run it, and say how it ended."""
    try:
        return "\n".join(_lines(await operation()))
    except Exception as error:
        return "\n".join(_error_lines(error))


def _error_lines(error: BaseException) -> Iterator[str]:
    yield f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    for name, value in sorted(vars(error).items()):
        # The driver's own errors say where in the server's source they were raised: not for comparison across logins.
        if not name.startswith(("_", "server_")):
            yield f"  {name} = {value!r}"
    chained = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if isinstance(chained, asyncpg.PostgresError):
        yield from _error_lines(chained)


def _lines(value: Any, depth: int = 0) -> Iterator[str]:
    indent = "  " * depth
    match value:
        case Model():
            yield f"{indent}{type(value).__name__}"
            yield from _lines({name: value.__dict__.get(name) for name in sorted(value._meta.db_fields)}, depth + 1)
            for name in sorted(value._meta.fetch_fields):
                fetched = value.__dict__.get(name, value.__dict__.get(f"_{name}"))
                if isinstance(fetched, Model) or (isinstance(fetched, ReverseRelation) and fetched._fetched):
                    yield f"{indent}  {name}:"
                    yield from _lines(fetched, depth + 2)
        case Mapping() | asyncpg.Record():
            for key, item in value.items():
                yield f"{indent}{key}:"
                yield from _lines(item, depth + 1)
        case list() | tuple() | set() | frozenset():
            yield f"{indent}{len(value)} items"
            for item in value:
                yield from _lines(item, depth + 1)
        case ReverseRelation():
            yield from _lines(value.related_objects, depth)
        case UUID() | datetime() | Enum():
            yield indent + str(value.value if isinstance(value, Enum) else value)
        case _:
            yield indent + repr(value)


def neutral(outcome: str, aim: Aim) -> str:
    """The outcome with the aim's values replaced by their names, and what is new and random by a word."""
    for name, value in aim.names():
        outcome = outcome.replace(value, f"<{name}>")
    outcome = _UUID.sub(lambda match: match[0] if match[0] in _KNOWN_IDS else "<id>", outcome)
    return _NOW.sub("<now>", outcome)


def secrets_in(outcome: str) -> list[str]:
    """What a stranger's row holds and the attacker does not know, and the outcome says all the same."""
    unknown = [SECRET, str(SECRET_CONFIDENCE), "2001-02-03", "2005-02-03", "citadel"]
    return [secret for secret in unknown if secret in outcome]
