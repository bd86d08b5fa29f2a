"""Python's own documentation as a corpus: several thousand memories that refer to each other."""

from memory_guild.demo.corpus import (
    QUESTIONS,
    TENANT_ID,
    Answer,
    Corpus,
    Step,
    StoredCorpus,
    ask,
    is_stored,
    read,
    remove,
    store,
    walk,
)
from memory_guild.demo.passages import Library, Passage, library, topics
from memory_guild.demo.references import Reference, find_references

__all__ = [
    "QUESTIONS",
    "TENANT_ID",
    "Answer",
    "Corpus",
    "Library",
    "Passage",
    "Reference",
    "Step",
    "StoredCorpus",
    "ask",
    "find_references",
    "is_stored",
    "library",
    "read",
    "remove",
    "store",
    "topics",
    "walk",
]
