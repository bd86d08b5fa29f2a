"""A model behind any endpoint that speaks OpenAI's protocol, through OpenAI's client (extra ``openai``).

``OPENAI_API_KEY`` and ``OPENAI_BASE_URL`` say which endpoint; the client reads them.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Iterator, Sequence
from math import hypot
from typing import TYPE_CHECKING

from memory_guild.errors import EmbedderError, EmbedderUnavailableError, SettingsError
from memory_guild.search.embedders.texts import readable
from memory_guild.search.extras import require_extra

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from openai.types import CreateEmbeddingResponse

_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
_MAX_TEXTS = 128
_MAX_TEXT_BYTES = 8_000
_MAX_REQUEST_BYTES = 250_000
"""OpenAI takes 2,048 texts, 8,192 tokens a text and 300,000 a request. A token has at least one byte.

Source: OpenAI's reference of ``POST /embeddings``.
"""
_TIMEOUT_SECONDS = 60.0  # an attempt; the client makes three, and would wait ten minutes for each

_REFUSALS = {
    401: "the endpoint refused the key; check OPENAI_API_KEY",
    403: "the key may not use this model; check OPENAI_API_KEY and the account",
    404: "the endpoint has no such model; check its name, and OPENAI_BASE_URL, which often ends with /v1",
    429: "too many requests, or the quota is used up; wait, or check the account",
}
_TEXTS_REFUSED = (400, 413, 422)


class OpenAIEmbedder:
    """A model by its name at the endpoint, with ``?dimensions=256`` behind it if its vectors are to be shorter.

    What a text says after its first 8,000 bytes does not count.
    """

    is_local = False

    def __init__(self, model: str) -> None:
        require_extra("MEMORY_GUILD_EMBEDDER", "openai", "openai")
        self.model = f"openai:{model}"
        self._name, _, dimensions = model.partition("?dimensions=")
        self._asked_dimensions = int(dimensions) if dimensions else None
        self._dimensions = self._asked_dimensions or _DIMENSIONS.get(self._name)
        _check_environment()

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has; of a model that is not OpenAI's it is known after the first text.

        Raises:
            EmbedderError: It is not known yet.
        """
        if self._dimensions is None:
            raise EmbedderError(
                self.model, "its number of dimensions is not known before its first vector; embed a text first"
            )
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of the texts; one request for each 128 texts or 250 kB.

        Raises:
            EmbedderError: The endpoint refused a request, or answered something else than vectors.
            EmbedderUnavailableError: It cannot be reached, or is overloaded; the same request may succeed later.
        """
        return [vector for batch in _batches(texts) for vector in await self._embed_batch(batch)]

    async def embed_query(self, text: str) -> list[float]:
        """The vector of the text, which is the same as that of a memory.

        Raises:
            EmbedderError: As :meth:`embed`.
        """
        return (await self.embed([text]))[0]

    async def _embed_batch(self, texts: list[str]) -> list[list[float]]:
        import openai

        try:
            answer = await (await _client()).embeddings.create(
                input=texts,
                model=self._name,
                dimensions=openai.omit if self._asked_dimensions is None else self._asked_dimensions,
                encoding_format="float",  # the client's default is not known to every endpoint
            )
        # An endpoint's message may quote a text, so ours does not repeat it, and the error is not chained.
        except openai.APIStatusError as error:
            if error.status_code in _TEXTS_REFUSED and len(texts) > 1:  # each endpoint has a limit of its own
                half = len(texts) // 2
                return await self._embed_batch(texts[:half]) + await self._embed_batch(texts[half:])
            raise self._refused(error) from None
        except openai.APIConnectionError:
            raise EmbedderUnavailableError(
                self.model, "the endpoint does not answer; check OPENAI_BASE_URL and the network, and try again"
            ) from None
        except Exception:  # such as no JSON, or a port that is none; what the client raises then is not documented
            raise self._unusable() from None
        return self._vectors_of(answer, len(texts))

    def _refused(self, error: APIStatusError) -> EmbedderError:
        status = error.status_code
        if status in _TEXTS_REFUSED:
            reason = "the endpoint refused a text; it may be too long for this model"
            if self._asked_dimensions is not None:
                reason += f", or the model cannot make {self._asked_dimensions} dimensions"
        else:
            reason = _REFUSALS.get(status, "the endpoint failed; its log says why, and it may do better later")
        kind = EmbedderUnavailableError if status in (408, 409, 429) or status >= 500 else EmbedderError
        return kind(self.model, f"{reason} (HTTP {status})")

    def _unusable(self) -> EmbedderError:
        return EmbedderError(
            self.model,
            "the endpoint answered something else than one vector for each text; check that OPENAI_BASE_URL is that of"
            " an OpenAI-compatible endpoint, and that the model is one for embeddings",
        )

    def _vectors_of(self, answer: CreateEmbeddingResponse, count: int) -> list[list[float]]:
        try:
            found = sorted(answer.data, key=lambda item: getattr(item, "index", None) or 0)
            vectors = [_of_length_one(item.embedding) for item in found]
        except (AttributeError, TypeError, ValueError):  # the client does not validate answers
            raise self._unusable() from None
        lengths = {len(vector) for vector in vectors}
        if len(vectors) != count or len(lengths) != 1:
            raise self._unusable()
        (length,) = lengths
        if self._dimensions is None:
            self._dimensions = length
        if length != self._dimensions:
            raise EmbedderError(
                self.model,
                f"the endpoint answered vectors of {length} numbers instead of {self._dimensions}; check that it has"
                " this model",
            )
        return vectors


_clients: dict[tuple[AbstractEventLoop, frozenset[tuple[str, str]]], tuple[AsyncOpenAI, AsyncGenerator[None]]] = {}
"""Those of each event loop, which all embedders share: a connection cannot be used in another loop."""


async def _client() -> AsyncOpenAI:
    import openai

    loop = asyncio.get_running_loop()
    key = loop, frozenset(variable for variable in os.environ.items() if variable[0].startswith("OPENAI_"))
    if key not in _clients:
        for ended in [other for other in tuple(_clients) if other[0].is_closed()]:
            _clients.pop(ended, None)
        client = openai.AsyncOpenAI(timeout=_TIMEOUT_SECONDS)
        closing = _closed_with_the_loop(client)
        _clients[key] = client, closing
        await anext(closing)
    return _clients[key][0]


async def _closed_with_the_loop(client: AsyncOpenAI) -> AsyncGenerator[None]:
    """Close the client when its event loop ends, as asyncio closes the generators that are still open then."""
    try:
        yield
    finally:
        await client.close()


def _check_environment() -> None:
    import openai

    try:
        openai.OpenAI().close()
    except openai.OpenAIError:
        raise SettingsError(
            "OPENAI_API_KEY",
            "is missing; set it to the endpoint's key, or to any text if the endpoint that OPENAI_BASE_URL names needs"
            " none",
        ) from None


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        cut = readable(text).encode()[:_MAX_TEXT_BYTES]
        if batch and (len(batch) == _MAX_TEXTS or size + len(cut) > _MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(cut.decode(errors="ignore"))  # a character that was cut in two
        size += len(cut)
    if batch:
        yield batch


def _of_length_one(vector: list[float]) -> list[float]:
    length = hypot(*vector)
    if not 0 < length < float("inf"):
        raise ValueError
    return [number / length for number in vector]
