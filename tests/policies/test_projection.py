"""What a policy cannot see makes no difference; what it may see always does."""

from __future__ import annotations

from typing import Any

import pytest

from memory_guild.policies.projection import key_of, projected, visible_paths

INPUT = {
    "agent_id": "me",
    "tenant_id": "acme",
    "action": "read",
    "memory": {"memory_id": "1", "agent_id": "me", "metadata": {"team": "a", "level": 1}, "created_at": None},
    "source": None,
}


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("allow if input.agent_id == input.memory.agent_id", {"agent_id": "me", "memory": {"agent_id": "me"}}),
        ("allow if input.memory.metadata.team", {"memory": {"metadata": {"team": "a"}}}),
        ('allow if input.memory.metadata["team"]', {"memory": {"metadata": INPUT["memory"]["metadata"]}}),  # type: ignore[index]
        ("allow if input.memory[x]", {"memory": INPUT["memory"]}),
        ("import input.memory as m\nallow if m.memory_id", {"memory": INPUT["memory"]}),
        ("x := input\nallow if x.agent_id", INPUT),
        ("allow if f(input)", INPUT),
        ('allow if input["agent_id"]', INPUT),
        ("allow if true with input as {}", INPUT),
        ("# input\nallow if input.agent_id", INPUT),
        ("allow if input.source.trust > 0.5", {"source": None}),
        ("allow if input.nothing.at.all", {}),
        ("allow if input.agent_id.x", {"agent_id": "me"}),
        ("allow if input.memory.metadata.missing", {"memory": {"metadata": {}}}),
        ("allow if inputs.agent_id", {}),
        ("allow := true", {}),
        ("allow if input.memory; deny if input.memory.agent_id", {"memory": INPUT["memory"]}),
    ],
)
def test_what_a_policy_may_see(source: str, seen: dict[str, Any]) -> None:
    assert projected(INPUT, visible_paths([source])) == seen


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, False), ([1], [True])])
def test_values_that_python_takes_for_equal_are_told_apart(one: Any, other: Any) -> None:
    assert key_of({"x": one}) != key_of({"x": other})
