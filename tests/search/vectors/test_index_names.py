"""Vector indexes by name: what each needs, and what is said where it is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from memory_guild.errors import SettingsError
from memory_guild.protocols import VectorIndex
from memory_guild.search.vectors import index_of
from memory_guild.search.vectors.calls import without_secrets
from memory_guild.search.vectors.stored import collection_of, key_of, prefix_of_collections

NAMES = {
    "qdrant": ["qdrant:http://localhost:6333", "qdrant:/var/lib/vectors", "qdrant:vectors", "qdrant::memory:"],
    "chroma": ["chroma:https://chroma.example", "chroma:/var/lib/vectors"],
    "milvus": ["milvus:http://localhost:19530", "milvus:/var/lib/vectors.db"],
    "weaviate": ["weaviate:http://localhost:8080"],
    "pinecone": ["pinecone:memories"],
}
PACKAGES = {
    "qdrant": "qdrant_client",
    "chroma": "chromadb",
    "milvus": "pymilvus",
    "weaviate": "weaviate",
    "pinecone": "pinecone",
}


def test_pgvector_is_no_index_outside() -> None:
    assert index_of("pgvector") is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "none",
        "qdrant",
        "qdrant:",
        "qdrant::disk:",
        "qdrant:ftp://localhost",
        "qdrant:http://",
        "qdrant:http://localhost?api_key=secret",
        "chroma:",
        "milvus:/var/lib/vectors",
        "weaviate:localhost",
        "pinecone:Memories",
        "pinecone:-",
        "pinecone:" + "x" * 40,
        "qdrant:/a\nb",
        "faiss:/a",
        None,
        b"pgvector",
    ],
)
def test_an_unknown_name_is_refused(name: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        index_of(name)

    assert caught.value.setting == "MEMORY_GUILD_VECTOR_INDEX"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("extra", "name"), [(extra, name) for extra, names in NAMES.items() for name in names])
def test_a_missing_extra_is_named(extra: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[extra], None)

    with pytest.raises(SettingsError) as caught:
        index_of(name)

    assert str(caught.value) == (
        f"MEMORY_GUILD_VECTOR_INDEX: {extra} is not installed: run `pip install 'memory-guild[{extra}]'`, or choose"
        " another one"
    )


def test_the_package_for_a_file_of_milvus_is_part_of_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", sys)
    monkeypatch.setitem(sys.modules, "milvus_lite", None)

    with pytest.raises(SettingsError, match=r"memory-guild\[milvus\]"):
        index_of("milvus:vectors.db")


@pytest.mark.parametrize(("extra", "name"), [(extra, name) for extra, names in NAMES.items() for name in names])
def test_a_name_is_kept(extra: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(
        find_spec(package) is None for package in (PACKAGES[extra], *(["milvus_lite"] if extra == "milvus" else []))
    ):
        pytest.skip(f"the extra {extra} is not installed")
    monkeypatch.setenv("PINECONE_API_KEY", "secret")

    index = index_of(name)

    assert isinstance(index, VectorIndex)
    assert index.name == name


def test_pinecone_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("pinecone") is None:
        pytest.skip("the extra pinecone is not installed")
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)

    with pytest.raises(SettingsError, match=r"^PINECONE_API_KEY: is missing"):
        index_of("pinecone:memories")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://localhost:6333", "http://localhost:6333"),
        ("http://user:secret@localhost:6333/part", "http://localhost:6333/part"),
        ("http://user:sec@ret@localhost", "http://localhost"),
        ("https://secret@localhost", "https://localhost"),
        ("https://[::1]:1?secret=1#secret", "https://[::1]:1"),
        ("/var/lib/a@b?c", "/var/lib/a@b?c"),
    ],
)
def test_an_address_is_shown_without_secrets(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


def test_models_have_collections_of_their_own() -> None:
    models = ["a", "A", "a b", "a_b", "a-b", "", "é", "e\u0301", "x" * 100, "x" * 99, "openai:m?dimensions=3", "🦉"]

    names = {collection_of(model, dimensions) for model in models for dimensions in (3, 30, 303)}

    assert len(names) == 3 * len(models)
    for name in names:
        assert name.isascii()
        assert name.isidentifier()  # what the strictest of the stores takes
        assert len(name) < 100
        assert sum(name.startswith(prefix_of_collections(model)) for model in models) == 1


def test_keys_differ_for_texts_that_look_alike() -> None:
    texts = ["acme", "Acme", " acme", "acme ", "e\u0301", "é", ""]

    assert len({key_of(text) for text in texts}) == len(texts)


HEAVY = """
import sys
from memory_guild.search.vectors import index_of
index_of("pgvector")
found = {"chromadb", "grpc", "httpx", "pinecone", "pymilvus", "qdrant_client", "weaviate"} & set(sys.modules)
assert not found, found
"""


def test_no_library_is_imported_before_it_is_needed() -> None:
    run = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=False, timeout=60)

    assert (run.stderr, run.returncode) == ("", 0)
