"""Screening: a function of the agent's own sees each memory before it is stored."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from memory_guild.database.engine import client
from memory_guild.errors import ContentRefusedError, SettingsError
from memory_guild.protocols import Candidate, Screen, Verdict


class Screened(NamedTuple):
    """What is to be stored of a memory, after the screen saw it.

    Attributes:
        content_text: Its text.
        metadata: Its metadata; None where none is given.
        redaction: Why it is not what was given; None where it is.
    """

    content_text: Any
    metadata: Any
    redaction: str | None = None


def screen_of_database() -> Screen | None:
    """The screen of ``connect(screen=…)`` or ``MEMORY_GUILD_SCREEN``; None without one.

    Raises:
        SettingsError: There is no such function.
    """
    pool = client().pool
    if pool.screen is None and pool.settings.screen is not None:
        pool.screen = _imported(pool.settings.screen)
    return pool.screen


def screened(screen: Screen, candidate: Candidate) -> Screened:
    """Let a screen see a memory. Where the screen fails, the memory is refused.

    Raises:
        ContentRefusedError: The screen refuses it, or fails.
    """
    try:
        verdict = screen(candidate)
    except Exception as error:
        raise ContentRefusedError(f"it failed ({type(error).__name__})") from error
    if not isinstance(verdict, Verdict):
        raise ContentRefusedError(f"it returned {type(verdict).__name__}, not a Verdict")
    if verdict.is_refused:
        raise ContentRefusedError(str(verdict.reason))
    return Screened(
        candidate.content_text if verdict.content_text is None else verdict.content_text,
        candidate.metadata if verdict.metadata is None else verdict.metadata,
        verdict.reason,
    )


def _imported(name: str) -> Screen:
    module, _, function = name.partition(":")
    try:
        found: Screen = getattr(import_module(module), function)
    except Exception as error:  # the module is the agent's own, and may fail with anything
        raise SettingsError("MEMORY_GUILD_SCREEN", f"names no function that can be imported: {error}") from error
    if not callable(found):
        raise SettingsError("MEMORY_GUILD_SCREEN", f"names something that cannot be called: {name}")
    return found
