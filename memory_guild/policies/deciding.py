"""Deciding: the database's engine, its active policies, and the decisions that are known already."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from memory_guild.database.engine import client
from memory_guild.database.scope import current_scope
from memory_guild.policies.decisions import Decision
from memory_guild.policies.loading import Policy, active_policies
from memory_guild.policies.opa import OpaEngine
from memory_guild.policies.projection import Path, key_of, projected, visible_paths
from memory_guild.policies.rego import RegoEngine
from memory_guild.settings import OPA, Settings

_MOST_KNOWN = 100_000


class PolicyEngine(Protocol):
    """What evaluates policies."""

    async def check(self, rego: str) -> None:
        """Compile a policy.

        Raises:
            PolicyError: It does not compile.
            PolicyEngineError: It cannot be compiled now, or here.
        """
        ...

    async def decide(self, policies: Sequence[Policy], inputs: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Decide about several inputs. It raises nothing: what fails denies."""
        ...

    async def close(self) -> None:
        """Free what it holds."""
        ...


class Decider:
    """Decides for one pool and group of tenants. Decisions are known as long as the policies that they come from are.

    Args:
        engine: What evaluates the policies.
        holds_policies: Whether the engine has policies of its own, so that those of the database are not read.
        max_age_seconds: How old the policies may be by which it decides.

    Attributes:
        fields_of_memory: The fields of ``memory`` that the policies that it knows can see; None for all of them.
        known_kinds: Decisions that its callers know by keys of their own, as long as the policies stay the same.
    """

    def __init__(self, engine: PolicyEngine, *, holds_policies: bool, max_age_seconds: float) -> None:
        self.engine = engine
        self._holds_policies = holds_policies
        self._max_age_seconds = max_age_seconds
        self._read_at: float | None = None
        self._policies: tuple[Policy, ...] = ()
        self._paths: tuple[Path, ...] = ((),)
        self.fields_of_memory: frozenset[str] | None = None
        self._known: dict[str, Decision] = {}
        self.known_kinds: dict[Any, Decision] = {}

    def apart(self) -> Decider:
        """One with the same engine, which reads the policies itself and shares no decision."""
        return Decider(self.engine, holds_policies=self._holds_policies, max_age_seconds=self._max_age_seconds)

    def sees(self, field: str) -> bool:
        """Whether the policies that it knows can see a field of the input, or a part of it."""
        return any(not path or path[0] == field for path in self._paths)

    def version_of(self, name: str | None) -> datetime | None:
        """When a policy that it knows was changed last."""
        return next((policy.version for policy in self._policies if policy.name == name), None)

    async def refresh(self) -> None:
        """Read the active policies, unless that was done a moment ago. It needs a scope."""
        now = time.monotonic()
        if self._read_at is not None and now - self._read_at <= self._max_age_seconds:
            return
        if self._holds_policies:
            self._forget_decisions()
        elif (policies := await active_policies()) != self._policies or self._read_at is None:
            self.use(policies)
        self._read_at = now

    def use(self, policies: tuple[Policy, ...]) -> None:
        """Decide by these policies from now on."""
        self._policies = policies
        self._paths = visible_paths(policy.rego for policy in policies)
        self.fields_of_memory = _fields_of_memory(self._paths)
        self._forget_decisions()

    def keep_kinds(self, known: dict[Any, Decision], decided: Mapping[Any, Decision]) -> None:
        """Keep those decisions that last in the given ``known_kinds``, which are no longer used if policies changed."""
        if len(known) >= _MOST_KNOWN:
            known.clear()
        known.update((kind, decision) for kind, decision in decided.items() if decision.is_lasting)

    def _forget_decisions(self) -> None:
        # New ones, not empty ones: who decides by the old policies at this moment keeps the decisions in the old ones.
        self._known, self.known_kinds = {}, {}

    async def decide(self, inputs: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Decide about inputs by the policies that :meth:`refresh` read; those that look alike only once."""
        policies, paths, known = self._policies, self._paths, self._known
        projections = [projected(given, paths) for given in inputs]
        keys = [key_of(projection) for projection in projections]
        decisions = {key: decision for key in keys if (decision := known.get(key)) is not None}
        asked = {key: one for key, one in zip(keys, projections, strict=True) if key not in decisions}
        if asked:
            answers = await self.engine.decide(policies, list(asked.values()))
            decisions.update(zip(asked, answers, strict=True))
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known.update((key, decisions[key]) for key in asked if decisions[key].is_lasting)
        return [decisions[key] for key in keys]


def _fields_of_memory(paths: Sequence[Path]) -> frozenset[str] | None:
    if any(path in ((), ("memory",)) for path in paths):
        return None
    return frozenset(path[1] for path in paths if path[0] == "memory")


def current_decider() -> Decider:
    """The decider of the current scope's group of tenants, whose policies may be others than those of another group.

    It ends with the pool. All of a pool's have one engine.
    """
    pool, group = client().pool.for_agents(), current_scope().group
    decider = pool.deciders.get(group)
    if isinstance(decider, Decider):
        return decider
    first = next(iter(pool.deciders.values()), None)
    if isinstance(first, Decider):
        decider = first.apart()
    else:
        settings = pool.settings
        decider = Decider(
            engine_of(settings),
            holds_policies=settings.policies == OPA,
            max_age_seconds=settings.policies_max_age_seconds,
        )
        pool.closed_with_it.append(decider.engine.close)
    pool.deciders[group] = decider
    return decider


def engine_of(settings: Settings) -> PolicyEngine:
    """The engine that the settings name; where they say ``off``, the one in a process of its own."""
    if settings.policies == OPA:
        return OpaEngine(
            settings.opa_url or "", token=settings.opa_token, timeout_seconds=settings.policies_timeout_seconds
        )
    return RegoEngine(timeout_seconds=settings.policies_timeout_seconds)
