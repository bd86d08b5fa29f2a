"""Milvus: the real library, in a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memory_guild.protocols import VectorIndex
from tests.search.vectors.properties import PAGE, IndexProperties, memory

pytest.importorskip("milvus_lite")

from pymilvus import MilvusClient

from memory_guild.search.vectors.milvus import MilvusIndex


class TestInAFile(IndexProperties):
    @pytest.fixture
    async def index(self, tmp_path: Path) -> AsyncIterator[VectorIndex]:
        index = MilvusIndex(str(tmp_path / "vectors.db"), page_size=PAGE)
        yield index
        await index.close()

    async def test_writes_to_a_file_are_made_one_after_the_other(
        self, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The library opens its log of changes with the first write: two at once would each begin it anew."""
        running = most = 0
        upsert = MilvusClient.upsert

        def counted(client: MilvusClient, *arguments: Any, **named: Any) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                time.sleep(0.02)
                return upsert(client, *arguments, **named)
            finally:
                running -= 1

        monkeypatch.setattr(MilvusClient, "upsert", counted)
        await asyncio.gather(*(index.upsert(f"tenant {number}", "model", [memory(number)]) for number in range(6)))
        assert most == 1
        assert [await index.count(f"tenant {number}", "model") for number in range(6)] == [1] * 6
