"""Conditions on edges: their direction, their types and their confidence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from memory_guild.errors import InvalidInputError
from memory_guild.memories.arguments import check_choice, column_value, column_values
from memory_guild.models import MemoryRelationship
from memory_guild.types import Direction, RelationshipType

Types: TypeAlias = RelationshipType | str | Collection[RelationshipType | str] | None
"""One type of edges or several; None for all."""


@dataclass(frozen=True, slots=True)
class EdgeConditions:
    """Checked conditions, as the statements of the graph take them.

    Attributes:
        outgoing: Whether the edges that leave a memory match.
        incoming: Whether the edges that reach it match.
        types: The types that match; None for all.
        min_confidence: The least confidence that matches, 0 to 1; None for any.
    """

    outgoing: bool
    incoming: bool
    types: list[str] | None
    min_confidence: float | None

    @classmethod
    def checked(cls, direction: Direction | str, types: Types, min_confidence: float | None) -> EdgeConditions:
        """The conditions that a caller gave.

        Raises:
            InvalidInputError: An argument is invalid; ``field`` names it.
        """
        chosen = check_choice("direction", direction, Direction)
        return cls(
            outgoing=chosen is not Direction.INCOMING,
            incoming=chosen is not Direction.OUTGOING,
            types=column_values(MemoryRelationship, "relationship_type", types),
            min_confidence=checked_confidence(min_confidence),
        )


def checked_confidence(min_confidence: float | None) -> float | None:
    """A least confidence, 0 to 1, or None."""
    try:
        confidence: float | None = column_value(MemoryRelationship, "confidence_score", min_confidence)
    except InvalidInputError as error:
        raise InvalidInputError("min_confidence", error.reason) from None
    return confidence
