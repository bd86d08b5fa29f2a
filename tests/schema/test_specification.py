"""The packaged specification is the one that was agreed on, byte for byte."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import pytest

# Read on import: tests run without the MEMORY_GUILD_ variables of the environment.
_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "spec" / "memory_guild.sql"
AGREED = Path(os.environ.get("MEMORY_GUILD_SPEC") or _BESIDE_THE_REPOSITORY)


@pytest.mark.skipif(
    not AGREED.is_file(), reason=f"{AGREED} does not exist; name the agreed specification in MEMORY_GUILD_SPEC"
)
def test_packaged_specification_is_the_agreed_one() -> None:
    packaged = files("memory_guild").joinpath("schema", "sql", "specification.sql").read_bytes()

    assert packaged == AGREED.read_bytes()
