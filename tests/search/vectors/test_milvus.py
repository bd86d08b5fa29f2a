"""Milvus: the real library, in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memory_guild.protocols import VectorIndex
from tests.search.vectors.properties import PAGE, IndexProperties

pytest.importorskip("milvus_lite")

from memory_guild.search.vectors.milvus import MilvusIndex


class TestInAFile(IndexProperties):
    @pytest.fixture
    async def index(self, tmp_path: Path) -> AsyncIterator[VectorIndex]:
        index = MilvusIndex(str(tmp_path / "vectors.db"), page_size=PAGE)
        yield index
        await index.close()
