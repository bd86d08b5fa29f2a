"""What conditions on the metadata mean, said once more in plain Python, without a database."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_COMPARISONS = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_MISSING = object()


def fulfils(metadata: Mapping[str, Any] | None, conditions: Mapping[str, Any]) -> bool:
    """Whether a memory with this metadata is found by these conditions."""
    return all(_fulfils(_found(metadata or {}, key), wanted) for key, wanted in conditions.items())


def _found(metadata: Mapping[str, Any], key: str) -> Any:
    """What stands under the key; if there is no such key and it has dots, what the path leads to."""
    if key in metadata or "." not in key:
        return metadata.get(key, _MISSING)
    found: Any = metadata
    for step in key.split("."):
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif (
            isinstance(found, (list, tuple)) and step.lstrip("-").isdecimal() and -len(found) <= int(step) < len(found)
        ):
            found = found[int(step)]
        else:
            return _MISSING
    return found


def _fulfils(stored: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(name.startswith("$") for name in wanted):
        return all(_fulfils_operator(stored, name, operand) for name, operand in wanted.items())
    return _fulfils_operator(stored, "$eq", wanted)


def _fulfils_operator(stored: Any, name: str, operand: Any) -> bool:
    if name == "$exists":
        return (stored is not _MISSING) is operand
    if name == "$ne":
        return not _fulfils_operator(stored, "$eq", operand)
    if name == "$nin":
        return not _fulfils_operator(stored, "$in", operand)
    if stored is _MISSING:
        return False
    if name == "$eq":
        return _are_equal(stored, operand)
    if name == "$in":
        return any(_are_equal(stored, item) for item in operand)
    if name.startswith("$contains"):
        wanted = [operand] if name == "$contains" else operand
        are_there = [any(_are_equal(item, value) for item in stored) for value in wanted if _is_list(stored)]
        return _is_list(stored) and (any(are_there) if name == "$contains_any" else all(are_there))
    compare = _COMPARISONS[name]
    if isinstance(operand, datetime):
        moment = _moment(stored)
        return moment is not None and bool(compare(moment, operand))
    return _is_number(stored) and bool(compare(_decimal(stored), _decimal(operand)))


def _are_equal(one: Any, other: Any) -> bool:
    return bool(_as_json(one) == _as_json(other))


def _as_json(value: Any) -> Any:
    """The value so that Python's equality is JSON's: true is not 1, 3 is 3.0, the order of keys says nothing."""
    if _is_number(value):
        return ("number", _decimal(value))
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return (type(value).__name__, value)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _decimal(value: float) -> Decimal:
    """The number that stands in the JSON text: 0.1, where the float is a little more."""
    return Decimal(json.dumps(value))


def _moment(stored: Any) -> datetime | None:
    """The point in time; one without an offset is in UTC, which the tests' sessions are."""
    try:
        moment = datetime.fromisoformat(stored)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
