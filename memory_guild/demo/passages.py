"""The texts of the corpus: the topics of ``help()``, and the docstrings of the standard library and the builtins."""

from __future__ import annotations

import builtins
import gc
import importlib
import inspect
import keyword
import pydoc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from memory_guild.demo.sources import library_modules, public_names

LANGUAGE = "language"
"""The agent and module of the topics."""

DOCSTRING_MIN_CHARACTERS = 20
"""Shorter docstrings, such as ``Return self.``, say nothing worth remembering."""

_COMPILED_MODULES = ("builtins", "collections", "functools", "io", "itertools", "math", "operator", "sys", "time")
# Much of them has no Python source. Importing them has no side effect.


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of the documentation and what it is about.

    Attributes:
        subject: Its public dotted name, such as ``asyncio.Queue``; for a topic, its name in ``help()``: ``with``.
        module: The part of the subject that is a module; ``language`` for a topic.
        kind: ``topic``, ``module``, ``class``, ``function`` or ``method``.
        text: What the documentation says.
        related: The related topics that ``help()`` lists below this one.
    """

    subject: str
    module: str
    kind: str
    text: str
    related: tuple[str, ...] = ()

    @property
    def agent_id(self) -> str:
        """The top-level module."""
        return self.module.partition(".")[0]


def topics() -> list[Passage]:
    """The topics of ``help()``, sorted by name; empty if Python was installed without them."""
    try:
        texts = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        return []
    subjects = {label: _topic_subject(label) for label in texts}
    passages = []
    for label, subject in subjects.items():
        named = dict.fromkeys(subjects.get(name, name) for name in map(_topic_label, _related(subject)))
        related = tuple(name for name in named if name != subject)
        text = texts[label].strip()
        if related:
            text += f"\n\nRelated help topics: {', '.join(related)}"
        passages.append(Passage(subject, LANGUAGE, "topic", text, related))
    return sorted(passages, key=lambda passage: passage.subject)


@dataclass(frozen=True, slots=True)
class Library:
    """The docstrings of the standard library.

    Attributes:
        passages: The docstrings of public names, sorted by subject.
        ambiguous: The names that several modules define at their top level, documented or not.
    """

    passages: list[Passage]
    ambiguous: frozenset[str]


def library(top_level_modules: Iterable[str] | None = None) -> Library:
    """Read the docstrings of the library's public names. Modules with a source file are not imported.

    Args:
        top_level_modules: The modules to read; by default the whole standard library.
    """
    wanted = None if top_level_modules is None else set(top_level_modules)
    with _garbage_collection_paused():
        modules = list(library_modules(wanted))
    names = public_names(modules)
    found: dict[str, Passage] = {}
    for module in modules:
        for documentation in module.documentation:
            public = names.public(module.name, documentation.name)
            if public is not None:
                passage = Passage(public.subject, public.module, documentation.kind, documentation.text)
                found.setdefault(passage.subject, passage)
    for name in _COMPILED_MODULES:
        if wanted is None or name in wanted:
            for passage in _compiled(importlib.import_module(name)):
                found.setdefault(passage.subject, passage)
    long_enough = (passage for passage in found.values() if len(passage.text) >= DOCSTRING_MIN_CHARACTERS)
    defined = Counter(name for module in modules for name in set(module.definitions))
    return Library(
        sorted(long_enough, key=lambda passage: passage.subject),
        frozenset(name for name, count in defined.items() if count > 1),
    )


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Syntax trees are many objects without cycles; the garbage collector would take a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _topic_subject(label: str) -> str:
    """The name of the topic in ``help()``: a keyword, or a word in capitals."""
    for names in (pydoc.Helper.keywords, pydoc.Helper.topics):
        for name, target in names.items():
            if isinstance(target, tuple) and target[0] == label:
                return name
    return label.upper()


def _topic_label(name: str) -> str:
    """The key of the topic's text. A name that is not a topic (``inspect``, ``range``) is returned unchanged."""
    target = pydoc.Helper.topics.get(name) or pydoc.Helper.keywords.get(name) or name
    if isinstance(target, tuple):
        return target[0]
    return name if target == name or name in target.split() else _topic_label(target.partition(" ")[0])


def _related(subject: str) -> list[str]:
    target = pydoc.Helper.topics.get(subject) or pydoc.Helper.keywords.get(subject)
    return target[1].split() if isinstance(target, tuple) else []


def _compiled(module: ModuleType) -> Iterator[Passage]:
    name = module.__name__
    for attribute in getattr(module, "__all__", None) or sorted(vars(module)):
        value = vars(module).get(f"__{attribute}__", vars(module).get(attribute))  # sys.excepthook may be replaced
        if attribute.startswith("_") or not (isinstance(value, type) or inspect.isbuiltin(value)):
            continue
        if module is not builtins and getattr(builtins, attribute, None) is value:
            continue
        kind = "class" if isinstance(value, type) else "function"
        yield from _compiled_text(f"{name}.{attribute}", name, kind, value)
        if isinstance(value, type):
            for member in sorted(vars(value)):
                if not member.startswith("_") and callable(vars(value)[member]):
                    yield from _compiled_text(f"{name}.{attribute}.{member}", name, "method", vars(value)[member])


def _compiled_text(subject: str, module: str, kind: str, value: Any) -> Iterator[Passage]:
    text = value.__doc__
    if isinstance(text, str):
        yield Passage(subject, module, kind, inspect.cleandoc(text))


def is_keyword_topic(passage: Passage) -> bool:
    """Whether it is the topic of a keyword, such as ``with``."""
    return passage.kind == "topic" and keyword.iskeyword(passage.subject)
