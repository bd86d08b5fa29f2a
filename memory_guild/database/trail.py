"""The trail of a scope: what it has for the audit, written and still to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

ROLLED_BACK = "rolled back"
"""The outcome of what was done and undone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded. The server adds when, and which login.

    Attributes:
        event: What happened, see :class:`memory_guild.types.AuditEvent`.
        outcome: How it ended, such as ``done`` or ``denied``.
        tenant_id: The tenant that it is about; None for all of them.
        agent_id: The agent, or None.
        subject: A name: of a policy, of a source.
        reason: Why, in words.
        details: Numbers, ids and hashes; never what a memory contains.
        audit_id: Its id. Who writes an entry twice, because nobody knows whether it was committed, has one.
    """

    event: str
    outcome: str
    tenant_id: str | None = None
    agent_id: str | None = None
    subject: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    audit_id: UUID = field(default_factory=uuid4)


@dataclass(slots=True)
class Trail:
    """The entries of one outermost scope.

    Attributes:
        written: Those that its transaction has, for the log once it is committed.
        surviving: Those to be written when it ends, however it does.
        undone: Those to be written only if it is rolled back.
    """

    written: list[Entry] = field(default_factory=list)
    surviving: list[Entry] = field(default_factory=list)
    undone: list[Entry] = field(default_factory=list)

    def rest(self) -> list[Entry]:
        """What is left to write after a rollback."""
        return [*(replace(entry, outcome=ROLLED_BACK) for entry in self.undone), *self.surviving]

    def roll_back_to(self, written_before: int) -> None:
        """A savepoint was rolled back: what was written since is gone, and some of it is to be known all the same."""
        gone = self.written[written_before:]
        del self.written[written_before:]
        self.surviving += [replace(entry, outcome=ROLLED_BACK) for entry in self.undone if entry in gone]
        self.undone = [entry for entry in self.undone if entry not in gone]
