"""How many operations the proof has run, in one place; the terminal summary prints it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass
class Count:
    """Operations that one tenant ran while others had rows there to be seen, changed or missed.

    Attributes:
        operations: How many ran.
        leaks: What they brought to light; one sentence each.
    """

    operations: int = 0
    leaks: list[str] = field(default_factory=list)


COUNT = Count()

WANTED_OPERATIONS = int(os.environ.get("MEMORY_GUILD_TEST_TENANCY_OPERATIONS", "10000"))
"""How many operations a run of the whole folder makes at the least."""
TABLE_OPERATIONS = 9_000
"""How many of them the tables of operations make by themselves, rounded down."""
