"""Which edges are followed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

from memory_guild.errors import InvalidInputError
from memory_guild.memories.arguments import check_choice, column_value, column_values
from memory_guild.models import MemoryRelationship
from memory_guild.types import Direction, RelationshipType

Types: TypeAlias = RelationshipType | str | Collection[RelationshipType | str] | None
"""Which types of edges are followed: one or several; None for all."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Which edges are followed, as arguments of the statements."""

    outgoing: bool
    incoming: bool
    types: list[str] | None
    min_confidence: float | None

    @classmethod
    def checked(cls, direction: Direction | str, types: Types, min_confidence: float | None) -> Follow:
        """Made of what a caller says.

        Raises:
            InvalidInputError: It cannot be used.
        """
        chosen = check_choice("direction", direction, Direction)
        return cls(
            chosen is not Direction.INCOMING,
            chosen is not Direction.OUTGOING,
            column_values(MemoryRelationship, "relationship_type", types),
            checked_confidence(min_confidence),
        )


def checked_confidence(min_confidence: Any) -> float | None:
    """A least confidence, 0 to 1, or None."""
    try:
        confidence: float | None = column_value(MemoryRelationship, "confidence_score", min_confidence)
    except InvalidInputError as error:
        raise InvalidInputError("min_confidence", error.reason) from None
    return confidence
