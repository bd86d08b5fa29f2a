"""The data sources that memories may come from. All tenants share them, so an operator changes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memory_guild.database.scope import current_scope, is_in_scope
from memory_guild.database.statements import Statement
from memory_guild.errors import DuplicateNameError, InvalidInputError, ScopeError
from memory_guild.memories.arguments import check_flag, column_value
from memory_guild.memories.conditions import check_trust
from memory_guild.memories.origin import unknown_source
from memory_guild.models import DataSource
from memory_guild.rows import model_from, models_from
from memory_guild.settings import metadata_max_bytes
from memory_guild.types import DataSourceType
from memory_guild.values.checks import check_name, encode_json_object, plain

_REGISTER = Statement("sources/register_source")
_NAMED = Statement("sources/named_source")
_ALL = Statement("sources/all_sources")
_ACTIVATE = Statement("sources/activate_source")
_UPDATE = Statement("sources/update_source")


async def register(
    name: str,
    *,
    source_type: DataSourceType | str,
    source_uri: str | None = None,
    is_active: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> DataSource:
    """Register a data source, in an ``admin_scope``. With the same values again it changes nothing.

    Args:
        name: Its name, which callers give as ``source=``; at most 255 characters.
        source_type: What kind of system it is.
        source_uri: Where it is found.
        is_active: Whether something may be stored from it. This is for a new source only: to register a source again
            never activates it.
        metadata: Any JSON object. ``trust`` is a number from 0 to 1, for the condition ``min_trust``. With
            ``"quarantine": True`` what comes from it is held until somebody releases it.

    Returns:
        The source as it is stored.

    Raises:
        DuplicateNameError: A source of this name has another type, URI or other metadata; see :func:`update`.
        InvalidInputError: A value cannot be stored.
        ScopeError: This is not an ``admin_scope``.
    """
    _require_admin_scope()
    check_flag("is_active", is_active)
    name = _name(name)
    kind = column_value(DataSource, "source_type", source_type)
    uri = column_value(DataSource, "source_uri", source_uri)
    encoded = _encoded({} if metadata is None else metadata)
    row = await _REGISTER.fetch_row(name, kind, uri, is_active, encoded)
    row = row or await _NAMED.fetch_only_row(name, kind, uri, encoded)
    if not row["is_same"]:
        raise DuplicateNameError(
            f"a data source {name!r} is registered already, with other values; use sources.update() to change it, or"
            " choose another name",
            constraint="data_sources_source_name_key",
            table="data_sources",
        )
    return model_from(DataSource, row)


async def update(name: str, *, metadata: Mapping[str, Any]) -> DataSource:
    """Give a data source other metadata, in an ``admin_scope``: another trust, or the beginning or end of a quarantine.

    It may wait for the scopes that have begun to store from the source, as :func:`deactivate` does; where a quarantine
    begins, it always does. Where one ends, what is held stays held until it is released.

    Args:
        name: The source.
        metadata: All of its metadata from now on, see :func:`register`.

    Returns:
        The source as it is stored.

    Raises:
        UnknownSourceError: No source has the name.
        InvalidInputError: The metadata cannot be stored.
        LockNotAvailableError: A scope that stores from it does not end.
        ScopeError: This is not an ``admin_scope``.
    """
    _require_admin_scope()
    name = _name(name)
    row = await _UPDATE.fetch_row(name, _encoded(metadata))
    if row is None:
        raise await unknown_source(name)
    return model_from(DataSource, row)


async def activate(name: str) -> bool:
    """Let memories come from a data source again, in an ``admin_scope``.

    Args:
        name: The source.

    Returns:
        Whether it was inactive before.

    Raises:
        UnknownSourceError: No source has the name.
        ScopeError: This is not an ``admin_scope``.
    """
    return await _set_activity(name, is_active=True)


async def deactivate(name: str) -> bool:
    """Let no more memories come from a data source, in an ``admin_scope``. Those that are there stay.

    It waits for the scopes that have begun to store from the source, for up to a minute, and while it waits others that
    begin to store from a source wait for moments, too. After the ``admin_scope`` has committed, nothing from the source
    is committed any more.

    Args:
        name: The source.

    Returns:
        Whether it was active before.

    Raises:
        UnknownSourceError: No source has the name.
        LockNotAvailableError: A scope that stores from it does not end.
        ScopeError: This is not an ``admin_scope``.
    """
    return await _set_activity(name, is_active=False)


async def is_active(name: str) -> bool:
    """Whether memories may come from a data source; in any scope.

    Args:
        name: The source.

    Raises:
        UnknownSourceError: No source has the name.
    """
    name = _name(name)
    row = await _NAMED.fetch_row(name, None, None, None)
    if row is None:
        raise await unknown_source(name)
    return bool(row["is_active"])


async def list_all() -> list[DataSource]:
    """All data sources, by name; in any scope."""
    return models_from(DataSource, await _ALL.fetch())


async def _set_activity(name: str, *, is_active: bool) -> bool:
    _require_admin_scope()
    name = _name(name)
    if await _ACTIVATE.fetch_row(name, is_active) is not None:
        return True
    if await _NAMED.fetch_row(name, None, None, None) is None:
        raise await unknown_source(name)
    return False


def _require_admin_scope() -> None:
    if not is_in_scope() or current_scope().tenant_id is not None:
        raise ScopeError("all tenants share the data sources; change them inside `async with admin_scope(reason):`")


def _name(name: object) -> str:
    return plain(check_name("name", name))


def _encoded(metadata: Mapping[str, Any]) -> str:
    encoded = encode_json_object("metadata", metadata, metadata_max_bytes())
    if (trust := metadata.get("trust")) is not None:
        check_trust("metadata.trust", trust)
    if not isinstance(metadata.get("quarantine", False), bool):
        raise InvalidInputError("metadata.quarantine", "must be True or False")
    return encoded
