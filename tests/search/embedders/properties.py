"""What every embedder that is tested here must do."""

from __future__ import annotations

import asyncio
from math import hypot

import pytest

from memory_guild.search.embedders import Embedder
from memory_guild.types import EMBEDDING_MODEL_MAX_LENGTH

TEXTS = ["The door is red.", "Someone painted the entrance crimson.", "Interest rates rose again in March."]
ODD_TEXTS = ["", " ", "\0", "\n", "\ud800", "a\udfffb", "漢字かな", "🙂" * 50, "word " * 2_000, "x" * 5_000]


def likeness(one: list[float], other: list[float]) -> float:
    """The cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


async def check_embedder(embedder: Embedder) -> None:
    """Its name fits the column; vectors have length 1, the same ones for a text alone and in a batch; no text fails."""
    assert 0 < len(embedder.model) <= EMBEDDING_MODEL_MAX_LENGTH
    assert await embedder.embed([]) == []
    texts = TEXTS * 20 + ODD_TEXTS
    vectors = await embedder.embed(texts)
    assert len(vectors) == len(texts)
    for vector in vectors:
        assert type(vector) is list
        assert {type(number) for number in vector} == {float}
        assert len(vector) == embedder.dimensions
        assert hypot(*vector) == pytest.approx(1, abs=1e-5)
    assert vectors[:3] == vectors[57:60]
    for text, vector in zip(texts[55:], vectors[55:], strict=True):
        assert (await embedder.embed([text]))[0] == vector
    many = await asyncio.gather(*(embedder.embed_query(text) for text in TEXTS * 10))
    assert many == [await embedder.embed_query(text) for text in TEXTS] * 10
