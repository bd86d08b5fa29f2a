"""What PostgreSQL says went wrong, as the package's errors: the one place that reads SQLSTATE and constraint names."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from memory_guild.database.rendering import GuildQuery
from memory_guild.errors import (
    AuthenticationError,
    CheckError,
    ConnectionFailedError,
    ConstraintError,
    DuplicateEmbeddingError,
    DuplicateError,
    DuplicateMemoryError,
    DuplicateNameError,
    DuplicateRelationshipError,
    IdentityError,
    InvalidInputError,
    MemoryGuildError,
    PermissionDeniedError,
    RoleMissingError,
    ScopeAbortedError,
    ScopeIdleError,
    SealError,
    SelfReferenceError,
    ServerUnreachableError,
    StatementCanceledError,
    TenantMismatchError,
    TenantNotSetError,
    TransactionConflictError,
    UnknownDatabaseError,
    UnknownMemoryError,
)

OLDEST_SERVER_VERSION = 15
"""The oldest major version of PostgreSQL that the package is tested on."""

_DUPLICATES: dict[str, tuple[type[DuplicateError], str]] = {
    "unique_content_hash": (
        DuplicateMemoryError,
        "this agent of this tenant has a memory with this content_hash already; read it instead of storing it again",
    ),
    "unique_memory_embedding": (
        DuplicateEmbeddingError,
        "this memory has an embedding by this model already; update its vector_id instead",
    ),
    "unique_relationship": (
        DuplicateRelationshipError,
        "there is an edge of this type from this source to this target already; update it instead",
    ),
    "data_sources_source_name_key": (DuplicateNameError, "there is a data source of this name already; choose another"),
    "memory_access_policies_policy_name_key": (
        DuplicateNameError,
        "there is an access policy of this name already; choose another",
    ),
}
_CHECKED_COLUMNS = {
    "memory_records_source_type_check": "source_type",
    "memory_relationships_relationship_type_check": "relationship_type",
    "memory_relationships_confidence_score_check": "confidence_score",
    "data_sources_source_type_check": "source_type",
}


def translate(error: asyncpg.PostgresError) -> MemoryGuildError | None:
    """The package's error for what a statement raised, or None where none fits better than the original."""
    handler = _BY_SQLSTATE.get(error.sqlstate or "")
    return handler(error) if handler else None


INSUFFICIENT_PRIVILEGE = "42501"
INVALID_PARAMETER_VALUE = "22023"
LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
READ_ONLY = "25006"

Explanations: TypeAlias = Mapping[str, Callable[[asyncpg.PostgresError], MemoryGuildError]]
"""What an error means to those who know more than its SQLSTATE says, by SQLSTATE."""


class explained_errors:  # noqa: N801  # used like a function: `with explained_errors(…):`
    """Raise the errors that the explanations give for what the database refuses inside the block; others pass.

    A class, because every statement passes through it, and a generator takes several microseconds.
    """

    __slots__ = ("_explanations",)

    def __init__(self, explanations: Explanations | None = None) -> None:
        self._explanations = explanations

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Raise what the error means instead of it."""
        if isinstance(error, asyncpg.PostgresError):
            self._raise_instead(error)

    def _raise_instead(self, error: asyncpg.PostgresError) -> None:
        if self._explanations and (explain := self._explanations.get(error.sqlstate or "")) is not None:
            raise explain(error) from None


class translated_errors(explained_errors):  # noqa: N801  # likewise
    """Raise the package's errors for what the database refuses inside the block.

    The server's own error quotes the row, so it is not chained: it must not appear in a traceback.

    Args:
        explanations: Errors that say more than the usual ones where this block knows more.
    """

    __slots__ = ()

    def _raise_instead(self, error: asyncpg.PostgresError) -> None:
        super()._raise_instead(error)
        raise translate(error) or error from None


def translate_connecting(error: Exception, target: str) -> ConnectionFailedError | None:
    """The package's error for what opening a connection raised.

    Args:
        error: What asyncpg raised.
        target: The server for the message, without a password.
    """
    match error:
        case MemoryGuildError():
            return None  # it says what is wrong already
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return AuthenticationError(f"{target} refused the login; check user and password, and pg_hba.conf")
        case asyncpg.InvalidCatalogNameError():
            return UnknownDatabaseError(f"{target}: the server has no such database; create it with `createdb`")
        case asyncpg.ProtocolViolationError():
            return ConnectionFailedError(
                f"{target} refused a start-up setting; where a pooler such as pgbouncer stands between, set"
                " MEMORY_GUILD_POOLER=1"
            )
        case asyncpg.PostgresConnectionError() | asyncpg.CannotConnectNowError():
            return ServerUnreachableError(
                f"{target} ended the connection at once ({error.sqlstate}); is it a PostgreSQL, and is it up yet?"
            )
        case asyncpg.PostgresError():
            return ConnectionFailedError(f"{target} refused the connection: {error.args[0]} ({error.sqlstate})")
        case asyncpg.InterfaceError() | ValueError():
            return ConnectionFailedError(
                f"{target} cannot be used as given; check the URL's query ({type(error).__name__})"
            )
        case TimeoutError():
            return ServerUnreachableError(f"{target} did not answer in time; is it up, and is a firewall in between?")
        case OSError():
            return ServerUnreachableError(
                f"nothing answers at {target} ({error.strerror or type(error).__name__}); start the server, or unset"
                " MEMORY_GUILD_DATABASE_URL to use the embedded one"
            )
        case _:
            return None


def _unique_violation(error: asyncpg.PostgresError) -> MemoryGuildError:
    kind, message = _DUPLICATES.get(
        error.constraint_name or "", (DuplicateError, "a row with the same unique key is there already")
    )
    return kind(message, constraint=error.constraint_name, table=error.table_name, sqlstate=error.sqlstate)


def _check_violation(error: asyncpg.PostgresError) -> MemoryGuildError:
    constraint = error.constraint_name
    if constraint == "no_self_reference":
        return SelfReferenceError(
            "target_memory_id",
            "must not be the source; an edge connects two memories",
            constraint=constraint,
            table=error.table_name,
        )
    return CheckError(
        _CHECKED_COLUMNS.get(constraint or "", error.table_name or "row"),
        f"is forbidden by the check {constraint or 'of the table'}",
        constraint=constraint,
        table=error.table_name,
    )


def _not_null_violation(error: asyncpg.PostgresError) -> MemoryGuildError:
    return CheckError(
        error.column_name or "row", "is required and cannot be None", table=error.table_name, sqlstate="23502"
    )


def _foreign_key_violation(error: asyncpg.PostgresError) -> MemoryGuildError:
    return UnknownMemoryError(
        "the memory does not exist; store it first, and check the id",
        constraint=error.constraint_name,
        table=error.table_name,
        sqlstate=error.sqlstate,
    )


def _other_constraint(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ConstraintError(
        "a constraint refused the row",
        constraint=error.constraint_name,
        table=error.table_name,
        sqlstate=error.sqlstate,
    )


def _bad_value(error: asyncpg.PostgresError) -> MemoryGuildError:
    # The server's text may quote the value: it is kept as the cause, never repeated.
    return InvalidInputError(error.column_name or "value", f"does not fit its column (SQLSTATE {error.sqlstate})")


def _bad_argument(error: asyncpg.PostgresError) -> MemoryGuildError:
    # Raised by asyncpg itself, before anything is sent: it names the argument's number, and quotes its value.
    argument = re.search(r"\$\d+", str(error))
    return InvalidInputError(
        f"argument {argument[0]}" if argument else "value", "is of a type that its column does not take"
    )


def _connection_lost(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ServerUnreachableError(
        f"the server ended the connection (SQLSTATE {error.sqlstate}); what the transaction did is undone, run it again"
    )


def _canceled(error: asyncpg.PostgresError) -> MemoryGuildError:
    return StatementCanceledError(
        "the server canceled the statement; MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS sets how long one may take"
    )


def _identity_change(error: asyncpg.PostgresError) -> MemoryGuildError:
    return IdentityError(
        "a memory never changes its id or tenant; store a new one",
        constraint=error.constraint_name,
        table=error.table_name,
        sqlstate=error.sqlstate,
    )


# The object's name is in no field of the error, only in its text; in another language than English it stays unknown.
_DENIED = re.compile(
    r"permission denied for (table|view|materialized view|foreign table|sequence|schema|function) (.+)"
)
_OWN_NAMES = ("memory_", "data_sources", "aerich")
_WRITES = {"INSERT": "INSERT INTO", "UPDATE": "UPDATE", "DELETE": "DELETE FROM"}


def _permission_denied(error: asyncpg.PostgresError) -> MemoryGuildError:
    denied = _DENIED.fullmatch(str(error.args[0]))
    if denied is not None and not denied[2].startswith(_OWN_NAMES):
        grant = _lacking_grant(denied[1], denied[2], getattr(error, "query", None) or "")
        return PermissionDeniedError(
            f"scopes run as the role memory_guild_app, which may not use the {denied[1]} {denied[2]} in this way; let"
            f" its owner run: {grant} (for admin_scope(): TO memory_guild_admin)",
            grant=grant,
        )
    return PermissionDeniedError(
        "the role may not do this (SQLSTATE 42501): inside a tenant scope the database gives the ids, leave them out,"
        " and the shared catalogues are read only; `memory-guild doctor` lists missing grants"
    )


def _lacking_grant(kind: str, name: str, query: str) -> str:
    """The statement that gives the application role what a query needs of an object."""
    pattern = rf'(?:ONLY\s+)?(?:"?(?P<schema>\w+)"?\.)?"?{re.escape(name)}"?(?!\w)'
    quoted = name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
    if kind in ("sequence", "schema", "function"):
        privilege = "EXECUTE" if kind == "function" else "USAGE"
        return f"GRANT {privilege} ON {kind.upper()} {quoted} TO memory_guild_app"
    writes = [
        privilege
        for privilege, keyword in _WRITES.items()
        if re.search(rf"\b{keyword}\s+{pattern}", query, re.IGNORECASE)
    ]
    # A write with a condition, or one that returns something, reads too.
    reads = not writes or re.search(r"\b(?:WHERE|RETURNING|CONFLICT)\b", query, re.IGNORECASE)
    if (found := re.search(pattern, query)) and found["schema"]:
        quoted = f"{found['schema']}.{quoted}"
    return f"GRANT {', '.join(['SELECT'] * bool(reads) + writes)} ON {quoted} TO memory_guild_app"


def _scope_aborted(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ScopeAbortedError(
        "an earlier statement of this transaction has failed, and its error was caught; let it end the scope, or put"
        " what may fail into a nested scope"
    )


def _scope_idle(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ScopeIdleError(
        "the scope sent no statement for MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS, so the server ended it; call models"
        " and networks outside the scope"
    )


def _transaction_conflict(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TransactionConflictError(
        f"other transactions were in the way (SQLSTATE {error.sqlstate}), and this one is undone; run the scope again"
    )


def _role_missing(error: asyncpg.PostgresError) -> MemoryGuildError:
    return RoleMissingError(f"{error.args[0]}. {getattr(error, 'hint', '')}")


def _other_tenant(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TenantMismatchError("the row names another tenant than the scope's; leave tenant_id out, or open that scope")


def _not_opened(error: asyncpg.PostgresError) -> MemoryGuildError:
    return SealError("the database is sealed: only tenant_scope() opens a tenant, with the key")


def _no_tenant(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TenantNotSetError("no tenant is set; write inside `async with tenant_scope(tenant_id):`")


_BY_SQLSTATE: dict[str, Callable[[asyncpg.PostgresError], MemoryGuildError]] = {
    "23505": _unique_violation,
    "23514": _check_violation,
    "23502": _not_null_violation,
    "23503": _foreign_key_violation,
    "23001": _identity_change,
    "23P01": _other_constraint,
    "22000": _bad_argument,
    "22001": _bad_value,
    "22003": _bad_value,
    "22007": _bad_value,
    "22008": _bad_value,
    "22021": _bad_value,
    "22P02": _bad_value,
    "22P05": _bad_value,
    "08000": _connection_lost,
    "08003": _connection_lost,
    "08006": _connection_lost,
    "25P02": _scope_aborted,
    "25P03": _scope_idle,
    "40001": _transaction_conflict,
    "40P01": _transaction_conflict,
    "42501": _permission_denied,
    "57014": _canceled,
    "57P01": _connection_lost,
    "57P02": _connection_lost,
    "57P03": _connection_lost,
    "MG001": _role_missing,
    "MG002": _other_tenant,
    "MG003": _no_tenant,
    "MG004": _not_opened,
}


class TranslatingClient(AsyncpgDBClient):
    """Tortoise's client, raising the package's errors for what the database refused."""

    query_class = GuildQuery

    async def _translate_exceptions(
        self, func: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        async def translated(client: AsyncpgDBClient, *args: Any, **kwargs: Any) -> Any:
            with translated_errors():
                return await func(client, *args, **kwargs)

        return await super()._translate_exceptions(translated, *args, **kwargs)
