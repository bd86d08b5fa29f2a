"""Decisions: what several policies say together. Everything that is not clearly allowed is denied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

NO_POLICY = "no policy is active"
NOT_ALLOWED = "no policy allows it"


class Answer(NamedTuple):
    """What one policy says.

    Attributes:
        policy: Its name.
        allow: The value of its rule ``allow``; empty if it is undefined.
        deny: The value of its rule ``deny``; empty if it is undefined.
        error: Why it could not be evaluated; None if it was.
    """

    policy: str
    allow: tuple[Any, ...] = ()
    deny: tuple[Any, ...] = ()
    error: str | None = None


class Decision(NamedTuple):
    """Whether something may be done, and why.

    Attributes:
        allowed: Whether it may.
        reason: Why it may, or may not.
        policy: The name of the policy that decided; None if it was none of them.
        is_lasting: Whether the same policies would say the same again: not after a time-out, a crash or an error.
    """

    allowed: bool
    reason: str
    policy: str | None = None
    is_lasting: bool = True


def failed(reason: str, policy: str | None = None) -> Decision:
    """The denial for policies that could not be asked."""
    return Decision(allowed=False, reason=reason, policy=policy, is_lasting=False)


def combined(answers: Iterable[Answer]) -> Decision:
    """What policies say together: an error denies, then ``deny``, and without an ``allow`` everything is denied."""
    allowing: str | None = None
    odd: Decision | None = None
    count = 0
    for answer in answers:
        count += 1
        if answer.error is not None:
            return failed(f"the policy {answer.policy} failed: {answer.error}", answer.policy)
        if any(value is not False for value in answer.deny):
            is_plain = all(value is True for value in answer.deny)
            reason = "denies it" if is_plain else "has a rule `deny` that is not true or false"
            return Decision(allowed=False, reason=f"the policy {answer.policy} {reason}", policy=answer.policy)
        if len(answer.allow) > 1 or any(not isinstance(value, bool) for value in answer.allow):
            odd = Decision(
                allowed=False,
                reason=f"the policy {answer.policy} has a rule `allow` that is not true or false",
                policy=answer.policy,
            )
        elif answer.allow == (True,) and allowing is None:
            allowing = answer.policy
    if odd is not None:
        return odd
    if allowing is None:
        return Decision(allowed=False, reason=NOT_ALLOWED if count else NO_POLICY)
    return Decision(allowed=True, reason=f"the policy {allowing} allows it", policy=allowing)
