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
_LIKE_AN_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:]+@[^\s<>()\[\]\",;:]+[^\s<>()\[\]\",;:.!?']")
_LIKE_A_CARD_NUMBER = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


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
    return _LIKE_A_CARD_NUMBER.sub(_replacing("card number", _is_card_number, found), text)


def _redacted_value(value: Any, found: set[str]) -> Any:
    if isinstance(value, dict):
        return {_redacted_value(key, found): _redacted_value(each, found) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted_value(each, found) for each in value]
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


def _is_card_number(text: str) -> bool:
    return bool(luhn.is_valid(re.sub(r"[ -]", "", text)))
