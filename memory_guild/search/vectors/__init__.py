"""Vectors, and the stores that mirror those of PostgreSQL.

``MEMORY_GUILD_VECTOR_INDEX`` or ``connect(vector_index=…)`` names one. An object of your own that has the members of
:class:`VectorIndex` is one too.
"""

from __future__ import annotations

from collections.abc import Callable

from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.chroma import ChromaIndex
from memory_guild.search.vectors.milvus import MilvusIndex
from memory_guild.search.vectors.pinecone import PineconeIndex
from memory_guild.search.vectors.qdrant import QdrantIndex
from memory_guild.search.vectors.weaviate import WeaviateIndex
from memory_guild.settings import PGVECTOR, checked_vector_index

__all__ = ["ChromaIndex", "MilvusIndex", "PineconeIndex", "QdrantIndex", "VectorIndex", "WeaviateIndex", "index_of"]

_KINDS: dict[str, Callable[[str], VectorIndex]] = {
    "qdrant": QdrantIndex,
    "chroma": ChromaIndex,
    "milvus": MilvusIndex,
    "weaviate": WeaviateIndex,
    "pinecone": PineconeIndex,
}


def index_of(name: str) -> VectorIndex | None:
    """The index of a name, or None for ``pgvector``. It connects with the first call, not yet.

    Args:
        name: ``pgvector``, ``qdrant:URL``, ``qdrant:FOLDER``, ``qdrant::memory:``, ``chroma:URL``, ``chroma:FOLDER``,
            ``milvus:URL``, ``milvus:FILE.db``, ``weaviate:URL`` or ``pinecone:INDEX-NAME``.

    Raises:
        SettingsError: The name is none of these, the extra is not installed, or the client lacks a setting of its own.
    """
    kind, _, store = checked_vector_index(name).partition(":")
    return None if kind == PGVECTOR else _KINDS[kind](store)
