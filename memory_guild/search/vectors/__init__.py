"""Vectors, and the stores that mirror those of PostgreSQL.

``MEMORY_GUILD_VECTOR_INDEX`` or ``connect(vector_index=…)`` names one. An object of your own that has the members of
:class:`VectorIndex` is one too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from memory_guild.errors import SettingsError
from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.chroma import ChromaIndex
from memory_guild.search.vectors.milvus import MilvusIndex
from memory_guild.search.vectors.pinecone import PineconeIndex
from memory_guild.search.vectors.qdrant import QdrantIndex
from memory_guild.search.vectors.weaviate import WeaviateIndex

__all__ = ["ChromaIndex", "MilvusIndex", "PineconeIndex", "QdrantIndex", "VectorIndex", "WeaviateIndex", "index_of"]

_URL = r"https?://[^/\s?#]+[^\s?#]*"
_KINDS: dict[str, tuple[str, Callable[[str], VectorIndex]]] = {
    "qdrant": (rf"{_URL}|:memory:|(?!:)(?!.*://).+", QdrantIndex),
    "chroma": (rf"{_URL}|(?!.*://).+", ChromaIndex),
    "milvus": (rf"{_URL}|(?!.*://).+\.db", MilvusIndex),
    "weaviate": (_URL, WeaviateIndex),
    "pinecone": (r"[a-z0-9](?:[a-z0-9-]{0,37}[a-z0-9])?", PineconeIndex),
}
"""By the beginning of a name: what may follow, and what it makes. Pinecone's own names have at most 45 characters, and
the number of dimensions is added to ours."""


def index_of(name: str) -> VectorIndex | None:
    """The index of a name, or None for ``pgvector``. It connects with the first call, not yet.

    Args:
        name: ``pgvector``, ``qdrant:URL``, ``qdrant:FOLDER``, ``qdrant::memory:``, ``chroma:URL``, ``chroma:FOLDER``,
            ``milvus:URL``, ``milvus:FILE.db``, ``weaviate:URL`` or ``pinecone:INDEX-NAME``.

    Raises:
        SettingsError: The name is none of these, the extra is not installed, or the client lacks a setting of its own.
    """
    if name == "pgvector":
        return None
    kind, _, store = name.partition(":") if isinstance(name, str) else ("", "", "")
    pattern, index = _KINDS.get(kind, ("(?!)", QdrantIndex))
    if not re.fullmatch(pattern, store) or not store.isprintable():
        raise SettingsError(
            "MEMORY_GUILD_VECTOR_INDEX",
            "must be pgvector, qdrant:URL, qdrant:FOLDER, qdrant::memory:, chroma:URL, chroma:FOLDER, milvus:URL,"
            " milvus:FILE.db, weaviate:URL or pinecone:INDEX-NAME, where a URL begins with http:// or https://",
        )
    return index(store)
