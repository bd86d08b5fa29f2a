"""A model is loaded once, whoever asks first."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from memory_guild.search.embedders.loading import Once


def test_threads_that_ask_at_once_load_once() -> None:
    loads: list[object] = []

    def load() -> object:
        loads.append(object())
        time.sleep(0.05)
        return loads[-1]

    once = Once(load)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: once(), range(64)))

    assert len(loads) == 1
    assert set(found) == set(loads)


def test_what_failed_is_tried_again() -> None:
    answers = iter([OSError("no file yet"), "weights"])

    def load() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return str(answer)

    once = Once(load)
    with pytest.raises(OSError, match="no file yet"):
        once()
    assert once() == once() == "weights"


def test_nothing_is_something_that_was_loaded() -> None:
    loads: list[None] = []
    once = Once(lambda: loads.append(None))
    once()
    once()
    assert len(loads) == 1
