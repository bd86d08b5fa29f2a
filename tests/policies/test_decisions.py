"""The decision table: what several policies say together, whatever each of them says."""

from __future__ import annotations

from itertools import product
from typing import Any, TypeAlias

import pytest

from memory_guild.policies.decisions import Answer, combined

Values: TypeAlias = tuple[Any, ...]

ALLOW: Values = (True,)
NO_ALLOW: Values = (False,)
UNDEFINED: Values = ()
DENY, NO_DENY = ALLOW, NO_ALLOW
ODD: list[Values] = [("yes",), (1,), ([],), ({},), (None,), (True, False)]


@pytest.mark.parametrize(
    ("answers", "allowed", "reason"),
    [
        ([], False, "no policy is active"),
        ([Answer("a", ALLOW)], True, "the policy a allows it"),
        ([Answer("a", ALLOW, NO_DENY)], True, "the policy a allows it"),
        ([Answer("a", NO_ALLOW)], False, "no policy allows it"),
        ([Answer("a", UNDEFINED)], False, "no policy allows it"),
        ([Answer("a", ALLOW, DENY)], False, "the policy a denies it"),
        ([Answer("a", UNDEFINED, DENY)], False, "the policy a denies it"),
        ([Answer("a", UNDEFINED), Answer("b", ALLOW), Answer("c", ALLOW)], True, "the policy b allows it"),
        ([Answer("a", ALLOW), Answer("b", UNDEFINED, DENY)], False, "the policy b denies it"),
        ([Answer("a", ALLOW), Answer("b", error="it broke")], False, "the policy b failed: it broke"),
        ([Answer("b", error="it broke"), Answer("a", ALLOW)], False, "the policy b failed: it broke"),
    ],
)
def test_what_policies_say_together(answers: list[Answer], allowed: bool, reason: str) -> None:
    decision = combined(answers)
    assert (decision.allowed, decision.reason) == (allowed, reason)


@pytest.mark.parametrize("odd", ODD)
def test_a_rule_that_is_not_true_or_false_denies(odd: Values) -> None:
    for other in (ALLOW, UNDEFINED):
        denied = combined([Answer("a", other), Answer("b", UNDEFINED, odd)])
        assert (denied.allowed, denied.policy) == (False, "b")
    not_allowed = combined([Answer("a", ALLOW), Answer("b", odd)])
    assert not not_allowed.allowed
    assert not_allowed.reason == "the policy b has a rule `allow` that is not true or false"


def test_nothing_is_allowed_that_is_not_clearly_allowed() -> None:
    """All pairs of policies: one must allow, none may deny, fail or be odd."""
    kinds = [
        Answer("x", allow, deny, error)
        for allow in (ALLOW, NO_ALLOW, UNDEFINED, ("yes",))
        for deny in (DENY, NO_DENY, UNDEFINED, ({},))
        for error in (None, "it broke")
    ]
    for one, other in product(kinds, kinds):
        both = (one, other)
        is_clear = (
            any(answer.allow == ALLOW for answer in both)
            and all(answer.allow in (ALLOW, NO_ALLOW, UNDEFINED) for answer in both)
            and all(answer.deny in (NO_DENY, UNDEFINED) for answer in both)
            and not any(answer.error for answer in both)
        )
        assert combined(both).allowed is is_clear, both


def test_only_a_failure_does_not_last() -> None:
    assert combined([Answer("a", ALLOW)]).is_lasting
    assert combined([Answer("a", UNDEFINED, DENY)]).is_lasting
    assert not combined([Answer("a", error="it broke")]).is_lasting
