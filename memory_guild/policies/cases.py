"""Cases: what a policy is to decide, in a file beside it, ``own_memories.cases.json`` for ``own_memories.rego``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from memory_guild.errors import UnreadableFileError
from memory_guild.policies.inputs import PolicyInput
from memory_guild.policies.loading import Policy
from memory_guild.policies.rego import RegoEngine
from memory_guild.serializers import invalid_input


class PolicyCase(BaseModel):
    """A case: an input, and whether the policy is to allow it.

    Attributes:
        name: What the case is about.
        input: What the policy sees as ``input``.
        allowed: Whether the policy alone is to allow it.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    input: PolicyInput
    allowed: bool


class CaseResult(NamedTuple):
    """What a policy decided.

    Attributes:
        case: The case.
        allowed: Whether it was allowed.
        reason: Why.
    """

    case: PolicyCase
    allowed: bool
    reason: str

    @property
    def is_right(self) -> bool:
        """Whether the decision is the one that the case wants."""
        return self.allowed is self.case.allowed


_CASES = TypeAdapter(list[PolicyCase])


def read_source(path: Path) -> str:
    """The source in a file.

    Raises:
        UnreadableFileError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except OSError as error:
        raise UnreadableFileError(str(path), error.strerror or type(error).__name__) from None
    except UnicodeDecodeError:
        raise UnreadableFileError(str(path), "it is not UTF-8") from None


def read_cases(path: Path) -> list[PolicyCase]:
    """The cases in a file: a JSON list of objects with ``name``, ``input`` and ``allowed``.

    Raises:
        UnreadableFileError: It cannot be read, or has another shape.
    """
    try:
        return _CASES.validate_json(read_source(path))
    except ValidationError as error:
        raise UnreadableFileError(str(path), str(invalid_input(error))) from None


async def check(rego: str) -> None:
    """Compile a policy, without a database.

    Raises:
        PolicyError: It does not compile; it says where.
        SettingsError: The extra ``policies`` is not installed.
    """
    engine = RegoEngine(timeout_seconds=10.0)
    try:
        await engine.check(rego)
    finally:
        await engine.close()


async def run_cases(rego: str, cases: list[PolicyCase]) -> list[CaseResult]:
    """What a policy alone decides in each case, without a database.

    Raises:
        PolicyError: It does not compile; it says where.
        SettingsError: The extra ``policies`` is not installed.
    """
    engine = RegoEngine(timeout_seconds=10.0)
    try:
        await engine.check(rego)
        decisions = await engine.decide(
            [Policy("tested", rego)], [case.input.model_dump(mode="json") for case in cases]
        )
    finally:
        await engine.close()
    return [
        CaseResult(case, decision.allowed, decision.reason) for case, decision in zip(cases, decisions, strict=True)
    ]
