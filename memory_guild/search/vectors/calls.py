"""Calls of a store's client: each has a time limit, and whatever it raises becomes a ``VectorIndexError``.

What clients say may quote a vector, a tenant or a key, so our errors do not repeat it, and are not chained.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from urllib.parse import urlsplit, urlunsplit

from memory_guild.errors import VectorIndexError

_REFUSALS = {
    401: "the store refused the key; check it",
    403: "the store refused the key, or it may not do this; check it",
    404: "the store has nothing of this name, or nothing at this address; check the address",
    413: "the store refused the request as too large",
    429: "the store has too many requests; wait, or check the account",
    504: "the store did not answer in time",
}
_NOT_CONNECTED = {"httpx.ConnectError", "httpx.ConnectTimeout", "httpx.PoolTimeout"}


class Calls:
    """The calls of one index.

    Attributes:
        name: The index's name.
        timeout_seconds: How long a request may take.
    """

    def __init__(
        self,
        name: str,
        library: str,
        timeout_seconds: float,
        status_of: Callable[[BaseException], int | None] | None = None,
    ) -> None:
        """The calls of an index.

        Args:
            name: The index's name.
            library: What has to be imported before the first request, which may take seconds.
            timeout_seconds: How long a request may take.
            status_of: The HTTP status that an exception of the client stands for, or None; ``NOT_SENT`` if it says
                that there was no connection. By default its ``status_code``.
        """
        self.name = name
        self.timeout_seconds = timeout_seconds
        self._library = library
        self._status_of = status_of or status_code_of

    @asynccontextmanager
    async def request(self, *, is_first: bool = True, timeout_seconds: float | None = None) -> AsyncIterator[None]:
        """Around one request, or several of which the last one writes.

        Args:
            is_first: Whether nothing was written before by the same call of the index. If something was, a refusal
                leaves a part of the call carried out.
            timeout_seconds: The time limit, if it is not the usual one.

        Raises:
            VectorIndexError: It failed, or took too long.
        """
        if self._library not in sys.modules:
            await asyncio.to_thread(import_module, self._library)
        try:
            async with asyncio.timeout(timeout_seconds or self.timeout_seconds):
                yield
        except Exception as error:
            reason, is_in_doubt = self._what_happened(error)
            raise VectorIndexError(self.name, reason, is_in_doubt=is_in_doubt or not is_first) from None

    def _what_happened(self, error: Exception) -> tuple[str, bool]:
        chain = list(_chain(error))
        statuses = [found for each in chain if (found := self._status_of(each)) is not None]
        status = max(statuses, default=None)  # an attempt that may have been carried out counts more than a later one
        if status == NOT_SENT or (status is None and any(_is_not_connected(each) for each in chain)):
            return "the store cannot be reached; check its address and the network", False
        if status is not None:
            refusal = "the store refused the request" if status < 500 else "the store failed; its log says why"
            return f"{_REFUSALS.get(status, refusal)} (HTTP {status})", status == 408 or status >= 500
        if any(isinstance(each, TimeoutError) or "Timeout" in type(each).__name__ for each in chain):
            return "the store did not answer in time", True
        return f"the call failed ({type(error).__name__})", True


NOT_SENT = 0
"""In the place of a status: there was no connection, so the request was not sent."""


def status_code_of(error: BaseException) -> int | None:
    """The attribute ``status_code`` of an exception, or of the response that it has."""
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def without_secrets(address: str) -> str:
    """A URL without user, password, query and fragment; a path as it is."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it came from; qdrant-client calls the one below ``source``."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        below = getattr(found, "source", None)
        found = below if isinstance(below, BaseException) else found.__cause__ or found.__context__


def _is_not_connected(error: BaseException) -> bool:
    kind = type(error)
    return isinstance(error, (ConnectionRefusedError, socket.gaierror)) or (
        f"{kind.__module__}.{kind.__qualname__}" in _NOT_CONNECTED
    )
