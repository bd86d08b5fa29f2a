"""Pinecone: its real client against a stub of the documented protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from memory_guild.errors import VectorIndexError
from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.pinecone import PineconeIndex
from tests.search.vectors import pinecone_stub
from tests.search.vectors.properties import MODEL, PAGE, IndexProperties, memory


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


async def test_the_key_is_the_clients(stub: pinecone_stub.Pinecone) -> None:
    index = PineconeIndex("mg")
    await index.upsert("acme", MODEL, [memory(1)])
    await index.close()

    assert stub.keys == {"the-secret"}
    assert index.name == "pinecone:mg"


async def test_indexes_are_named_after_the_dimensions_and_other_peoples_are_left_alone(
    stub: pinecone_stub.Pinecone,
) -> None:
    stub.indexes |= {"mg-production": (8, {}), "mg2-8": (8, {}), "mg": (8, {})}
    index = PineconeIndex("mg", cloud="gcp", region="europe-west4")
    await index.upsert("acme", MODEL, [memory(1), memory(2, vector=[1.0, 0.0])])
    await index.delete_tenant("acme")
    await index.close()

    assert set(stub.indexes) == {"mg-production", "mg2-8", "mg", "mg-8", "mg-2"}
    assert [stub.indexes[name][1] for name in ("mg-production", "mg2-8", "mg")] == [{}, {}, {}]


async def test_a_client_of_the_callers_is_used_and_not_closed(stub: pinecone_stub.Pinecone) -> None:
    from pinecone import AsyncPinecone

    async with AsyncPinecone(api_key="mine") as client:
        index = PineconeIndex(client, name="pinecone:mg")
        await index.upsert("acme", MODEL, [memory(1)])
        await index.close()

        assert [one.name async for one in client.indexes.list()] == ["mg-8"]
    assert stub.keys == {"mine"}


@pytest.mark.parametrize(("status", "is_in_doubt"), [(400, False), (429, False), (503, True), (0, True)])
async def test_a_failure_of_the_write_itself(stub: pinecone_stub.Pinecone, status: int, is_in_doubt: bool) -> None:
    index = PineconeIndex("mg")
    answer = status, {"message": "the vector [0.1]"}
    stub.fault = lambda path: answer if path.endswith("/vectors/upsert") else None
    try:
        with pytest.raises(VectorIndexError) as caught:
            await index.upsert("acme", MODEL, [memory(1)])
    finally:
        stub.fault = lambda path: None
        await index.close()

    assert caught.value.is_in_doubt is is_in_doubt
    assert "[0.1" not in str(caught.value)
