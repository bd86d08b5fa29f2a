"""Weaviate: its real client against a stub of the documented protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
import pytest

from memory_guild.errors import VectorIndexError
from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors.weaviate import WeaviateIndex
from tests.search.vectors import weaviate_stub
from tests.search.vectors.properties import MODEL, PAGE, IndexProperties, memory


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


@pytest.mark.parametrize("key", ["the-secret", None])
async def test_the_key_is_sent_by_http_and_grpc(
    stub: weaviate_stub.Weaviate, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key:
        monkeypatch.setenv("WEAVIATE_API_KEY", key)
    else:
        monkeypatch.delenv("WEAVIATE_API_KEY", raising=False)
    index = WeaviateIndex(stub.url, grpc_port=stub.grpc_port)
    await index.upsert("acme", MODEL, [memory(1)])
    await index.close()

    assert stub.keys == {f"Bearer {key}" if key else None}


async def test_a_client_of_the_callers_is_used_and_not_closed(stub: weaviate_stub.Weaviate) -> None:
    import weaviate

    async with weaviate.use_async_with_local(
        port=stub.server_port, grpc_port=stub.grpc_port, skip_init_checks=True
    ) as client:
        index = WeaviateIndex(client, name="weaviate:mine")
        await index.upsert("acme", MODEL, [memory(1)])
        await index.close()

        assert await client.collections.list_all()
    assert index.name == "weaviate:mine"


@pytest.mark.parametrize(
    ("code", "is_in_doubt"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.INTERNAL, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, True),
    ],
)
async def test_a_failure_of_the_write_itself(
    stub: weaviate_stub.Weaviate, code: grpc.StatusCode, is_in_doubt: bool
) -> None:
    index = WeaviateIndex(stub.url, grpc_port=stub.grpc_port)
    stub.grpc_fault = lambda method: code if method == "BatchObjects" else None
    try:
        with pytest.raises(VectorIndexError) as caught:
            await index.upsert("acme", MODEL, [memory(1)])
    finally:
        stub.grpc_fault = lambda method: None
        await index.close()

    assert caught.value.is_in_doubt is is_in_doubt
    assert not any(part in str(caught.value) for part in ("[0.1", "secret"))
