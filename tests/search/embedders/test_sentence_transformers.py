"""The adapter of sentence-transformers, on a stand-in: the library brings torch, which is too large for these tests.

The stand-in has the signatures of sentence-transformers 6.2 and computes nothing that means anything.
"""

from __future__ import annotations

import sys
import threading
import time
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

from memory_guild.errors import EmbedderError
from memory_guild.search.embedders import embedder_of
from memory_guild.search.embedders.sentence_transformers import SentenceTransformersEmbedder
from tests.search.embedders.properties import check_embedder


class Vector:
    """In the place of numpy's arrays."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = numbers

    def tolist(self) -> list[float]:
        return self.numbers


class StandIn:
    """In the place of ``SentenceTransformer``."""

    loads: list[str]
    size: int | None = 2
    failure: Exception | None = None

    def __init__(self, model_name_or_path: str) -> None:
        if self.failure:
            raise self.failure
        self.loads.append(model_name_or_path)
        time.sleep(0.01)
        self.busy = threading.Lock()

    def get_embedding_dimension(self) -> int | None:
        return self.size

    def encode_document(
        self, inputs: list[str], *, normalize_embeddings: bool, show_progress_bar: bool
    ) -> list[Vector]:
        return [self.encoded(text, 3.0, normalize_embeddings, show_progress_bar) for text in inputs]

    def encode_query(self, inputs: str, *, normalize_embeddings: bool, show_progress_bar: bool) -> Vector:
        return self.encoded(inputs, -3.0, normalize_embeddings, show_progress_bar)

    def encoded(self, text: str, sign: float, normalize: bool, progress: bool) -> Vector:
        assert normalize
        assert not progress
        assert text.encode()
        assert self.busy.acquire(blocking=False), "Already borrowed"  # as the library's tokenizers
        other = float(len(text))
        length: float = (sign**2 + other**2) ** 0.5
        self.busy.release()
        return Vector([sign / length, other / length])


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    module: Any = ModuleType("sentence_transformers")
    module.__spec__ = ModuleSpec("sentence_transformers", None)

    class Fresh(StandIn):
        loads: list[str] = []  # noqa: RUF012

    module.SentenceTransformer = Fresh
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return Fresh


async def test_it_is_an_embedder_that_loads_its_model_once(stand_in: type[StandIn]) -> None:
    embedder = embedder_of("sentence-transformers:all-mpnet-base-v2")

    assert embedder is not None
    assert embedder.is_local
    assert embedder.model == "sentence-transformers:all-mpnet-base-v2"
    assert stand_in.loads == []
    await check_embedder(embedder)
    assert stand_in.loads == ["all-mpnet-base-v2"]


async def test_queries_and_documents_have_prompts_of_their_own() -> None:
    embedder = SentenceTransformersEmbedder("intfloat/e5-small-v2")

    assert await embedder.embed(["four"]) == [[0.6, 0.8]]
    assert await embedder.embed_query("four") == [-0.6, 0.8]


@pytest.mark.parametrize("failure", [OSError("no file of the name /srv/secret"), ValueError("unrecognized model")])
async def test_a_model_that_cannot_be_loaded_is_named(stand_in: type[StandIn], failure: Exception) -> None:
    stand_in.failure = failure
    embedder = SentenceTransformersEmbedder("no/such-model")

    with pytest.raises(EmbedderError) as caught:
        await embedder.embed(["The door is red."])

    assert str(caught.value) == (
        "sentence-transformers:no/such-model: the model cannot be loaded; check its name, and whether it is there or"
        " can be downloaded"
    )
    assert (caught.value.model, caught.value.retryable) == ("sentence-transformers:no/such-model", False)


def test_a_model_that_does_not_say_its_dimensions_is_refused(stand_in: type[StandIn]) -> None:
    stand_in.size = None

    with pytest.raises(EmbedderError, match="does not say how many numbers"):
        _ = SentenceTransformersEmbedder("odd").dimensions
