"""The static model: the vectors are WordLlama's own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import pytest

from memory_guild.search.embedders import embedder_of, static
from memory_guild.search.embedders.loading import Once
from tests.search.embedders.properties import TEXTS, check_embedder, likeness

pytestmark = pytest.mark.long

# In a process of its own: importing the package sets up the logging of the process.
WORDLLAMA = """
import json, sys, wordllama
model = wordllama.WordLlama.load(cache_dir=wordllama.__path__[0], disable_download=True)
print(json.dumps(model.embed(json.loads(sys.argv[1]), norm=True).tolist()))
"""


async def test_it_is_an_embedder() -> None:
    embedder = embedder_of("static")

    assert embedder is not None
    assert (embedder.model, embedder.dimensions, embedder.is_local) == ("static:l2_supercat_256", 256, True)
    await check_embedder(embedder)


def test_vectors_are_those_of_wordllama() -> None:
    texts = [*TEXTS, "a", "漢字 and Ünïcode 🙂", "\0 \n\t", "The cat sat on the mat with the cat. " * 200]
    run = subprocess.run(
        [sys.executable, "-c", WORDLLAMA, json.dumps(texts)], capture_output=True, text=True, check=True, timeout=60
    )

    vectors = asyncio.run(static.StaticEmbedder().embed(texts))

    for vector, expected in zip(vectors, json.loads(run.stdout), strict=True):
        assert vector == pytest.approx(expected, abs=1e-5)


async def test_meanings_that_are_alike_are_close() -> None:
    door, entrance, rates = await static.StaticEmbedder().embed(TEXTS)

    assert door[:4] == pytest.approx([0.1050, -0.0898, -0.1883, 0.0468], abs=1e-4)
    assert likeness(door, entrance) == pytest.approx(0.320, abs=0.001)
    assert likeness(door, rates) == pytest.approx(0.106, abs=0.001)
    assert likeness(entrance, rates) == pytest.approx(0.001, abs=0.001)


async def test_tasks_that_begin_at_once_load_the_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []

    def load() -> object:
        loads.append(time.monotonic())
        return static._load()

    monkeypatch.setattr(static, "_loaded", Once(load))
    vectors = await asyncio.gather(*(static.StaticEmbedder().embed_query("The door is red.") for _ in range(40)))

    assert len(loads) == 1
    assert all(vector == vectors[0] for vector in vectors)


async def test_a_text_of_a_megabyte_takes_moments_and_no_task_waits_for_it() -> None:
    embedder = static.StaticEmbedder()
    await embedder.embed_query("load the weights")
    long = asyncio.create_task(embedder.embed(["The door is red and blue, or so they say. " * 24_000]))
    pauses, before = [], time.monotonic()
    while not long.done():
        await asyncio.sleep(0.001)
        pauses.append(time.monotonic() - before)
        before = time.monotonic()

    ((first, *_),) = await long
    assert -1 < first < 1
    assert max(pauses) < 1
