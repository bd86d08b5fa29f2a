"""MiniLM: the vectors are close to those of the model in full precision."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from memory_guild.search.embedders import embedder_of, minilm
from memory_guild.search.embedders.loading import Once
from tests.search.embedders.properties import TEXTS, check_embedder, likeness

pytestmark = pytest.mark.long

# The first numbers, and the cosines, by the weights of sentence-transformers/all-MiniLM-L6-v2 in 32-bit floats
# (sha256 of model.safetensors: 53aa5117…).
FULL_PRECISION = [
    [0.0142, 0.0210, -0.0860, 0.0479, -0.0114],
    [-0.0230, 0.0623, -0.0527, 0.0123, 0.0198],
    [0.0425, -0.0869, 0.0028, 0.0196, 0.0414],
]


async def test_it_is_an_embedder() -> None:
    embedder = embedder_of("minilm")

    assert embedder is not None
    assert (embedder.model, embedder.dimensions, embedder.is_local) == ("minilm:all-MiniLM-L6-v2-int8", 384, True)
    await check_embedder(embedder)


async def test_vectors_are_close_to_those_in_full_precision() -> None:
    vectors = await minilm.MiniLMEmbedder().embed(TEXTS)

    for vector, expected in zip(vectors, FULL_PRECISION, strict=True):
        assert vector[:5] == pytest.approx(expected, abs=0.005)
    door, entrance, rates = vectors
    assert likeness(door, entrance) == pytest.approx(0.406, abs=0.01)
    assert likeness(door, rates) == pytest.approx(0.064, abs=0.01)
    assert likeness(entrance, rates) == pytest.approx(-0.049, abs=0.01)


def test_the_vocabulary_is_that_of_the_model() -> None:
    assert hashlib.sha256(minilm._VOCABULARY.read_bytes()).hexdigest() == (
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
    )


def test_texts_become_the_tokens_of_the_model() -> None:
    _, tokenizer = minilm._loaded()

    assert tokenizer.encode("The Café's door, 漢字!").tokens == [
        *("[CLS]", "the", "cafe", "'", "s", "door", ",", "漢", "[UNK]", "!", "[SEP]"),
    ]
    assert len(tokenizer.encode("red " * 1_000).ids) == 256


async def test_what_follows_256_word_pieces_does_not_count() -> None:
    embedder = minilm.MiniLMEmbedder()

    assert await embedder.embed_query("red " * 300) == await embedder.embed_query("red " * 300 + "blue")
    assert await embedder.embed_query("red " * 200) != await embedder.embed_query("red " * 200 + "blue")


async def test_tasks_that_begin_at_once_load_the_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[None] = []

    def load() -> object:
        loads.append(None)
        return minilm._load()

    monkeypatch.setattr(minilm, "_loaded", Once(load))
    vectors = await asyncio.gather(*(minilm.MiniLMEmbedder().embed_query("The door is red.") for _ in range(20)))

    assert len(loads) == 1
    assert all(vector == vectors[0] for vector in vectors)
