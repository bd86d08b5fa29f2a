"""Vectors that callers computed: what they must be, and how they are sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple, TypeAlias, TypeGuard

from memory_guild.errors import InvalidInputError

Numbers: TypeAlias = Sequence[float]
"""A vector as the caller has it: a list of numbers, or a one-dimensional array of numpy."""

MAX_DIMENSIONS = 16_000
"""The most numbers in a vector. Source: pgvector's README, half-precision vectors."""


class Vector(NamedTuple):
    """A vector of length 1.

    Attributes:
        text: Its numbers, as pgvector reads them.
        dimensions: How many they are.
    """

    text: str
    dimensions: int


def check_vector(field: str, vector: object) -> Vector:
    """The vector, made to have length 1: directions are compared, and models need not care for lengths.

    Raises:
        InvalidInputError: It is no list of numbers, or it has no direction.
    """
    numbers = _numbers(field, vector)
    if not 1 <= len(numbers) <= MAX_DIMENSIONS:
        raise InvalidInputError(field, f"must have from 1 to {MAX_DIMENSIONS:,} numbers")
    length = math.hypot(*numbers)
    if not math.isfinite(length):
        raise InvalidInputError(field, "must have finite numbers, and not too large ones")
    if length < 1e-30:
        raise InvalidInputError(field, "must have a number that is not 0; a vector of zeros is like nothing")
    return Vector("[" + ",".join(f"{number / length:.6g}" for number in numbers) + "]", len(numbers))


def _is_like_a_list(vector: object) -> TypeGuard[Sequence[Any]]:
    """Whether it has items in order: an array of numpy is no Sequence."""
    if isinstance(vector, (str, bytes, bytearray, memoryview, Mapping, type)):
        return False
    return all(hasattr(vector, method) for method in ("__len__", "__iter__", "__getitem__"))


def _numbers(field: str, vector: object) -> list[float]:
    if not _is_like_a_list(vector):
        raise InvalidInputError(field, f"must be a list of numbers, not {type(vector).__name__}")
    items = list(vector)
    kinds = {*map(type, items)}  # few, where there are many items
    if bool in kinds or not all(issubclass(kind, Real) for kind in kinds):
        raise InvalidInputError(field, "must be a list of numbers and nothing else")
    try:
        return [float(item) for item in items]
    except OverflowError:
        raise InvalidInputError(field, "must have finite numbers, and not too large ones") from None
