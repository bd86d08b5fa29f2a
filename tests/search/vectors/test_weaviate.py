"""Weaviate: its real client against a stub of the documented protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.weaviate import WeaviateIndex
from tests.search.vectors import weaviate_stub
from tests.search.vectors.properties import PAGE, IndexProperties


@pytest.fixture(scope="module")
def server() -> Iterator[weaviate_stub.Weaviate]:
    with weaviate_stub.serving() as stub:
        yield stub


@pytest.fixture
def stub(server: weaviate_stub.Weaviate) -> weaviate_stub.Weaviate:
    """The stub, with nothing in it."""
    server.collections.clear()
    server.tenants.clear()
    server.keys.clear()
    return server


class TestAgainstAStubOfTheDocumentedProtocol(IndexProperties):
    @pytest.fixture
    async def index(self, stub: weaviate_stub.Weaviate) -> AsyncIterator[VectorIndex]:
        index = WeaviateIndex(stub.url, page_size=PAGE, grpc_port=stub.grpc_port)
        yield index
        await index.close()
