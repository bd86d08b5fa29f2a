"""Pinecone: its real client against a stub of the documented protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.pinecone import PineconeIndex
from tests.search.vectors import pinecone_stub
from tests.search.vectors.properties import PAGE, IndexProperties


@pytest.fixture(scope="module")
def server() -> Iterator[pinecone_stub.Pinecone]:
    with pinecone_stub.serving() as stub:
        yield stub


@pytest.fixture
def stub(server: pinecone_stub.Pinecone, monkeypatch: pytest.MonkeyPatch) -> pinecone_stub.Pinecone:
    """The stub, with nothing in it."""
    server.indexes.clear()
    server.keys.clear()
    monkeypatch.setenv("PINECONE_API_KEY", "the-secret")
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
    return server


class TestAgainstAStubOfTheDocumentedProtocol(IndexProperties):
    @pytest.fixture
    async def index(self, stub: pinecone_stub.Pinecone) -> AsyncIterator[VectorIndex]:
        index = PineconeIndex("mg", page_size=PAGE)
        yield index
        await index.close()
