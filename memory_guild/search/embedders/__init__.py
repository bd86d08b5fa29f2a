"""Embedders: they turn texts into vectors, so that memories can be found by their meaning.

``MEMORY_GUILD_EMBEDDER`` or ``connect(embedder=…)`` names one. An object of your own that has the members of
:class:`Embedder` is one too.
"""

from __future__ import annotations

from collections.abc import Callable

from memory_guild.protocols import Embedder
from memory_guild.search.embedders.minilm import MiniLMEmbedder
from memory_guild.search.embedders.openai import OpenAIEmbedder
from memory_guild.search.embedders.sentence_transformers import SentenceTransformersEmbedder
from memory_guild.search.embedders.static import StaticEmbedder
from memory_guild.search.embedders.texts import text_to_embed
from memory_guild.settings import checked_embedder

__all__ = ["Embedder", "embedder_of", "text_to_embed"]

_KINDS: dict[str, Callable[[], Embedder]] = {"minilm": MiniLMEmbedder, "static": StaticEmbedder}
_KINDS_WITH_MODEL: dict[str, Callable[[str], Embedder]] = {
    "openai": OpenAIEmbedder,
    "sentence-transformers": SentenceTransformersEmbedder,
}


def embedder_of(name: str) -> Embedder | None:
    """The embedder of a name, or None for ``none``. It loads its model with the first text, not yet.

    Args:
        name: ``none``, ``static``, ``minilm``, ``openai:MODEL`` or ``sentence-transformers:MODEL``.

    Raises:
        SettingsError: The name is none of these, the extra is not installed, or the client lacks a setting of its own.
    """
    kind, _, model = checked_embedder(name).partition(":")
    if kind == "none":
        return None
    return _KINDS_WITH_MODEL[kind](model) if model else _KINDS[kind]()
