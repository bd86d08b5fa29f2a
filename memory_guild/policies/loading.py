"""The active policies of the database, as this process knows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from memory_guild.database.statements import Statement
from memory_guild.errors import PolicyError
from memory_guild.policies.rules import PolicyRules, check_source

_ACTIVE = Statement("policies/active_policies")


class Policy(NamedTuple):
    """An active policy.

    Attributes:
        name: Its name.
        rego: Its source.
        version: When it was changed last, by the server's clock.
        error: Why it cannot be used; None if it can. Such a policy denies everything.
    """

    name: str
    rego: str
    version: datetime | None = None
    error: str | None = None


async def active_policies() -> tuple[Policy, ...]:
    """Read them, by their names, over the connection of the current scope."""
    rows = await _ACTIVE.fetch()
    return tuple(policy_from(row["policy_name"], json.loads(row["policy_rules"]), row["updated_at"]) for row in rows)


def policy_from(name: str, rules: Mapping[str, Any], version: datetime | None) -> Policy:
    """The policy of a row: whoever wrote it may not have asked :func:`memory_guild.policies.put`."""
    try:
        rego = PolicyRules.model_validate(rules).rego
        check_source(rego)
    except ValidationError:
        return Policy(name, "", version, "its policy_rules have another shape")
    except PolicyError as error:
        return Policy(name, "", version, f"it {error.reason}")
    return Policy(name, rego, version)
