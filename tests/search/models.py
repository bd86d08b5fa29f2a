"""Embedders for tests: the vectors are written down, and what happens meanwhile can be said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence


async def nothing() -> None:
    """Nothing happens."""


class WrittenDown:
    """An embedder whose vectors stand in a table, by a word that the text has.

    Attributes:
        asked: The texts that it embedded.
        meanwhile: What happens while it embeds memories.
    """

    def __init__(
        self,
        vectors: Mapping[str, Sequence[float]],
        *,
        model: str = "written:down",
        is_local: bool = True,
        meanwhile: Callable[[], Awaitable[object]] = nothing,
    ) -> None:
        self.model = model
        self.dimensions = 3
        self.is_local = is_local
        self.meanwhile = meanwhile
        self.asked: list[str] = []
        self._vectors = vectors

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts."""
        self.asked += texts
        vectors = [self._vector(text) for text in texts]
        await self.meanwhile()
        return vectors

    async def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        self.asked.append(text)
        return self._vector(text)

    def _vector(self, text: str) -> list[float]:
        return next((list(vector) for word, vector in self._vectors.items() if word in text), [0, 0, 1])
