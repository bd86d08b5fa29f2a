"""What indexes raise when their stores refuse, fail, hang up or do not answer: real clients, a faulty server."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from memory_guild.errors import VectorIndexError
from memory_guild.protocols import IndexedVector, IndexFilters, VectorIndex
from memory_guild.search.vectors import ChromaIndex, MilvusIndex, PineconeIndex, QdrantIndex, WeaviateIndex
from memory_guild.search.vectors.calls import without_secrets
from tests.search.vectors.faults import HANG_UP, SILENCE, answering
from tests.search.vectors.properties import MODEL, memory

OF_HTTP = ["qdrant", "chroma", "weaviate", "pinecone"]
ALL = [*OF_HTTP, "milvus"]
PACKAGES = {"chroma": "chromadb", "milvus": "pymilvus"}
MAKE: dict[str, Callable[[str], VectorIndex]] = {
    "qdrant": lambda url: QdrantIndex(url, timeout_seconds=20),
    "chroma": lambda url: ChromaIndex(url, timeout_seconds=20),
    "milvus": lambda url: MilvusIndex(url, timeout_seconds=20),
    "weaviate": lambda url: WeaviateIndex(url, timeout_seconds=20),
    "pinecone": lambda url: PineconeIndex("mg", timeout_seconds=20),
}
SECRETS = {
    "qdrant": "QDRANT_API_KEY",
    "chroma": "CHROMA_CLIENT_AUTH_CREDENTIALS",
    "milvus": "MILVUS_TOKEN",
    "weaviate": "WEAVIATE_API_KEY",
    "pinecone": "PINECONE_API_KEY",
}
SECRET = "xyzzy"


@pytest.fixture(params=ALL)
def any_store(request: pytest.FixtureRequest) -> str:
    """A store, if its client is installed."""
    pytest.importorskip(PACKAGES.get(request.param, "qdrant_client"))
    return str(request.param)


@pytest.fixture(params=OF_HTTP)
def store(request: pytest.FixtureRequest) -> str:
    """One that is called by HTTP, at least at first."""
    pytest.importorskip(PACKAGES.get(request.param, "qdrant_client"))
    return str(request.param)


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in SECRETS.values():
        monkeypatch.setenv(variable, SECRET)
    monkeypatch.setenv("CHROMA_CLIENT_AUTH_PROVIDER", "chromadb.auth.token_authn.TokenAuthClientProvider")


pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


@asynccontextmanager
async def index_at(store: str, url: str) -> AsyncIterator[VectorIndex]:
    """An index of a store at an address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINECONE_CONTROLLER_HOST", without_secrets(url))
        index = MAKE[store](url)
        yield index
        await index.close()


async def failures_of(index: VectorIndex) -> list[VectorIndexError]:
    """What each call raises."""
    vector = memory(1)
    failures = []
    for call in (
        index.upsert("acme", MODEL, [vector]),
        index.delete("acme", MODEL, [vector.memory_id]),
        index.delete_tenant("acme"),
        index.search("acme", MODEL, vector.vector, limit=3, filters=IndexFilters()),
        index.count("acme", MODEL),
        anext(index.list("acme", MODEL)),
    ):
        with pytest.raises(VectorIndexError) as caught:
            await call
        failures.append(caught.value)
    return failures


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def nowhere() -> str:
    """The address of a server that is down."""
    return f"http://127.0.0.1:{free_port()}"


async def test_a_store_that_is_down_did_nothing_for_certain(any_store: str, nowhere: str) -> None:
    async with index_at(any_store, nowhere) as index:
        failures = await failures_of(index)

    assert [failure.is_in_doubt for failure in failures] == [False] * 6
    assert {failure.reason for failure in failures} == {
        "the store cannot be reached; check its address and the network"
    }
    assert {failure.index for failure in failures} == {index.name}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429])
async def test_a_refusal_is_certain(store: str, status: int) -> None:
    with answering(status) as server:
        async with index_at(store, server.url) as index:
            failure = await failure_of_upsert(index)

    assert not failure.is_in_doubt
    assert f"(HTTP {status})" in failure.reason


@pytest.mark.parametrize("status", [500, 502, 503, HANG_UP])
async def test_a_failure_leaves_doubt(store: str, status: int) -> None:
    with answering(status) as server:
        async with index_at(store, server.url) as index:
            failure = await failure_of_upsert(index)

    assert failure.is_in_doubt


async def test_a_store_that_does_not_answer_leaves_doubt(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(SILENCE) as server:
        async with index_at(store, server.url) as index:
            index._calls.timeout_seconds = 0.2  # type: ignore[attr-defined]
            failure = await failure_of_upsert(index)

    assert failure.is_in_doubt
    assert failure.reason == "the store did not answer in time"


@pytest.mark.parametrize("status", [400, 503])
async def test_no_error_and_no_log_has_a_key_a_vector_or_what_the_store_said(
    store: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with answering(status) as server:
        async with index_at(store, server.url.replace("://", f"://user:{SECRET}@")) as index:
            failures = await failures_of(index)

    if store != "chroma":  # the first request to Chroma is without a key
        assert SECRET in str([sorted(each.values()) for each in server.headers])
    for text in (index.name, caplog.text, *map(str, failures), *map(repr, failures)):
        assert not any(part in text for part in (SECRET, "user", "[0.1", "launch", "acme"))
    assert {failure.__cause__ for failure in failures} == {None}
    assert {failure.__suppress_context__ for failure in failures} == {True}


async def test_a_part_that_is_done_leaves_doubt_where_the_rest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    index = QdrantIndex(":memory:")
    long: IndexedVector = memory(2, vector=[1.0] + [0.0] * 8)
    client = index._client()
    upsert = client.upsert

    async def refuse_the_second(collection: str, points: object, **options: object) -> None:
        if collection.endswith("_9"):
            raise ConnectionRefusedError
        await upsert(collection, points, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "upsert", refuse_the_second)

    with pytest.raises(VectorIndexError) as caught:
        await index.upsert("acme", MODEL, [memory(1), long])
    assert caught.value.is_in_doubt
    with pytest.raises(VectorIndexError) as caught:
        await index.upsert("acme", MODEL, [long])
    assert not caught.value.is_in_doubt
    assert await index.count("acme", MODEL) == 1
    await index.close()


async def failure_of_upsert(index: VectorIndex) -> VectorIndexError:
    """What an upsert raises."""
    with pytest.raises(VectorIndexError) as caught:
        await index.upsert("acme", MODEL, [memory(1)])
    return caught.value
