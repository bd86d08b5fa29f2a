"""Random policies, as Rego and as plain Python that says what they mean."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

AGENTS, ACTIONS, TYPES = ("a", "b"), ("read", "remember", "forget"), ("document", "tool_output")
PATHS: dict[str, tuple[Any, ...]] = {
    "agent_id": AGENTS,
    "action": ACTIONS,
    "memory.agent_id": AGENTS,
    "memory.source_type": TYPES,
    "memory.is_deleted": (True, False),
    "memory.metadata.team": ("x", "y"),
    "memory.metadata.level": (1, 2, 3),
}
TAGS = "memory.metadata.tags"

Input: TypeAlias = dict[str, Any]

UNDEFINED = object()


def value_at(given: Input, path: str) -> Any:
    """What ``input.path`` is."""
    value: Any = given
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return UNDEFINED
        value = value[name]
    return value


@dataclass(frozen=True)
class Condition:
    """A comparison of a part of the input, or that it does not hold."""

    path: str
    operator: str
    operand: Any
    is_negated: bool

    def rego(self) -> str:
        """As a line of a body."""
        if self.operator == "has":
            text = f"{json.dumps(self.operand)} in input.{self.path}"
        elif self.operator == "same":
            text = f"input.{self.path} == input.{self.operand}"
        else:
            text = f"input.{self.path} {self.operator} {json.dumps(self.operand)}"
        return f"not {text}" if self.is_negated else text

    def holds(self, given: Input) -> bool:
        """What it means: something undefined does not hold, and its negation does."""
        return self._holds(given) is not self.is_negated

    def _holds(self, given: Input) -> bool:
        value = value_at(given, self.path)
        other = value_at(given, self.operand) if self.operator == "same" else self.operand
        if value is UNDEFINED or other is UNDEFINED:
            return False
        if self.operator == "has":
            return other in value
        results: dict[str, bool] = {
            "==": value == other,
            "same": value == other,
            "!=": value != other,
            "<": self.operator == "<" and value < other,
            ">=": self.operator == ">=" and value >= other,
        }
        return results[self.operator]


Body: TypeAlias = tuple[Condition, ...]


@dataclass(frozen=True)
class Program:
    """A policy: each rule holds if one of its bodies does."""

    allow: tuple[Body, ...]
    deny: tuple[Body, ...]

    def rego(self) -> str:
        """Its source."""
        rules = [
            f"{rule} if {{\n  " + "\n  ".join(condition.rego() for condition in body) + "\n}"
            for rule, bodies in (("allow", self.allow), ("deny", self.deny))
            for body in bodies
        ]
        return "package memory.access\n\n" + "\n\n".join(rules) + "\n"

    def allows(self, given: Input) -> bool:
        """What it decides."""
        return _any_holds(self.allow, given) and not _any_holds(self.deny, given)


def _any_holds(bodies: tuple[Body, ...], given: Input) -> bool:
    return any(all(condition.holds(given) for condition in body) for body in bodies)


def random_program(random: Random) -> Program:
    """A policy."""

    def condition() -> Condition:
        is_negated = random.random() < 0.25
        kind = random.random()
        if kind < 0.15:
            return Condition(TAGS, "has", random.choice("pqr"), is_negated)
        if kind < 0.3:
            return Condition("memory.agent_id", "same", "agent_id", is_negated)
        path = random.choice(list(PATHS))
        operators = ("==", "!=", "<", ">=") if path.endswith("level") else ("==", "!=")
        return Condition(path, random.choice(operators), random.choice(PATHS[path]), is_negated)

    def bodies(most: int) -> tuple[Body, ...]:
        return tuple(tuple(condition() for _ in range(random.randint(1, 3))) for _ in range(random.randint(0, most)))

    return Program(bodies(3), bodies(2))


def random_input(random: Random) -> Input:
    """An input, of which parts may be missing."""
    metadata = {
        name: random.choice(PATHS[f"memory.metadata.{name}"]) for name in ("team", "level") if random.random() < 0.7
    }
    if random.random() < 0.7:
        metadata["tags"] = random.sample("pqr", random.randint(0, 3))
    memory = {
        "agent_id": random.choice(AGENTS),
        "source_type": random.choice(TYPES),
        "is_deleted": random.random() < 0.3,
        "metadata": metadata,
    }
    return {
        "agent_id": random.choice((*AGENTS, None)),
        "tenant_id": "acme",
        "action": random.choice(ACTIONS),
        "memory": None if random.random() < 0.1 else memory,
        "source": None,
    }
