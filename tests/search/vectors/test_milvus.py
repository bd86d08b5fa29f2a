"""Milvus: the real library, in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memory_guild.protocols import VectorIndex
from tests.search.vectors.properties import PAGE, IndexProperties

pytest.importorskip("milvus_lite")

from memory_guild.search.vectors.milvus import MilvusIndex

# Where several calls begin a collection at once, the library leaves its log of changes to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO.*wal_data:pytest.PytestUnraisableExceptionWarning"
)


class TestInAFile(IndexProperties):
    @pytest.fixture
    async def index(self, tmp_path: Path) -> AsyncIterator[VectorIndex]:
        index = MilvusIndex(str(tmp_path / "vectors.db"), page_size=PAGE)
        yield index
        await index.close()
