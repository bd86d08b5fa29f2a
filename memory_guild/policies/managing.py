"""Writing policies, listing them, and asking them by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from memory_guild.database.scope import current_scope
from memory_guild.errors import InvalidInputError, ScopeError
from memory_guild.models import MemoryAccessPolicy
from memory_guild.policies.deciding import current_decider
from memory_guild.policies.decisions import Decision
from memory_guild.policies.inputs import PolicyInput
from memory_guild.policies.rules import PolicyRules
from memory_guild.serializers import invalid_input
from memory_guild.values.checks import check_name, check_text


async def put(name: str, rego: str, *, is_active: bool = True) -> MemoryAccessPolicy:
    """Write a policy, new or in place of the one of this name. It needs an ``admin_scope``.

    Agents that run decide by it a moment after the scope has been committed, see
    ``MEMORY_GUILD_POLICIES_MAX_AGE_SECONDS``.

    Args:
        name: Its name, 1 to 255 characters.
        rego: Its source: a module ``package memory.access`` with rules ``allow`` and ``deny``, in the language of OPA
            1.0, at most 32,768 characters.
        is_active: Whether it counts.

    Returns:
        The policy as it is stored.

    Raises:
        PolicyError: It does not compile, or calls what a policy may not call; it says where. Nothing was written.
        PolicyEngineError: It cannot be compiled here: the policies are on an OPA server, or the engine gave no answer.
        SettingsError: The extra ``policies`` is not installed.
        ScopeError: It is called outside an ``admin_scope``.
    """
    _require_admin_scope()
    name = check_name("name", name)
    if not isinstance(is_active, bool):
        raise InvalidInputError("is_active", f"must be True or False, not {type(is_active).__name__}")
    await current_decider().engine.check(check_text("rego", rego))
    rules = PolicyRules(rego=rego).model_dump()
    policy, _ = await MemoryAccessPolicy.update_or_create(
        defaults={"policy_rules": rules, "is_active": is_active}, policy_name=name
    )
    return policy


async def remove(name: str) -> bool:
    """Delete a policy. It needs an ``admin_scope``.

    Args:
        name: Its name.

    Returns:
        Whether there was one.

    Raises:
        ScopeError: It is called outside an ``admin_scope``.
    """
    _require_admin_scope()
    return bool(await MemoryAccessPolicy.filter(policy_name=check_name("name", name)).delete())


async def list_all() -> list[MemoryAccessPolicy]:
    """All policies, active or not, by their names. It needs any scope."""
    current_scope()
    return await MemoryAccessPolicy.all().order_by("policy_name")


async def decide(asked: PolicyInput | Mapping[str, Any]) -> Decision:
    """Ask the active policies, whether or not they are enforced. It needs any scope.

    In an ``admin_scope`` they are those that the scope sees, with what it has changed and not yet committed. So you can
    write a policy, ask it, and roll back.

    Args:
        asked: What they see as ``input``.

    Returns:
        The decision, with its reason.

    Raises:
        InvalidInputError: The input has another shape.
        SettingsError: The extra of the engine is not installed.
    """
    scope = current_scope()
    try:
        given = PolicyInput.model_validate(asked)
    except ValidationError as error:
        raise invalid_input(error) from None
    decider = current_decider()
    if scope.tenant_id is None:
        decider = decider.apart()  # what it has changed may be rolled back: no agent may be decided by it
    await decider.refresh()
    return (await decider.decide([given.model_dump(mode="json")]))[0]


def _require_admin_scope() -> None:
    if current_scope().tenant_id is not None:
        raise ScopeError("policies are of all tenants: change them inside `async with admin_scope():`")
