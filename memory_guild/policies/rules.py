"""The rules of a policy: the shape of ``policy_rules``, and what the source must be before an engine sees it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from memory_guild.errors import PolicyError

PACKAGE = "memory.access"
MAX_CHARACTERS = 32_768
_MAX_DEPTH = 64

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
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")

_NO_NAMES_TEXT = "_ as contains data default else every false if import in input not null package some true with"
_NO_NAMES = frozenset(_NO_NAMES_TEXT.split())
_ENDS_NO_STATEMENT = frozenset(("else", "every", "if", "in", "not", "some", "with"))


class PolicyRules(BaseModel):
    """What ``policy_rules`` holds.

    Attributes:
        rego: The source, a module of the package ``memory.access`` with the rules ``allow`` and ``deny``.
        version: The version of this shape.
    """

    model_config = ConfigDict(extra="forbid")

    rego: str = Field(min_length=1, max_length=MAX_CHARACTERS)
    version: Literal["v1"] = "v1"


class _Token(NamedTuple):
    kind: str
    text: str
    position: int
    line: int


def check_source(rego: str) -> None:
    """Refuse what no engine is to see.

    Raises:
        PolicyError: It is too long, in another package, nested too deeply, written in the old language, in which rules
            need no ``if``, or names what it defines nowhere.
    """
    if len(rego) > MAX_CHARACTERS:
        raise PolicyError(f"has more than {MAX_CHARACTERS:,} characters")
    if (nul := rego.find("\0")) >= 0:
        raise policy_error_at(rego, nul, "contains a NUL character")
    tokens = list(_tokens(rego))
    if [token.text for token in tokens[:4]] != ["package", "memory", ".", "access"] or (
        len(tokens) > 4 and (tokens[4].text in (".", "[") or "\n" not in rego[tokens[3].position : tokens[4].position])
    ):
        raise PolicyError(f"must begin with: package {PACKAGE}", line=1, column=1)
    depth, is_every = 0, False
    for before, token in pairwise(tokens):
        if token.kind == "mark" and token.text in _OPENING:
            if token.text == "{" and depth == 0 and _ends_a_head(before) and not is_every:
                raise policy_error_at(rego, token.position, "is a body without `if`: write rules as in OPA 1.0")
            is_every = is_every and token.text != "{"
            depth += 1
            if depth > _MAX_DEPTH:
                raise policy_error_at(rego, token.position, f"is nested more than {_MAX_DEPTH} levels deep")
        elif token.kind == "mark" and token.text in _CLOSING:
            depth -= 1
        is_every |= token.text == "every"
    _check_names(rego, tokens[4:])


def _check_names(rego: str, tokens: list[_Token]) -> None:
    """Refuse a name that is defined nowhere in the source, as OPA does.

    To the engine it is undefined, so a misspelt one in ``deny`` would deny nothing. Which part of the source a name
    holds in is not looked at, and what may define one counts as if it did: no policy is refused that OPA accepts.
    """
    defined = _defined_names(tokens)
    for number, token in enumerate(tokens):
        if (
            token.kind == "word"
            and token.text not in _NO_NAMES
            and token.text not in defined
            and _text(tokens, number - 1) != "."
            and not _is_call(tokens, number)
        ):
            raise policy_error_at(rego, token.position, f"names what is defined nowhere: {token.text}")


def _defined_names(tokens: list[_Token]) -> set[str]:
    defined: set[str] = set()
    opened: list[int] = []
    ends_at = -1  # where the names after `some`, `every`, `import`, or those of a function's parameters end
    for number, token in enumerate(tokens):
        before, after = _text(tokens, number - 1), _text(tokens, number + 1)
        if token.text in _OPENING:
            opened.append(number)
        elif token.text in _CLOSING and opened:
            first = opened.pop()
            around = _text(tokens, first - 1), after
            if token.text != ")" and (after in (":=", "=") or around[0] == "=" or around in (("[", "]"), (",", ")"))):
                defined.update(_words(tokens[first:number]))  # a pattern
        elif token.text in ("some", "every"):
            ends_at = next((at for at in range(number, len(tokens)) if tokens[at].text == "in"), len(tokens))
            if token.text == "some":
                ends_at = min(ends_at, _end_of_line(tokens, number))
        elif token.kind == "word" and (
            number < ends_at
            or after in (":=", "=")
            or (before in ("=", "as", "default") and after != ".")
            or (before, after) in (("[", "]"), (",", ")"))  # what an index is, where a function puts its result
        ):
            defined.add(token.text)
        if token.kind == "word" and not opened and _begins_a_statement(tokens, number):
            defined.add(token.text)
            if token.text == "import":
                defined.update(_words(tokens[number : _end_of_line(tokens, number)]))
            elif after == "(":
                ends_at = next((at for at in range(number, len(tokens)) if tokens[at].text == ")"), len(tokens))
    return defined


def policy_error_at(rego: str, position: int, reason: str) -> PolicyError:
    """The error for a place in a source."""
    line = rego.count("\n", 0, position) + 1
    return PolicyError(reason, line=line, column=position - rego.rfind("\n", 0, position))


def _tokens(rego: str) -> Iterator[_Token]:
    line, counted_to = 1, 0
    for match in _TOKEN.finditer(rego):
        if (kind := match.lastgroup) is not None and kind != "comment":
            line += rego.count("\n", counted_to, match.start())
            counted_to = match.start()
            yield _Token(kind, match[0], match.start(), line)


def _text(tokens: Sequence[_Token], number: int) -> str:
    return tokens[number].text if 0 <= number < len(tokens) else ""


def _words(tokens: Iterable[_Token]) -> Iterator[str]:
    return (token.text for token in tokens if token.kind == "word")


def _is_call(tokens: Sequence[_Token], number: int) -> bool:
    while _text(tokens, number + 1) == ".":
        number += 2
    return _text(tokens, number + 1) == "("


def _end_of_line(tokens: Sequence[_Token], number: int) -> int:
    """The number of the first token after the line; a comma goes on with it."""
    number += 1
    while number < len(tokens) and (tokens[number].line == tokens[number - 1].line or tokens[number - 1].text == ","):
        number += 1
    return number


def _begins_a_statement(tokens: Sequence[_Token], number: int) -> bool:
    """Whether a token outside all braces does: it is the first of its line, and the one before ends what was there."""
    if number == 0:
        return True
    before = tokens[number - 1]
    if before.line == tokens[number].line:
        return False
    if before.text in _ENDS_NO_STATEMENT:
        return _text(tokens, number - 2) == "."  # the name of an import
    return before.kind != "mark" or before.text in _CLOSING


def _ends_a_head(token: _Token) -> bool:
    """Whether a brace after it, outside all others, would be the body of a rule in the old language."""
    if token.kind == "word":
        return token.text not in ("as", "contains", "if", "in", "not")
    return token.kind in ("string", "number") or token.text in _CLOSING
