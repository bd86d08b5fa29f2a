"""Chroma: the real library, in a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memory_guild.protocols import VectorIndex
from tests.search.vectors.properties import PAGE, IndexProperties

pytest.importorskip("chromadb")

from memory_guild.search.vectors.chroma import ChromaIndex


class TestInAFolder(IndexProperties):
    @pytest.fixture
    async def index(self, tmp_path: Path) -> AsyncIterator[VectorIndex]:
        index = ChromaIndex(str(tmp_path), page_size=PAGE)
        yield index
        await index.close()
