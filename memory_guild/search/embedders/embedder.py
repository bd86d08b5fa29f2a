"""What an embedder is, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """Turns texts into vectors of length 1: the closer their directions, the more alike the meanings.

    It serves any number of tasks, threads and event loops at once. No text may make it fail, also not an empty one.
    """

    @property
    def model(self) -> str:
        """The name that its vectors are kept under, at most 100 characters. Another model needs another name."""
        ...

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether it embeds without a call over the network, so that it may be used while a transaction is open."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts that are to be found, in their order. It makes batches by itself.

        Raises:
            EmbedderError: The vectors cannot be computed; there is none of them then.
        """
        ...

    async def embed_query(self, text: str) -> list[float]:
        """The vector of a text that is searched for.

        Raises:
            EmbedderError: It cannot be computed.
        """
        ...
