"""What policies can see of an input: decisions about inputs that look alike to them are the same decision.

Every ``input`` of a source names a path, ``input.memory.agent_id``. What no path leads to, no policy can see, because
nothing that a policy may call reaches the input in another way. The scan reads comments and texts too, and takes
``input`` alone for all of it: it may see too many paths, and never too few.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]

_INPUT = re.compile(r"\binput\b((?:\.[A-Za-z_][A-Za-z0-9_]*)*)")


def visible_paths(sources: Iterable[str]) -> tuple[Path, ...]:
    """The paths that the sources name, without those that others contain; the empty one stands for everything."""
    found = {tuple(match[1].split(".")[1:]) for source in sources for match in _INPUT.finditer(source)}
    return tuple(sorted(path for path in found if not any(path[:length] in found for length in range(len(path)))))


def projected(given: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """The parts of an input that paths lead to."""
    kept: dict[str, Any] = {}
    for path in paths:
        if not path:
            return dict(given)
        source: Any = given
        target = kept
        for number, name in enumerate(path):
            if not isinstance(source, Mapping) or name not in source:
                break
            source = source[name]
            if number == len(path) - 1 or not isinstance(source, Mapping):
                target[name] = source
                break
            target = target.setdefault(name, {})
    return kept


def key_of(projection: Mapping[str, Any]) -> str:
    """What is equal for equal projections: their JSON, in which 1 is not true and not 1.0."""
    return json.dumps(projection, sort_keys=True, separators=(",", ":"))
