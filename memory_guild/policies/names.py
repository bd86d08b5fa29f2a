"""Which names a policy defines: one that it defines nowhere is a mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from memory_guild.policies.tokens import CLOSING, OPENING, Token, policy_error_at

_NO_NAMES_TEXT = "_ as contains data default else every false if import in input not null package some true with"
_NO_NAMES = frozenset(_NO_NAMES_TEXT.split())
_ENDS_NO_STATEMENT = frozenset(("else", "every", "if", "in", "not", "some", "with"))


def check_names(rego: str, tokens: list[Token]) -> None:
    """Refuse a name that is defined nowhere in the source, as OPA does.

    To the engine it is undefined, so a misspelt one in ``deny`` would deny nothing. Which part of the source a name
    holds in is not looked at, and what may define one counts as if it did, so as to refuse nothing that OPA accepts.
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


def _defined_names(tokens: list[Token]) -> set[str]:
    defined: set[str] = set()
    opened: list[int] = []
    ends_at = -1  # where the names after `some` or `every`, or those of a function's parameters, end
    # Found beforehand, from the end on: whatever the source, that takes as long as to read it.
    ends_of_lines = _next_places(tokens, partial(_begins_a_line, tokens))
    words_in = _next_places(tokens, lambda at: tokens[at].text == "in")
    closing = _next_places(tokens, lambda at: tokens[at].text == ")")
    for number, token in enumerate(tokens):
        before, after = _text(tokens, number - 1), _text(tokens, number + 1)
        if token.text in OPENING:
            opened.append(number)
        elif token.text in CLOSING and opened:
            first = opened.pop()
            around = _text(tokens, first - 1), after
            if token.text != ")" and (after in (":=", "=") or around[0] == "=" or around in (("[", "]"), (",", ")"))):
                defined.update(_words(tokens[first:number]))  # a pattern
        elif token.text in ("some", "every"):
            ends_at = words_in[number]
            if token.text == "some":
                ends_at = min(ends_at, ends_of_lines[number + 1])
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
                defined.update(_words(tokens[number : ends_of_lines[number + 1]]))
            elif _is_call(tokens, number):
                ends_at = closing[number]
    return defined


def _text(tokens: Sequence[Token], number: int) -> str:
    return tokens[number].text if 0 <= number < len(tokens) else ""


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    return (token.text for token in tokens if token.kind == "word")


def _is_call(tokens: Sequence[Token], number: int) -> bool:
    while _text(tokens, number + 1) == "." or (_text(tokens, number + 1), _text(tokens, number + 3)) == ("[", "]"):
        number += 2 if _text(tokens, number + 1) == "." else 3
    return _text(tokens, number + 1) == "("


def _next_places(tokens: Sequence[Token], is_place: Callable[[int], bool]) -> list[int]:
    """For each token the number of the first one from there on that is such a place; else their count."""
    places = [len(tokens)] * (len(tokens) + 1)
    for number in reversed(range(len(tokens))):
        places[number] = number if is_place(number) else places[number + 1]
    return places


def _begins_a_line(tokens: Sequence[Token], number: int) -> bool:
    """Whether a token is the first of a line; a comma goes on with the line before."""
    return number == 0 or (tokens[number].line != tokens[number - 1].line and tokens[number - 1].text != ",")


def _begins_a_statement(tokens: Sequence[Token], number: int) -> bool:
    """Whether a token outside all braces does: it is the first of its line, and the one before ends what was there."""
    if number == 0:
        return True
    before = tokens[number - 1]
    if before.line == tokens[number].line:
        return False
    if before.text in _ENDS_NO_STATEMENT:
        return _text(tokens, number - 2) == "."  # the name of an import
    return before.kind != "mark" or before.text in CLOSING
