"""Any model of the library sentence-transformers, which brings torch along (extra ``sentence-transformers``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

from memory_guild.errors import EmbedderError
from memory_guild.search.embedders.loading import Once
from memory_guild.search.embedders.texts import readable
from memory_guild.search.embedders.threads import in_thread
from memory_guild.search.extras import require_extra

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceTransformersEmbedder:
    """A model by its name on the Hugging Face Hub, or by the path of its folder.

    The library loads it with the first text, and downloads it if it is not there yet. Where a model has one prompt for
    queries and another for documents, they are used.
    """

    is_local = True

    def __init__(self, model: str) -> None:
        require_extra("MEMORY_GUILD_EMBEDDER", "sentence-transformers", "sentence_transformers")
        self.model = f"sentence-transformers:{model}"
        self._name = model
        self._loaded = Once(self._load)
        self._turn = Lock()  # two threads that encode at once fail: "Already borrowed"

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has. This loads the model: ask in a thread, or after the first text.

        Raises:
            EmbedderError: The model cannot be loaded, or does not say it.
        """
        dimensions: int | None = self._loaded().get_embedding_dimension()
        if dimensions is None:
            raise EmbedderError(self.model, "it does not say how many numbers its vectors have; choose another model")
        return dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of the texts, computed in a thread."""
        return await in_thread(self._vectors, texts)

    async def embed_query(self, text: str) -> list[float]:
        """The vector of the text, computed in a thread."""
        return await asyncio.to_thread(self._query_vector, text)

    def _load(self) -> SentenceTransformer:
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(self._name)
        except (OSError, ValueError) as error:
            raise EmbedderError(
                self.model, "the model cannot be loaded; check its name, and whether it is there or can be downloaded"
            ) from error

    def _vectors(self, texts: list[str]) -> list[list[float]]:
        model = self._loaded()
        given = [readable(text) for text in texts]
        with self._turn:
            vectors = model.encode_document(given, normalize_embeddings=True, show_progress_bar=False)
        return [vector.tolist() for vector in vectors]

    def _query_vector(self, text: str) -> list[float]:
        model = self._loaded()
        with self._turn:
            vector: list[float] = model.encode_query(
                readable(text), normalize_embeddings=True, show_progress_bar=False
            ).tolist()
        return vector
