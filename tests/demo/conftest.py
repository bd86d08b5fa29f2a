"""The corpus as a whole, and a part of it."""

from __future__ import annotations

import pytest

from memory_guild import demo as python_docs

SLICE = ("_collections_abc", "asyncio", "builtins", "collections", "json", "queue", "tkinter", "unittest")
"""The modules of the part."""


@pytest.fixture(scope="session")
def corpus() -> python_docs.Corpus:
    return python_docs.read()


@pytest.fixture(scope="session")
def small() -> python_docs.Corpus:
    return python_docs.read(SLICE)
