"""The screen of examples/screening takes out addresses and card numbers, and nothing that only looks like them."""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import memory_guild as guild

_FILE = Path(__file__).parent.parent.parent / "examples" / "screening" / "redacting.py"


@pytest.fixture(scope="module")
def screen() -> Callable[[guild.Candidate], guild.Verdict]:
    """The function of the example."""
    found: Callable[[guild.Candidate], guild.Verdict] = runpy.run_path(str(_FILE))["redact_personal_data"]
    return found


def candidate(text: str, metadata: dict[str, Any] | None = None) -> guild.Candidate:
    """A memory that is to be stored."""
    return guild.Candidate(text, metadata, "scribe", "acme", "conversation")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ada@example.com.", "write to [e-mail address]."),
        ("<ada.l+x@mail.example.org>, soon", "<[e-mail address]>, soon"),
        ("äda@exämple.com", "[e-mail address]"),
        ("card 4111 1111 1111 1111, please", "card [card number], please"),
        ("4111-1111-1111-1111", "[card number]"),
        ("378282246310005 and ada@example.com", "[card number] and [e-mail address]"),
        ("ada@example.com/inbox ada@example.com's", "[e-mail address]/inbox [e-mail address]'s"),
        ("so...ada@example.com\N{EM DASH}soon", "so...[e-mail address]\N{EM DASH}soon"),
        ("https://x.org/?to=ada@example.com&x=1", "https://x.org/?to=[e-mail address]&x=1"),
        ("*ada@example.com*|`b@example.com`", "*[e-mail address]*|`[e-mail address]`"),
        ("4111 1111 1111 1111 12/27", "[card number] 12/27"),
        ("4111 1111 1111 1111 123, 3 4111 1111 1111 1111", "[card number] 123, 3 [card number]"),
        ("4111\N{NO-BREAK SPACE}1111\N{NO-BREAK SPACE}1111\N{NO-BREAK SPACE}1111", "[card number]"),
    ],
)
def test_personal_data_is_redacted(
    screen: Callable[[guild.Candidate], guild.Verdict], text: str, redacted: str
) -> None:
    assert screen(candidate(text)).content_text == redacted


@pytest.mark.parametrize(
    "text",
    [
        "order 4111 1111 1111 1112",
        "call +49 30 1234567",
        "@ada said a@b",
        "1700000000000",
        "a @ b.com",
        "x@y..z",
        "0.4111111111111111",
    ],
)
def test_what_only_looks_like_it_stays(screen: Callable[[guild.Candidate], guild.Verdict], text: str) -> None:
    assert screen(candidate(text)) == guild.Verdict.allow()


@pytest.mark.parametrize("text", ["a", "a.", "a@", "a@b.", "1", "1 ", "-"])
def test_no_text_takes_long(screen: Callable[[guild.Candidate], guild.Verdict], text: str) -> None:
    begun = time.process_time()
    screen(candidate(text * (200_000 // len(text))))
    assert time.process_time() - begun < 2


def test_metadata_is_redacted_at_any_depth(screen: Callable[[guild.Candidate], guild.Verdict]) -> None:
    given = {
        "from": ["ada@example.com"],
        "card": {"number": 4111111111111111, "ok": True},
        "n": 3.0,
        "b@example.com": 1,
    }
    verdict = screen(candidate("hello", given))

    assert verdict.reason == "contained: card number, e-mail address"
    assert verdict.metadata == {
        "from": ["[e-mail address]"],
        "card": {"number": "[card number]", "ok": True},
        "n": 3,
        "[e-mail address]": 1,
    }


async def test_it_is_a_screen(screen: Callable[[guild.Candidate], guild.Verdict], database_url: str) -> None:
    async with guild.connect(database_url, screen=screen), guild.tenant_scope("acme", "scribe"):
        stored = await guild.remember("ada@example.com", source_type="conversation")
    assert (stored.content_text, stored.redaction) == ("[e-mail address]", "contained: e-mail address")
