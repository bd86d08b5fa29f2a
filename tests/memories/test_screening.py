"""A screen sees whatever a verb stores, before it is stored; what it redacts or refuses is nowhere."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import memory_guild as guild
from memory_guild import Candidate, StoreOutcome, Verdict
from memory_guild.errors import ContentRefusedError, InvalidInputError, SettingsError
from memory_guild.models import hash_content
from tests.memories.storing import Connection

SECRET = "the code is 1234"
REDACTED = "the code is ****"


def screen(candidate: Candidate) -> Verdict:
    """Redacts the code, and refuses what says that it must not be stored."""
    if "refuse" in candidate.content_text:
        return Verdict.refuse("says so itself")
    metadata = dict(candidate.metadata or {})
    if "1234" in candidate.content_text or "code" in metadata:
        metadata.pop("code", None)
        return Verdict.redact("a code", content_text=candidate.content_text.replace("1234", "****"), metadata=metadata)
    return Verdict.allow()


async def everything(superuser: Connection) -> str:
    """All that is stored of all tenants, as text."""
    rows = await superuser.fetch("SELECT content_text, content_hash, metadata, agent_id FROM memory_records")
    return str([dict(row) for row in rows])


async def test_what_is_redacted_is_stored_redacted_and_the_outcome_says_why(
    verbs_database_url: str, superuser: Connection
) -> None:
    async with guild.connect(verbs_database_url, screen=screen), guild.tenant_scope("acme", "scribe"):
        memory, outcome = stored = await guild.remember(
            SECRET, source_type="conversation", metadata={"code": "1234", "room": 2}
        )
        plain = await guild.remember("the door is open", source_type="conversation")
        again = await guild.remember(SECRET, source_type="conversation")

    assert outcome is StoreOutcome.CREATED
    assert (stored.redaction, plain.redaction, again.redaction) == ("a code", None, "a code")
    assert (memory.content_text, memory.metadata) == (REDACTED, {"room": 2})
    assert again.outcome is StoreOutcome.EXISTING
    assert again.memory_id == memory.memory_id
    assert "1234" not in await everything(superuser)


async def test_what_is_refused_is_not_stored_and_the_scope_goes_on(
    verbs_database_url: str, superuser: Connection
) -> None:
    async with guild.connect(verbs_database_url, screen=screen), guild.tenant_scope("acme", "scribe"):
        with pytest.raises(ContentRefusedError) as caught:
            await guild.remember("refuse this", source_type="conversation")
        await guild.remember("after", source_type="conversation")

    assert str(caught.value) == "the screen refused the memory: says so itself"
    assert caught.value.reason == "says so itself"
    assert "refuse this" not in await everything(superuser)
    assert "after" in await everything(superuser)


@pytest.mark.parametrize("as_items", [list, iter], ids=["a list", "an iterator"])
async def test_a_batch_reports_what_was_redacted_and_refused(
    verbs_database_url: str, superuser: Connection, as_items: Callable[[list[Any]], Any]
) -> None:
    items = [
        {"content_text": text, "source_type": "conversation"} for text in ("a", SECRET, "refuse this", "1234", SECRET)
    ]
    async with guild.connect(verbs_database_url, screen=screen), guild.tenant_scope("acme", "scribe"):
        report = await guild.remember_many(as_items(items), on_error="report")

    assert [item.outcome for item in report] == ["created", "created", "refused", "created", "existing"]
    assert [item.redaction for item in report] == [None, "a code", None, "a code", "a code"]
    assert report.redactions == {1: "a code", 3: "a code", 4: "a code"}
    assert str(report[2].error) == "the screen refused the memory: says so itself"
    assert "1234" not in await everything(superuser)


async def test_a_hash_that_is_given_is_that_of_the_text_that_is_given(
    verbs_database_url: str, superuser: Connection
) -> None:
    item = {"content_text": SECRET, "source_type": "conversation", "content_hash": hash_content(SECRET)}
    async with guild.connect(verbs_database_url, screen=screen), guild.tenant_scope("acme", "scribe"):
        report = await guild.remember_many([item])
        with pytest.raises(InvalidInputError, match="content_hash"):
            await guild.remember_many([item | {"content_hash": hash_content(REDACTED)}])

    assert report.redactions == {0: "a code"}
    assert REDACTED in await everything(superuser)


async def test_a_batch_that_raises_names_the_item_and_stores_nothing(
    verbs_database_url: str, superuser: Connection
) -> None:
    items = [{"content_text": text, "source_type": "conversation"} for text in ("a", "refuse this")]
    async with guild.connect(verbs_database_url, screen=screen), guild.tenant_scope("acme", "scribe"):
        with pytest.raises(ContentRefusedError) as caught:
            await guild.remember_many(items)

    assert str(caught.value) == "the screen refused the memory: items[1]: says so itself"
    assert await everything(superuser) == "[]"


async def test_update_and_supersede_are_screened_too(verbs_database_url: str, superuser: Connection) -> None:
    async with guild.connect(verbs_database_url, screen=screen), guild.tenant_scope("acme", "scribe"):
        memory = await guild.remember("first", source_type="conversation", metadata={"room": 1})
        changed = await guild.update(memory, content_text=SECRET)
        only_metadata = await guild.update(memory, metadata={"code": "1234", "room": 3})
        only_type = await guild.update(memory, source_type="document")
        newer = await guild.supersede(memory, "the code was 1234")
        with pytest.raises(ContentRefusedError):
            await guild.update(memory, content_text="refuse this")
        with pytest.raises(ContentRefusedError):
            await guild.supersede(memory, "refuse this")

    assert changed.content_text == REDACTED
    assert (only_metadata.content_text, only_metadata.metadata) == (REDACTED, {"room": 3})
    assert only_type.content_text == REDACTED
    assert (newer.content_text, newer.redaction) == ("the code was ****", "a code")
    assert "1234" not in await everything(superuser)


def failing(candidate: Candidate) -> Verdict:
    """A screen with a fault."""
    raise KeyError(candidate.content_text)


def undecided(candidate: Candidate) -> Any:
    """A screen that forgets to answer."""


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [(failing, "it failed (KeyError)"), (undecided, "it returned NoneType, not a Verdict")],
    ids=["raises", "returns nothing"],
)
async def test_a_screen_that_fails_refuses(
    verbs_database_url: str, superuser: Connection, faulty: Any, reason: str
) -> None:
    async with guild.connect(verbs_database_url, screen=faulty), guild.tenant_scope("acme", "scribe"):
        with pytest.raises(ContentRefusedError) as caught:
            await guild.remember(SECRET, source_type="conversation")
        report = await guild.remember_many([{"content_text": "b", "source_type": "document"}], on_error="report")

    assert caught.value.reason == reason
    assert report.refused == 1
    assert await everything(superuser) == "[]"


@pytest.mark.parametrize(
    ("verdict", "field"),
    [
        (Verdict.redact("x", content_text=""), "content_text"),
        (Verdict.redact("x", content_text="a\0b"), "content_text"),
        (Verdict.redact("x", metadata={"n": float("nan")}), "metadata.n"),
    ],
    ids=["no text", "a NUL", "NaN"],
)
async def test_what_a_screen_puts_there_is_checked_as_if_it_were_given(
    verbs_database_url: str, superuser: Connection, verdict: Verdict, field: str
) -> None:
    async with guild.connect(verbs_database_url, screen=lambda _: verdict), guild.tenant_scope("acme", "scribe"):
        with pytest.raises(InvalidInputError) as caught:
            await guild.remember("given", source_type="conversation")

    assert caught.value.field.startswith(field.partition(".")[0])
    assert await everything(superuser) == "[]"


async def test_a_screen_sees_what_is_known_of_the_memory(verbs_database_url: str) -> None:
    seen: list[Candidate] = []

    def watching(candidate: Candidate) -> Verdict:
        seen.append(candidate)
        return Verdict.allow()

    async with guild.connect(verbs_database_url, screen=watching), guild.tenant_scope("acme", "scribe"):
        memory = await guild.remember(
            "a", source_type="document", metadata={"n": 1}, created_at=datetime(2024, 1, 1, tzinfo=UTC)
        )
        await guild.remember_many([{"content_text": "b", "source_type": "external", "agent_id": "other"}])
        await guild.update(memory, metadata={"n": 2})
        with pytest.raises(InvalidInputError):
            await guild.remember("c", source_type="document", metadata=[1])  # type: ignore[arg-type]

    assert seen == [
        Candidate("a", {"n": 1}, "scribe", "acme", "document"),
        Candidate("b", None, "other", "acme", "external"),
        Candidate("", {"n": 2}, None, "acme", None),
        Candidate("c", None, "scribe", "acme", "document"),
    ]


async def test_the_environment_names_a_screen_for_agents_that_call_tortoise_themselves(
    verbs_database_url: str, superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("screens_of_the_test")
    module.screen = screen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("MEMORY_GUILD_SCREEN", "screens_of_the_test:screen")
    async with guild.connect(verbs_database_url), guild.tenant_scope("acme", "scribe"):
        assert (await guild.remember(SECRET, source_type="conversation")).redaction == "a code"
    assert "1234" not in await everything(superuser)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:screen", "names no function that can be imported: No module named 'nowhere'"),
        ("json:nothing", "names no function that can be imported: module 'json' has no attribute 'nothing'"),
        ("sys:path", "names something that cannot be called: sys:path"),
    ],
)
async def test_a_screen_that_is_not_there_lets_nothing_in(
    verbs_database_url: str, superuser: Connection, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SCREEN", name)
    with pytest.raises(SettingsError) as caught:
        async with guild.connect(verbs_database_url), guild.tenant_scope("acme", "scribe"):
            await guild.remember(SECRET, source_type="conversation")
    assert str(caught.value) == f"MEMORY_GUILD_SCREEN: {message}"
    assert await everything(superuser) == "[]"


async def test_a_module_that_fails_with_anything_names_no_screen(
    verbs_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a_broken_module.py").write_text("raise RuntimeError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MEMORY_GUILD_SCREEN", "a_broken_module:screen")
    with pytest.raises(SettingsError, match="names no function that can be imported: broken"):
        async with guild.connect(verbs_database_url), guild.tenant_scope("acme", "scribe"):
            await guild.remember(SECRET, source_type="conversation")


@pytest.mark.parametrize("name", ["screen", ":screen", "module:", "a b:c", "a.b:c.d"])
async def test_a_name_that_can_be_no_function_is_refused_before_connecting(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SCREEN", name)
    with pytest.raises(SettingsError, match=r"must be a function, as package\.module:function"):
        async with guild.connect():
            pass


async def test_something_that_cannot_be_called_is_no_screen() -> None:
    with pytest.raises(InvalidInputError, match="screen: must be callable, not str"):
        async with guild.connect(screen="x"):  # type: ignore[arg-type]
            pass
