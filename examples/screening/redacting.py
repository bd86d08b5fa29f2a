"""A screen that takes e-mail addresses and card numbers out of what is to be stored.

It needs `pip install email-validator python-stdnum`. What looks like one of them is found with a pattern; whether it is
one is decided by these libraries.

    async with guild.connect(screen=redact_personal_data): ...
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from email_validator import EmailNotValidError, validate_email
from stdnum import luhn

import memory_guild as guild

_PLACEHOLDERS = {"e-mail address": "[e-mail address]", "card number": "[card number]"}
_ATOM = r"[\w%+-]"
# What stands around an address does not belong to it, such as the stars of "*ada@example.com*". Its name begins where a
# word begins, and has at most 64 characters, so that a long text without spaces takes no longer than any other.
_LIKE_AN_ADDRESS = re.compile(
    rf"(?<!{_ATOM})(?:{_ATOM}|(?<={_ATOM})\.(?={_ATOM})){{1,64}}@(?:[^\W_](?:-*[^\W_]){{0,62}}\.){{1,10}}[^\W_](?:-*[^\W_]){{1,62}}"
)
_BETWEEN_DIGITS = "[ \N{NO-BREAK SPACE}\N{EN DASH}-]"
_NUMBERS = re.compile(rf"(?<!\d)(?<!\d\.)\d+(?:{_BETWEEN_DIGITS}\d+)*")
_DIGITS = re.compile(r"\d+")
_CARD_DIGITS = range(13, 20)
_SHORTEST_GROUP = 3


def redact_personal_data(candidate: guild.Candidate) -> guild.Verdict:
    """Redact the text, and all texts and numbers in the metadata."""
    found: set[str] = set()
    text = _redacted(candidate.content_text, found)
    metadata = None if candidate.metadata is None else _redacted_value(dict(candidate.metadata), found)
    if not found:
        return guild.Verdict.allow()
    return guild.Verdict.redact(f"contained: {', '.join(sorted(found))}", content_text=text, metadata=metadata)


def _redacted(text: str, found: set[str]) -> str:
    text = _LIKE_AN_ADDRESS.sub(_replacing("e-mail address", _is_address, found), text)
    return _NUMBERS.sub(lambda numbers: _without_cards(numbers[0], found), text)


def _without_cards(text: str, found: set[str]) -> str:
    """Numbers one after the other, without those that are a card's: a date or a code may stand beside it."""
    groups = list(_DIGITS.finditer(text))
    kept: list[str] = []
    end = first = 0
    while first < len(groups):
        after = _after_card(groups, first)
        if after is None:
            first += 1
            continue
        found.add("card number")
        kept += [text[end : groups[first].start()], _PLACEHOLDERS["card number"]]
        end, first = groups[after - 1].end(), after
    return "".join((*kept, text[end:]))


def _after_card(groups: list[re.Match[str]], first: int) -> int | None:
    """Where the longest card number ends that begins with a group of digits; None if none does."""
    digits, after = "", None
    for number in range(first, len(groups)):
        digits += groups[number][0]
        if len(digits) >= _CARD_DIGITS.stop:
            break
        if len(groups[number][0]) < _SHORTEST_GROUP and len(groups) >= _CARD_DIGITS.stop:
            break  # a long list of numbers
        if len(digits) in _CARD_DIGITS and luhn.is_valid(digits):
            after = number + 1
    return after


def _redacted_value(value: Any, found: set[str]) -> Any:
    if isinstance(value, dict):
        return {_redacted_value(key, found): _redacted_value(each, found) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted_value(each, found) for each in value]
    if isinstance(value, float) and value.is_integer():
        return value if (number := _redacted_value(int(value), found)) == value else number
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        redacted = _redacted(str(value), found)
        return value if redacted == str(value) else redacted
    return value


def _replacing(kind: str, is_one: Callable[[str], bool], found: set[str]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        if not is_one(match[0]):
            return match[0]
        found.add(kind)
        return _PLACEHOLDERS[kind]

    return replace


def _is_address(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True
