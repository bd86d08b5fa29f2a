"""Python's own documentation as a corpus: several thousand memories that refer to each other."""

from memory_guild.demo.corpus import TENANT_ID, Corpus, Step, StoredCorpus, is_stored, read, remove, store, walk
from memory_guild.demo.passages import Library, Passage, library, topics
from memory_guild.demo.references import Reference, find_references

__all__ = [
    "TENANT_ID",
    "Corpus",
    "Library",
    "Passage",
    "Reference",
    "Step",
    "StoredCorpus",
    "find_references",
    "is_stored",
    "library",
    "read",
    "remove",
    "store",
    "topics",
    "walk",
]
