"""Finding the names in texts, and the texts that share a rare one.

A name is a sequence of capitalized words, such as "Carl Rogers" or "University of Copenhagen", or the title of a
document: its first line. One capitalized word at the beginning of a sentence may be any word, so it is a name only if
it stands elsewhere in a sentence, too. This suits languages that capitalize names and little else.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import NamedTuple
from uuid import UUID

_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
_WORD = re.compile(rf"[^\W_](?:[\w{_APOSTROPHES}&.-]*\w)?")
_SENTENCE_ENDS = re.compile(r"[.!?:\n•*]")
_BRACKETS_AT_END = re.compile(r"\s*\([^()]*\)$")
_POSSESSIVE = re.compile(rf"[{_APOSTROPHES}]s$")
_PRONOUN = re.compile(rf"I[{_APOSTROPHES}]")

_SHORTEST, _LONGEST, _LONGEST_TITLE = 3, 100, 100  # characters
_MOST_PARTS = 4

# fmt: off
_BETWEEN = frozenset({
    "of", "the", "de", "del", "della", "di", "da", "do", "dos", "du", "la", "le", "von", "van", "der", "den",
    "zu", "al",
})
_BEFORE = frozenset({
    "The", "A", "An", "This", "That", "These", "Those", "His", "Her", "Its", "Their", "Our", "My", "Your", "In", "On",
    "At", "For", "From", "By", "With",
})
_SHORTENED = frozenset({"Dr", "Mr", "Mrs", "Ms", "St", "Prof", "Jr", "Sr"})
_NO_NAMES = frozenset({
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
})
# fmt: on


class Names(NamedTuple):
    """The names in a text.

    Attributes:
        sure: Those that are names by themselves.
        unsure: Words at the beginning of a sentence, which are names if they are among the sure ones elsewhere.
    """

    sure: frozenset[str]
    unsure: frozenset[str]


class SharedNames:
    """Which texts share a name.

    Args:
        most_memories: A name in more texts than so many is not rare.
    """

    def __init__(self, most_memories: int) -> None:
        self._most_memories = most_memories
        self._sure: dict[str, set[UUID]] = defaultdict(set)
        self._unsure: dict[str, set[UUID]] = defaultdict(set)

    def add(self, memory_id: UUID, text: str) -> None:
        """Take the names of a memory's text."""
        found = names_in(text)
        for names, by_name in ((found.sure, self._sure), (found.unsure, self._unsure)):
            for name in names:
                if len(by_name[name]) <= self._most_memories:  # of what is frequent, no more need be known
                    by_name[name].add(memory_id)

    def pairs(self, most_of_one: int) -> list[tuple[UUID, UUID]]:
        """The pairs of memories that share a rare name, the same for the same texts.

        Args:
            most_of_one: How many pairs one memory is in at most: first those that share the rarest name, then those
                that share the longest.
        """
        rare = []
        for name, memory_ids in self._sure.items():
            everywhere = memory_ids | self._unsure.get(name, set())
            if 2 <= len(everywhere) <= self._most_memories:
                rare.append((len(everywhere), -len(name), name, sorted(everywhere)))
        pairs: dict[tuple[UUID, UUID], None] = {}
        degrees: Counter[UUID] = Counter()
        for *_, several in sorted(rare):
            for pair in combinations(several, 2):
                if pair not in pairs and all(degrees[memory_id] < most_of_one for memory_id in pair):
                    pairs[pair] = None
                    degrees.update(pair)
        return list(pairs)


def names_in(text: str) -> Names:
    """The names in a text."""
    title, newline, _ = text.partition("\n")
    sure = set()
    if newline and len(title) <= _LONGEST_TITLE:
        sure.add(_BRACKETS_AT_END.sub("", title.strip()))
    unsure: set[str] = set()
    for words, is_at_beginning in _sequences(text):
        if len(words) == 1:
            (unsure if is_at_beginning else sure).add(words[0])
        else:
            sure.update(" ".join(part) for part in _parts(words))
    return Names(*(frozenset(filter(_is_usable, names)) for names in (sure, unsure)))


def _parts(words: list[str]) -> Iterator[list[str]]:
    """A sequence, and the names of several words in it: "Mayor of the City of Rome" has "City of Rome"."""
    is_name = [word[0].isupper() for word in words]
    starts = [n for n, capital in enumerate(is_name) if capital and not (n and is_name[n - 1])]
    ends = [n for n, capital in enumerate([*is_name, False]) if not capital and is_name[n - 1]]
    if len(starts) > _MOST_PARTS:
        starts, ends = starts[:1], ends[-1:]
    for start in starts:
        for end in ends:
            if end - start > 1:
                yield words[start:end]


def _is_usable(name: str) -> bool:
    return _SHORTEST <= len(name) <= _LONGEST and name not in _NO_NAMES and not _PRONOUN.match(name)


def _sequences(text: str) -> Iterator[tuple[list[str], bool]]:
    """The sequences of capitalized words, and whether a sentence begins with them."""
    words: list[str] = []
    between: list[str] = []
    is_at_beginning = True
    end, before = 0, ""
    for match in _WORD.finditer(text):
        gap, word = text[end : match.start()], match[0]
        is_shortened = gap == ". " and (before in _SHORTENED or (len(before) == 1 and before.isupper()))
        is_joined = end > 0 and (gap == " " or is_shortened) and not _POSSESSIVE.search(before)
        if words and not is_joined:
            yield from _ended(words, is_at_beginning)
            words, between = [], []
        if word[0].isupper():
            if not words:
                is_at_beginning = end == 0 or (not is_shortened and _SENTENCE_ENDS.search(gap) is not None)
            words += [*between, word]
            between = []
        elif words:
            if word in _BETWEEN:
                between.append(word)
            else:
                yield from _ended(words, is_at_beginning)
                words, between = [], []
        end, before = match.end(), word
    yield from _ended(words, is_at_beginning)


def _ended(words: list[str], is_at_beginning: bool) -> Iterable[tuple[list[str], bool]]:
    """A sequence without the words before the name; nothing if no name is left."""
    first = 0
    while first < len(words) and (words[first] in _BEFORE or not words[first][0].isupper()):
        first += 1
    name = [_POSSESSIVE.sub("", word) for word in words[first:]]
    return [(name, is_at_beginning and first == 0)] if name else []
