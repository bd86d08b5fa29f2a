"""The source of a policy, token by token, and where in it something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from memory_guild.errors import PolicyError

_TOKEN = re.compile(
    r"""
      (?P<comment>  \#[^\n]* )
    | (?P<string>   "(?:[^"\\\n]|\\.)*" | `[^`]*` )
    | (?P<word>     [A-Za-z_][A-Za-z0-9_]* )
    | (?P<number>   [0-9][0-9.eE]* )
    | (?P<mark>     := | == | [^\s] )
    """,
    re.VERBOSE,
)
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")


class Token(NamedTuple):
    """One token.

    Attributes:
        kind: ``string``, ``word``, ``number`` or ``mark``.
        text: As it is written.
        position: Where it begins, counted in characters from 0.
        line: In which line, from 1.
    """

    kind: str
    text: str
    position: int
    line: int


def tokens_of(rego: str) -> Iterator[Token]:
    """The tokens of a source, without comments."""
    line, counted_to = 1, 0
    for match in _TOKEN.finditer(rego):
        if (kind := match.lastgroup) is not None and kind != "comment":
            line += rego.count("\n", counted_to, match.start())
            counted_to = match.start()
            yield Token(kind, match[0], match.start(), line)


def policy_error_at(rego: str, position: int, reason: str) -> PolicyError:
    """The error for a place in a source."""
    line = rego.count("\n", 0, position) + 1
    return PolicyError(reason, line=line, column=position - rego.rfind("\n", 0, position))
