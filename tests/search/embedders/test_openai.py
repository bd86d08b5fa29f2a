"""The adapter of OpenAI's protocol, with OpenAI's client, on a local stand-in for the endpoint."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from memory_guild.errors import EmbedderError, EmbedderUnavailableError, SettingsError
from memory_guild.search.embedders import embedder_of, openai
from memory_guild.search.embedders.openai import OpenAIEmbedder
from tests.search.embedders.endpoint import Endpoint, serving
from tests.search.embedders.properties import check_embedder, likeness

pytestmark = pytest.mark.long

SECRET = "the secret of the door"


@pytest.fixture(autouse=True)
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name in ("OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        monkeypatch.setenv("OPENAI_API_KEY", "key-123")
        yield endpoint


async def test_it_is_an_embedder_that_calls_over_the_network(endpoint: Endpoint) -> None:
    embedder = embedder_of("openai:nomic-embed-text:v1.5")

    assert embedder is not None
    assert not embedder.is_local
    assert embedder.model == "openai:nomic-embed-text:v1.5"
    await embedder.embed_query("The door is red.")
    await check_embedder(embedder)
    assert {request["model"] for request in endpoint.requests} == {"nomic-embed-text:v1.5"}
    assert set(endpoint.keys) == {"Bearer key-123"}
    assert not any("dimensions" in request for request in endpoint.requests)


async def test_vectors_come_in_the_order_of_the_texts() -> None:
    embedder = OpenAIEmbedder("nomic-embed-text")
    texts = [f"door {number}" for number in range(300)]

    vectors = await embedder.embed(texts)

    for text, vector in zip(texts[::50], vectors[::50], strict=True):
        assert likeness(vector, await embedder.embed_query(text)) == pytest.approx(1)
    assert len({tuple(vector) for vector in vectors}) > 1


async def test_texts_are_sent_in_requests_that_openai_takes(endpoint: Endpoint) -> None:
    embedder = OpenAIEmbedder("nomic-embed-text")

    await embedder.embed(["short"] * 300 + ["ü" * 100_000] * 70 + ["a" + "漢" * 100_000])

    assert [len(request["input"]) for request in endpoint.requests] == [128, 128, 75, 31, 9]
    assert endpoint.requests[-1]["input"][-1] == "a" + "漢" * 2_666


async def test_an_endpoint_that_takes_fewer_texts_gets_fewer(endpoint: Endpoint) -> None:
    endpoint.max_texts = 10

    assert len(await OpenAIEmbedder("bge-small").embed([f"door {number}" for number in range(50)])) == 50
    assert max(len(request["input"]) for request in endpoint.requests) == 50


async def test_dimensions_are_known_asked_for_or_learned(endpoint: Endpoint) -> None:
    assert OpenAIEmbedder("text-embedding-3-large").dimensions == 3072
    shorter = OpenAIEmbedder("text-embedding-3-large?dimensions=4")
    assert (shorter.model, shorter.dimensions) == ("openai:text-embedding-3-large?dimensions=4", 4)
    assert len(await shorter.embed_query("The door is red.")) == 4
    assert (endpoint.requests[-1]["model"], endpoint.requests[-1]["dimensions"]) == ("text-embedding-3-large", 4)
    learned = OpenAIEmbedder("bge-m3")
    with pytest.raises(EmbedderError, match=r"^openai:bge-m3: its number of dimensions is not known before"):
        _ = learned.dimensions
    await learned.embed_query("The door is red.")
    assert learned.dimensions == 8


async def test_another_number_of_dimensions_is_refused(endpoint: Endpoint) -> None:
    embedder = OpenAIEmbedder("bge-m3")
    await embedder.embed_query(SECRET)
    endpoint.dimensions = 16

    with pytest.raises(EmbedderError, match="vectors of 16 numbers instead of 8; check that it has this model"):
        await embedder.embed_query(SECRET)


async def test_many_tasks_share_their_connections(endpoint: Endpoint) -> None:
    embedder = OpenAIEmbedder("bge-m3")

    for _ in range(20):
        await embedder.embed_query("The door is red.")
    assert endpoint.connections == 1
    vectors = await asyncio.gather(*(embedder.embed_query("The door is red.") for _ in range(50)))
    assert all(vector == vectors[0] for vector in vectors)


def test_one_embedder_serves_one_event_loop_after_the_other(endpoint: Endpoint) -> None:
    embedder = OpenAIEmbedder("bge-m3")

    for _ in range(3):
        asyncio.run(embedder.embed(["The door is red."]))
        gc.collect()  # a connection that was left open would warn, and a warning is an error here
    assert endpoint.connections == 3
    assert len([loop for loop, _ in openai._clients if not loop.is_closed()]) == 0
    assert len(openai._clients) == 1


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, EmbedderError, "the endpoint refused a text; it may be too long for this model (HTTP 400)"),
        (401, EmbedderError, "the endpoint refused the key; check OPENAI_API_KEY (HTTP 401)"),
        (403, EmbedderError, "the key may not use this model; check OPENAI_API_KEY and the account (HTTP 403)"),
        (
            404,
            EmbedderError,
            "the endpoint has no such model; check its name, and OPENAI_BASE_URL, which often ends with /v1 (HTTP 404)",
        ),
        (413, EmbedderError, "the endpoint refused a text; it may be too long for this model (HTTP 413)"),
        (418, EmbedderError, "the endpoint failed; its log says why, and it may do better later (HTTP 418)"),
        (422, EmbedderError, "the endpoint refused a text; it may be too long for this model (HTTP 422)"),
        (
            429,
            EmbedderUnavailableError,
            "too many requests, or the quota is used up; wait, or check the account (HTTP 429)",
        ),
        (500, EmbedderUnavailableError, "the endpoint failed; its log says why, and it may do better later (HTTP 500)"),
        (503, EmbedderUnavailableError, "the endpoint failed; its log says why, and it may do better later (HTTP 503)"),
    ],
)
async def test_a_refusal_says_what_to_do_and_quotes_no_text(
    status: int, kind: type[EmbedderError], reason: str, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda body: (status, {"error": {"message": f"cannot embed {body['input']}"}})

    with pytest.raises(EmbedderError) as caught:
        await OpenAIEmbedder("bge-m3").embed([SECRET, SECRET])

    assert type(caught.value) is kind
    assert (caught.value.model, caught.value.reason) == ("openai:bge-m3", reason)
    assert str(caught.value) == f"openai:bge-m3: {reason}"
    assert caught.value.retryable == (kind is EmbedderUnavailableError)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_refusal_names_the_dimensions_that_were_asked_for(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body: (400, {})

    with pytest.raises(EmbedderError, match=r"too long for this model, or the model cannot make 64 dimensions \(HTTP"):
        await OpenAIEmbedder("bge-m3?dimensions=64").embed_query(SECRET)


def answer_of(*vectors: Any) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]}


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Welcome to the door</html>",
        b'{"data": [',
        b"[]",
        {},
        {"data": None},
        {"data": []},
        {"data": [{"index": 0}]},
        {"data": [{"index": "0", "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]},
        answer_of(None),
        answer_of("AACAPwAAAEA="),
        answer_of(["1.0"]),
        answer_of([]),
        answer_of([0.0, 0.0]),
        answer_of([1.0, None]),
        b'{"data": [{"index": 0, "embedding": [NaN, 1.0]}]}',
        b'{"data": [{"index": 0, "embedding": [1e999, 1.0]}]}',
        answer_of([1.0], [1.0]),
    ],
    ids=lambda answer: repr(answer)[:40],
)
async def test_an_answer_without_a_vector_for_each_text_is_refused(answer: Any, endpoint: Endpoint) -> None:
    endpoint.answer = lambda body: (200, answer)

    with pytest.raises(EmbedderError) as caught:
        await OpenAIEmbedder("bge-m3").embed([SECRET])

    assert type(caught.value) is EmbedderError
    assert str(caught.value) == (
        "openai:bge-m3: the endpoint answered something else than one vector for each text; check that OPENAI_BASE_URL"
        " is that of an OpenAI-compatible endpoint, and that the model is one for embeddings"
    )
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_vectors_of_several_lengths_are_refused(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body: (200, answer_of([1.0], [1.0, 2.0]))

    with pytest.raises(EmbedderError, match="something else than one vector for each text"):
        await OpenAIEmbedder("bge-m3").embed(["a", "b"])


async def test_an_answer_without_positions_is_in_order(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body: (
        200,
        {"data": [{"embedding": [3.0, 4.0]}, {"index": None, "embedding": [0.0, 2.0]}]},
    )

    assert await OpenAIEmbedder("bge-m3").embed(["a", "b"]) == [[0.6, 0.8], [0.0, 1.0]]


async def test_an_endpoint_that_hangs_up_is_unavailable(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body: (0, None)

    with pytest.raises(EmbedderUnavailableError) as caught:
        await OpenAIEmbedder("bge-m3").embed([SECRET])

    assert str(caught.value) == (
        "openai:bge-m3: the endpoint does not answer; check OPENAI_BASE_URL and the network, and try again"
    )
    assert caught.value.retryable
    assert len(endpoint.requests) == 3, "the client tries again"


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:1/v1", "http://127.0.0.1:99999/v1"])
async def test_an_address_where_nobody_is_is_an_error_of_ours(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)

    with pytest.raises(EmbedderError, match="OPENAI_BASE_URL"):
        await OpenAIEmbedder("bge-m3").embed([SECRET])


def test_a_missing_key_is_named_before_the_first_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")

    with pytest.raises(SettingsError) as caught:
        embedder_of("openai:text-embedding-3-small")

    assert str(caught.value) == (
        "OPENAI_API_KEY: is missing; set it to the endpoint's key, or to any text if the endpoint that OPENAI_BASE_URL"
        " names needs none"
    )
