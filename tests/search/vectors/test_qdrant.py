"""Qdrant: the real library, in memory and in a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.qdrant import QdrantIndex
from tests.search.vectors.properties import MODEL, PAGE, IndexProperties, entries, found, listed, memory


class TestInMemory(IndexProperties):
    @pytest.fixture
    async def index(self) -> AsyncIterator[VectorIndex]:
        index = QdrantIndex(":memory:", page_size=PAGE)
        yield index
        await index.close()


async def test_a_folder_keeps_the_vectors(tmp_path: Path) -> None:
    index = QdrantIndex(str(tmp_path))
    await index.upsert("acme", MODEL, [memory(1), memory(2)])
    await index.close()
    index = QdrantIndex(str(tmp_path))

    assert await listed(index, "acme") == entries(memory(1), memory(2))
    assert await found(index, "acme") == {1, 2}
    await index.close()
