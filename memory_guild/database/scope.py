"""Which tenant the current task works for: a tenant scope sets it, the models read it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tortoise import Model
from tortoise.expressions import Q
from tortoise.manager import Manager
from tortoise.queryset import QuerySet

from memory_guild.database.connections import current_connection, transaction_of_task
from memory_guild.database.querysets import CheckedQuerySet
from memory_guild.database.transaction import KeyedConnection, ScopeTransaction
from memory_guild.errors import ScopeClosedError, TenantNotSetError

_Model = TypeVar("_Model", bound=Model)


@dataclass(frozen=True, slots=True)
class Scope:
    """A unit of work for one tenant, or for maintenance across all of them.

    Attributes:
        tenant_id: The tenant; None in a maintenance scope.
        agent_id: The agent that verbs and models assume where none is given, or None.
        group: The schema that the tables are in.
        transaction: The connection that everything in the scope uses.
    """

    tenant_id: str | None
    agent_id: str | None
    group: str
    transaction: ScopeTransaction = field(repr=False, compare=False)


_current: ContextVar[Scope | None] = ContextVar("memory_guild_scope", default=None)
enter = _current.set
leave = _current.reset


def surrounding_scope() -> Scope | None:
    """The scope that the current task is in, ended or not; None outside."""
    return None if transaction_of_task.get() is None else _current.get()  # a database that was chosen since hides it


def is_in_scope() -> bool:
    """Whether the task is in a scope that has not ended."""
    scope = surrounding_scope()
    return scope is not None and not scope.transaction.closed


def current_scope() -> Scope:
    """The scope that the current task is in; a task inherits the one that it was started in.

    Raises:
        NotConnectedError: It is in none, and nothing is connected.
        TenantNotSetError: It is in none.
        ScopeClosedError: It was started in one that has ended.
    """
    scope = surrounding_scope()
    if scope is None:
        current_connection()  # says so where nothing is connected
        raise TenantNotSetError(
            "no tenant is set; do this inside `async with tenant_scope(tenant_id):` (across tenants: `admin_scope()`)"
        )
    if scope.transaction.closed:
        raise ScopeClosedError(
            "the scope that this task was started in has ended; await the task inside it, or open one in the task"
        )
    return scope


class TenantQuerySet(CheckedQuerySet[_Model]):
    """A queryset that knows whether it finds its rows by key, which decides how the server plans it.

    A list is planned for the tenant at hand. Rows that a primary or foreign key names have one plan for all, and
    planning them again would cost as much as reading them.
    """

    def _filter_or_exclude(self, *args: Q, negate: bool, **kwargs: Any) -> QuerySet[_Model]:
        queryset = super()._filter_or_exclude(*args, negate=negate, **kwargs)
        db = queryset._db
        if (
            not negate
            and (db is None or isinstance(db, ScopeTransaction))
            and _is_by_key(self.model, Q(*args, **kwargs))
        ):
            queryset._db = KeyedConnection(db)  # type: ignore[assignment]  # it stands for the connection
        return queryset


def _is_by_key(model: type[Model], condition: Q) -> bool:
    """Whether a condition that must hold names rows by a primary or foreign key."""
    if condition._is_negated or (condition.join_type == Q.OR and len(condition.children) + len(condition.filters) > 1):
        return False
    return any(_names_a_key(model, name) for name in condition.filters) or any(
        _is_by_key(model, child) for child in condition.children
    )


def _names_a_key(model: type[Model], name: str) -> bool:
    *path, last = name.removesuffix("__in").split("__")
    for step in path:
        related = getattr(model._meta.fields_map.get(step), "related_model", None)
        if related is None:
            return False
        model = related
    meta = model._meta
    foreign = {key for fk in meta.fk_fields for key in (fk, meta.fields_map[fk].source_field)}
    return last in {"pk", meta.pk_attr, *foreign}


class TenantManager(Manager):
    """Gives a model's querysets the scope's tenant as a condition: for the planner, row-level security enforces it.

    Args:
        tenant_path: How the model reaches the tenant, such as ``memory__tenant_id``.
        forgotten_paths: How it reaches whether its memories are forgotten, such as ``memory__is_deleted``.
        queryset_class: What the querysets of the model are.

    Attributes:
        live_condition: What holds for the rows none of whose memories is forgotten.
    """

    def __init__(
        self, tenant_path: str, *forgotten_paths: str, queryset_class: type[QuerySet[Any]] = TenantQuerySet
    ) -> None:
        super().__init__()
        self.live_condition = Q(*map(_is_live, forgotten_paths))
        self._tenant_path = tenant_path
        self._queryset_class = queryset_class

    def unscoped(self) -> QuerySet[Any]:
        """The model's rows without a condition."""
        return self._queryset_class(self._model)

    def get_queryset(self) -> QuerySet[Any]:
        """The model's rows in the current scope."""
        scope = current_scope()
        rows = self.unscoped()
        return rows if scope.tenant_id is None else rows.filter(**{self._tenant_path: scope.tenant_id})


def _is_live(path: str) -> Q:
    """What holds where a memory is not forgotten, also where nobody said whether it is."""
    conditions: dict[str, Any] = {path: False, f"{path}__isnull": True}
    return Q(**conditions, join_type=Q.OR)


def connection_for(model: type[Model]) -> Any:
    """The connection that a model uses now.

    Raises:
        TenantNotSetError: The model is of tenants, and the current task is in no scope.
    """
    require_scope(model)
    return current_connection()


def require_scope(model: type[Model]) -> None:
    """Check that a model may be used: one of tenants has no connection outside a scope."""
    if isinstance(model._meta.manager, TenantManager):
        current_scope()
