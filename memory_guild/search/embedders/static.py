"""The static model: the mean of its tokens' vectors, thousands of texts a second (extra ``static``).

Weights and tokenizer are WordLlama's, whose package is installed but never imported: it would configure the logging of
the whole process.

Source: ``WordLlamaInference.embed``, which the tests compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from memory_guild.search.embedders.loading import Once, folder_of
from memory_guild.search.embedders.texts import readable
from memory_guild.search.embedders.threads import in_thread
from memory_guild.search.extras import require_extra

if TYPE_CHECKING:
    import numpy
    from tokenizers import Tokenizer

    Weights: TypeAlias = "numpy.ndarray[tuple[int, int], numpy.dtype[numpy.float32]]"


def _load() -> tuple[Weights, Tokenizer]:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = folder_of("wordllama")
    weights = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    return weights.astype("float32"), tokenizer


_loaded = Once(_load)


class StaticEmbedder:
    """WordLlama's model of 32,000 tokens. Rare and common words weigh the same, and their order does not count."""

    model = "static:l2_supercat_256"
    dimensions = 256
    is_local = True

    def __init__(self) -> None:
        require_extra("MEMORY_GUILD_EMBEDDER", "static", "numpy", "safetensors", "tokenizers", "wordllama")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of the texts, computed in a thread."""
        return await in_thread(_vectors, texts)

    async def embed_query(self, text: str) -> list[float]:
        """The vector of the text, which is the same as that of a memory."""
        return (await self.embed([text]))[0]


def _vectors(texts: list[str]) -> list[list[float]]:
    import numpy

    weights, tokenizer = _loaded()
    vectors = []
    # Unlike encode(), this lets other threads run meanwhile.
    for encoding in tokenizer.encode_batch_fast([readable(text) for text in texts], add_special_tokens=False):
        # Counted first, because a text of a megabyte has more tokens than the vocabulary.
        tokens, counts = numpy.unique(encoding.ids, return_counts=True)
        total = counts.astype("float32") @ weights[tokens]
        vectors.append((total / numpy.linalg.norm(total)).tolist())
    return vectors
