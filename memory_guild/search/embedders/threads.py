"""Models that compute on this machine do it in a thread, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

_BATCH = 64
"""So many texts a turn: between two, a task can be canceled, and others get the thread."""


async def in_thread(compute: Callable[[list[str]], list[list[float]]], texts: Sequence[str]) -> list[list[float]]:
    """What `compute` returns for the texts, in their order."""
    waiting, vectors = list(texts), []
    for start in range(0, len(waiting), _BATCH):
        vectors += await asyncio.to_thread(compute, waiting[start : start + _BATCH])
    return vectors
