"""Aerich's table of the applied migrations, which a new database lacks.

`aerich heads` asks which migrations are applied before there is a table that could tell.
"""

from __future__ import annotations

from typing import Any

from aerich.models import Aerich
from tortoise.manager import Manager
from tortoise.queryset import ExistsQuery, QuerySet

from memory_guild.errors import UndefinedObjectError


class _AppliedQuery(ExistsQuery):
    """Whether a migration is applied: none is where the table is missing. Only this engine raises that error."""

    __slots__ = ()

    async def _execute(self) -> bool:
        try:
            return await super()._execute()
        except UndefinedObjectError:
            return False


class _HistoryQuerySet(QuerySet[Aerich]):
    def exists(self) -> ExistsQuery:
        query = super().exists()
        query.__class__ = _AppliedQuery
        return query


class _HistoryManager(Manager):
    def get_queryset(self) -> QuerySet[Any]:
        return _HistoryQuerySet(self._model)


def know_new_databases() -> None:
    """Let Aerich's model answer that no migration is applied where its table is missing."""
    Aerich._meta.manager = _HistoryManager(Aerich)
