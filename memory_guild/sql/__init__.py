"""The statements, one per ``.sql`` file, with a sentence of purpose on top."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of ``name.sql``."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
