"""Finding the texts that name the subject of another: explicit mentions, not English words that are also names.

What counts as a mention, and its confidence:

==== ===================================================================================================================
1.0  the whole subject: ``asyncio.Queue`` in any text, a related topic of ``help()``, the keyword's topic in
     "the with statement", the module in "the queue module"
0.9  a builtin (``ValueError``, ``len()``), or a member with its class (``Queue.get``) in the same module
0.8  a name of the same class, module or package, written as code: ``get()``, ``QueueFull``, ``call_soon``
0.6  a class of several capitals (``OrderedDict``) that only one module of the whole library defines
==== ===================================================================================================================
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from memory_guild.demo.passages import LANGUAGE, Passage, is_keyword_topic

MAX_REFERENCES = 12
"""The most subjects that one text refers to: those with the highest confidence, then the first ones."""

_WHOLE, _BUILTIN_OR_MEMBER, _SAME_MODULE, _ONLY_ONE = 1.0, 0.9, 0.8, 0.6

_NAME = re.compile(
    r"""
    (?P<role>:(?:py:)?(?:class|func|meth|mod|exc|attr|keyword):`[~!]?)?
    (?P<quote>["`])?
    (?<![\w.])(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    (?P<call>\(\)?)?
    """,
    re.VERBOSE,
)
_STATEMENT = re.compile(r"""["'`]*\b(?P<name>[a-z]+)\b["'`]*\s+(?:statement|expression|clause|loop)s?\b""")
_MODULE = re.compile(
    r"""\bthe\s+["'`]*(?P<before>[a-z_][\w.]*)["'`]*\s+module\b|\bmodule\s+["`]+(?P<after>[\w.]+)["`]"""
)
_SEVERAL_CAPITALS = re.compile(r"[A-Z]\w*[a-z]\w*[A-Z]\w*|[A-Z]{2,}\w*[a-z]\w*")
_MIDDLE_OF_A_SENTENCE = re.compile(r"[a-z,] $")


@dataclass(frozen=True, slots=True)
class Reference:
    """One text names another's subject.

    Attributes:
        source: The subject of the text that names the other.
        target: The subject that is named.
        confidence_score: How sure that is, see the table of the module.
    """

    source: str
    target: str
    confidence_score: float


def find_references(passages: Sequence[Passage], ambiguous: Collection[str] = ()) -> list[Reference]:
    """The references between passages, in their order. Each source has a target once, with the highest confidence.

    Args:
        passages: The texts.
        ambiguous: Names that mean nothing by themselves, because several modules define them.
    """
    subjects = _Subjects(passages, ambiguous)
    references = []
    for passage in passages:
        best: dict[str, float] = {}
        for target, confidence_score in subjects.named_in(passage):
            if target != passage.subject and confidence_score > best.get(target, 0):
                best[target] = confidence_score
        surest = sorted(best.items(), key=lambda item: -item[1])[:MAX_REFERENCES]
        references += [Reference(passage.subject, target, confidence_score) for target, confidence_score in surest]
    return references


class _Subjects:
    """Every subject, found by its whole name or by its last part."""

    def __init__(self, passages: Sequence[Passage], ambiguous: Collection[str]) -> None:
        self._by_subject = {passage.subject: passage for passage in passages}
        self._keywords = {passage.subject for passage in passages if is_keyword_topic(passage)}
        self._by_last_part: dict[str, list[str]] = defaultdict(list)
        for passage in passages:
            name = last_part(passage.subject)
            if passage.kind == "class" and name not in ambiguous:
                self._by_last_part[name].append(passage.subject)

    def named_in(self, passage: Passage) -> Iterator[tuple[str, float]]:
        """The subjects that a text names, some of them several times, the related topics first."""
        for name in passage.related:
            if name in self._by_subject:
                yield name, _WHOLE
            elif target := self._builtin(name):
                yield target, _BUILTIN_OR_MEMBER
        for match in _STATEMENT.finditer(passage.text):
            if match["name"] in self._keywords:
                yield match["name"], _WHOLE
        for match in _MODULE.finditer(passage.text):
            name = match["before"] or match["after"]
            if self._kind(name) == "module":
                yield name, _WHOLE
        for match in _NAME.finditer(passage.text):
            if found := self._resolve(passage, match):
                yield found

    def _resolve(self, passage: Passage, match: re.Match[str]) -> tuple[str, float] | None:
        name = match["name"]
        if "." in name:
            return self._resolve_dotted(passage, name)
        if passage.kind == "topic" and match["quote"] and match.string[match.end() : match.end() + 1] == '"':
            return self._resolve_quoted(name, is_call=bool(match["call"]))
        if _is_code(match):
            if target := self._in_scope(passage, name):
                return target, _SAME_MODULE
            if (match["call"] == "()" or match["role"]) and (target := self._builtin(name)):
                return target, _BUILTIN_OR_MEMBER
        if _SEVERAL_CAPITALS.fullmatch(name):
            if target := self._builtin(name):
                return target, _BUILTIN_OR_MEMBER
            if len(only := self._by_last_part.get(name, [])) == 1:
                return only[0], _ONLY_ONE
        return None

    def _resolve_dotted(self, passage: Passage, name: str) -> tuple[str, float] | None:
        if name in self._by_subject:
            return name, _WHOLE
        target = self._in_scope(passage, name) or self._builtin(name)
        return (target, _BUILTIN_OR_MEMBER) if target else None

    def _resolve_quoted(self, name: str, *, is_call: bool) -> tuple[str, float] | None:
        """A name in the double quotes of a topic, which mark code."""
        if not is_call and (name in self._keywords or self._kind(name) == "module"):
            return name, _WHOLE
        target = self._builtin(name)
        return (target, _BUILTIN_OR_MEMBER) if target else None

    def _in_scope(self, passage: Passage, name: str) -> str | None:
        """The name within the passage's own class, else within its module, else within the packages around that."""
        scope = "" if passage.module == LANGUAGE else passage.subject
        while scope:
            if f"{scope}.{name}" in self._by_subject:
                return f"{scope}.{name}"
            scope = scope.rpartition(".")[0]
        return None

    def _builtin(self, name: str) -> str | None:
        return f"builtins.{name}" if f"builtins.{name}" in self._by_subject else None

    def _kind(self, subject: str) -> str | None:
        passage = self._by_subject.get(subject)
        return passage.kind if passage else None


def last_part(subject: str) -> str:
    """What follows the last dot."""
    return subject.rpartition(".")[2]


def _is_code(match: re.Match[str]) -> bool:
    """Whether the text writes the name as code does: with parentheses, a role, capitals or an underscore."""
    name = match["name"]
    if match["call"] == "()" or match["role"]:
        return True
    if name[0].isupper():
        middle = _MIDDLE_OF_A_SENTENCE.search(match.string, max(match.start("name") - 2, 0), match.start("name"))
        is_no_word = bool(_SEVERAL_CAPITALS.fullmatch(name))
        return bool(match["call"] or match["quote"] or is_no_word or (middle and not name.isupper()))
    return "_" in name.strip("_")
