"""Qdrant: the real library, in memory and in a folder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import AsyncQdrantClient

from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.qdrant import QdrantIndex
from memory_guild.search.vectors.stored import collection_of
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


async def test_a_client_of_the_callers_is_used_and_not_closed() -> None:
    client = AsyncQdrantClient(":memory:")
    index = QdrantIndex(client, name="qdrant:mine")
    await index.upsert("acme", MODEL, [memory(1)])
    await index.close()

    (collection,) = (await client.get_collections()).collections
    assert (await client.count(collection.name)).count == 1
    assert index.name == "qdrant:mine"
    await client.close()


async def test_what_is_sent_to_a_server_creates_the_index_for_tenants() -> None:
    """The requests themselves, because only a server has indexes: the documented protocol of Qdrant."""
    sent: list[tuple[str, str, Any]] = []

    async def answer(request: httpx.Request, send: Any) -> httpx.Response:
        sent.append((request.method, request.url.path, json.loads(request.content) if request.content else None))
        result: Any = {"operation_id": 1, "status": "completed"}
        if request.method == "GET":
            result = {"exists": False} if request.url.path.endswith("/exists") else {"collections": []}
        elif request.url.path.count("/") == 2:
            result = True
        return httpx.Response(200, json={"result": result, "status": "ok", "time": 0.0})

    client = AsyncQdrantClient("http://localhost:1", check_compatibility=False)
    client.http.client.add_middleware(answer)
    index = QdrantIndex(client)
    await index.upsert("acme", MODEL, [memory(1)])
    await index.delete("acme", MODEL, [memory(1).memory_id])
    await client.close()

    collection = collection_of(MODEL, 8)
    bodies = {path.removeprefix(f"/collections/{collection}"): body for method, path, body in sent if method == "PUT"}
    assert bodies[""]["vectors"] == {"size": 8, "distance": "Dot"}
    assert bodies[""]["hnsw_config"] == {"m": 0, "payload_m": 16}
    indexed = {body["field_name"]: body["field_schema"] for _, path, body in sent if path.endswith("/index")}
    assert indexed == {
        "tenant_id": {"type": "keyword", "is_tenant": True},
        "agent_id": {"type": "keyword"},
        "source_type": {"type": "keyword"},
        "created_at": {"type": "float"},
    }
    assert bodies["/points"]["points"][0]["payload"]["tenant_id"] == "acme"
