"""PostgreSQL's and the driver's errors as the package's: the one place that reads SQLSTATE.

Each SQLSTATE belongs to a class, its first two characters. ``_BY_SQLSTATE`` has those that mean something of their
own, ``_BY_CLASS`` the classes, and what is in neither is a :class:`DatabaseError`: every code has an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from memory_guild.database.rendering import GuildQuery
from memory_guild.database.shards import WORKER_LOST, name_fields
from memory_guild.errors import (
    AuthenticationError,
    CheckError,
    ConnectionFailedError,
    ConstraintError,
    DatabaseError,
    DataError,
    DuplicateEmbeddingError,
    DuplicateError,
    DuplicateMemoryError,
    DuplicateNameError,
    DuplicateRelationshipError,
    HeldMemoryError,
    IdentityError,
    InactiveSourceError,
    InsufficientResourcesError,
    InternalError,
    LockNotAvailableError,
    MemoryGuildError,
    NoGroupError,
    PermissionDeniedError,
    ProgrammingError,
    ReadOnlyError,
    RoleMissingError,
    SchemaChangedError,
    ScopeAbortedError,
    ScopeIdleError,
    SealError,
    SearchNotInstalledError,
    SelfReferenceError,
    ServerUnreachableError,
    StatementCanceledError,
    TenantMismatchError,
    TenantMovedError,
    TenantMovingError,
    TenantNotSetError,
    TransactionConflictError,
    TransactionStateError,
    UndefinedObjectError,
    UnknownDatabaseError,
    UnknownMemoryError,
)

OLDEST_SERVER_VERSION = 15
"""The oldest major version of PostgreSQL that the package is tested on."""

_DUPLICATES: dict[str, tuple[type[DuplicateError], str]] = {
    "unique_content_hash": (
        DuplicateMemoryError,
        "this agent already has a memory with this content_hash; read that one instead of storing it again",
    ),
    "unique_memory_embedding": (
        DuplicateEmbeddingError,
        "this memory already has an embedding by this model; update its vector_id instead",
    ),
    "unique_relationship": (
        DuplicateRelationshipError,
        "the two memories already have an edge of this type in this direction; update that one instead",
    ),
    "data_sources_source_name_key": (DuplicateNameError, "a data source with this name exists; choose another name"),
    "memory_access_policies_policy_name_key": (
        DuplicateNameError,
        "an access policy with this name exists; choose another name",
    ),
}
_CHECKED_COLUMNS = {
    "memory_records_source_type_check": "source_type",
    "memory_relationships_relationship_type_check": "relationship_type",
    "memory_relationships_confidence_score_check": "confidence_score",
    "data_sources_source_type_check": "source_type",
}


DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OverflowError,  # a value that Python cannot hold
    UnicodeError,  # text that is not UTF-8
)
"""What asyncpg raises when it runs a statement."""


def translate(error: Exception) -> MemoryGuildError:
    """The package's error for one of ``DRIVER_ERRORS``."""
    match error:
        case asyncpg.InvalidCachedStatementError() | asyncpg.OutdatedSchemaCacheError():
            return SchemaChangedError(
                "a table of this statement was changed while the statement was prepared; run the scope again",
                sqlstate=getattr(error, "sqlstate", None),
            )
        case asyncpg.PostgresError():
            sqlstate = error.sqlstate or ""
            if sqlstate.startswith("23"):
                name_fields(error)
            return (_BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2]) or _other)(error)
        case asyncpg.InternalClientError():  # the server's last words came between two statements
            return connection_lost()
        case asyncpg.InterfaceError():
            reason = str(error).partition("\n")[0]
            return ProgrammingError(f"the driver cannot do this: {reason}")
        case OverflowError():
            return DataError("result", "has a date or a number that Python cannot hold; select it as text")
        case _:
            return DataError(
                "value", "is not UTF-8; create databases with the encoding UTF8, and decode text correctly"
            )


def connection_lost() -> ServerUnreachableError:
    """The error for a connection that broke."""
    return ServerUnreachableError("the server ended the connection; the scope was rolled back, run it again")


INSUFFICIENT_PRIVILEGE = "42501"
INVALID_PARAMETER_VALUE = "22023"
LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
READ_ONLY = "25006"
UNDEFINED_FUNCTION = "42883"
UNDEFINED_TABLE = "42P01"

Explanations: TypeAlias = Mapping[str, Callable[[asyncpg.PostgresError], MemoryGuildError]]
"""What an error means to those who know more than its SQLSTATE says, by SQLSTATE."""

SEARCH_NOT_INSTALLED: Explanations = {
    UNDEFINED_FUNCTION: lambda _: SearchNotInstalledError(),
    UNDEFINED_TABLE: lambda _: SearchNotInstalledError(),
}
"""What it means to a statement of the search that there is no such function or table."""


class explained_errors:  # noqa: N801  # used like a function: `with explained_errors(…):`
    """Raise the errors that the explanations give for the database's errors inside the block; others pass.

    A class, because every statement passes through it, and a generator takes several microseconds.
    """

    __slots__ = ("_explanations",)

    def __init__(self, explanations: Explanations | None = None) -> None:
        self._explanations = explanations

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Raise what the error means instead of it."""
        if self._explanations and isinstance(error, asyncpg.PostgresError):
            explain = self._explanations.get(error.sqlstate or "")
            if explain is not None:
                raise explain(error) from None


class translated_errors(explained_errors):  # noqa: N801  # likewise
    """Raise the package's errors for the database's errors inside the block.

    The server's own error quotes the row, so it is not chained: it must not appear in a traceback.

    Args:
        explanations: Errors that say more than the usual ones where this block knows more.
    """

    __slots__ = ()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Raise what the error means instead of it."""
        super().__exit__(kind, error, traceback)
        if isinstance(error, DRIVER_ERRORS):
            raise translate(error) from None


def translate_connecting(error: Exception, target: str) -> ConnectionFailedError | None:
    """The package's error for what opening a connection raised.

    Args:
        error: What asyncpg raised.
        target: The server for the message, without a password.
    """
    match error:
        case MemoryGuildError():
            return None  # it says what is wrong already
        case asyncpg.TargetServerAttributeNotMatched():
            return ServerUnreachableError(
                f"no server at {target} has the target_session_attrs that are asked for; is one taking over?"
            )
        case asyncpg.TooManyConnectionsError():
            return ServerUnreachableError(
                f"{target} has no connection left (53300); lower MEMORY_GUILD_POOL_MAX, or raise its max_connections"
            )
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return AuthenticationError(f"{target} refused the login; check user and password, and pg_hba.conf")
        case asyncpg.InvalidCatalogNameError():
            return UnknownDatabaseError(f"{target}: the server has no such database; create it with `createdb`")
        case asyncpg.ProtocolViolationError():
            return ConnectionFailedError(
                f"{target} refused a start-up setting; where a pooler such as pgbouncer stands between, set"
                " MEMORY_GUILD_POOLER=1"
            )
        case asyncpg.PostgresConnectionError() | asyncpg.OperatorInterventionError() | asyncpg.InternalClientError():
            reason = getattr(error, "sqlstate", type(error).__name__)
            return ServerUnreachableError(
                f"{target} ended the connection at once ({reason}); is it a PostgreSQL, and is it up yet?"
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
        error.constraint_name or "", (DuplicateError, "a row with the same unique key exists")
    )
    return kind(message, constraint=error.constraint_name, table=error.table_name, sqlstate=error.sqlstate)


def _check_violation(error: asyncpg.PostgresError) -> MemoryGuildError:
    constraint = error.constraint_name
    if constraint == "no_self_reference":
        return SelfReferenceError("target_memory_id")
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


# The state of this one is 23001 since PostgreSQL 18, and 23503 before.
_SOURCE_OF_MEMORIES = "memory_sources_source_id_fkey"


def _source_of_memories(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ConstraintError(
        "memories came from the data source, so it cannot be deleted, or there is no such source; deactivate it, and no"
        " more come from it",
        constraint=error.constraint_name,
        table=error.table_name,
        sqlstate=error.sqlstate,
    )


def _foreign_key_violation(error: asyncpg.PostgresError) -> MemoryGuildError:
    if error.constraint_name == _SOURCE_OF_MEMORIES:
        return _source_of_memories(error)
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
    return DataError(
        error.column_name or "value", f"does not fit its column (SQLSTATE {error.sqlstate})", sqlstate=error.sqlstate
    )


def _wrong_value(error: asyncpg.PostgresError) -> MemoryGuildError:
    return DataError(error.column_name or "value", _condition(error), sqlstate=error.sqlstate)


def _condition(error: asyncpg.PostgresError) -> str:
    """What PostgreSQL calls the SQLSTATE, such as "division by zero": unlike its messages, that quotes nothing."""
    words = re.findall(
        r"[A-Z]+(?![a-z])|[A-Z][a-z]+", type(error).__name__.removeprefix("Postgres").removesuffix("Error")
    )
    return f"{' '.join(words).lower()} (SQLSTATE {error.sqlstate})"


def _bad_argument(error: asyncpg.PostgresError) -> MemoryGuildError:
    # Raised by asyncpg itself, before anything is sent: it names the argument's number, and quotes its value.
    argument = re.search(r"\$\d+", str(error))
    return DataError(
        f"argument {argument[0]}" if argument else "value",
        "is of a type that its column does not take",
        sqlstate=error.sqlstate,
    )


def _too_large(error: asyncpg.PostgresError) -> MemoryGuildError:
    return DataError(
        "value", f"is too large or too complex for the server (SQLSTATE {error.sqlstate})", sqlstate=error.sqlstate
    )


def _wrong_statement(error: asyncpg.PostgresError) -> MemoryGuildError:
    position = getattr(error, "position", None)
    place = f" at character {position}" if position else ""
    return ProgrammingError(
        f"the server cannot run this statement: {_condition(error)}{place}",
        sqlstate=error.sqlstate,
    )


def _undefined_object(error: asyncpg.PostgresError) -> MemoryGuildError:
    # These messages quote a name, or the types of a function's arguments.
    return UndefinedObjectError(
        f"{error.args[0]} (SQLSTATE {error.sqlstate}); check the name and MEMORY_GUILD_SCHEMA, and whether the database"
        " needs `memory-guild upgrade`",
        sqlstate=error.sqlstate,
    )


def _foreign_prepared_statement(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ProgrammingError(
        f"a prepared statement is not the driver's own (SQLSTATE {error.sqlstate}); where a pooler such as pgbouncer"
        " stands between, set MEMORY_GUILD_POOLER=1",
        sqlstate=error.sqlstate,
    )


def _transaction_state(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TransactionStateError(
        f"the statement is not possible in this state of the transaction: {_condition(error)}",
        sqlstate=error.sqlstate,
    )


def _read_only(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ReadOnlyError(
        "this server or transaction is read-only; retry while another server takes over, else connect to the primary",
        sqlstate=error.sqlstate,
    )


def _lock_not_available(error: asyncpg.PostgresError) -> MemoryGuildError:
    return LockNotAvailableError(
        "somebody else holds a lock for longer than lock_timeout; run the scope again later", sqlstate=error.sqlstate
    )


def _insufficient_resources(error: asyncpg.PostgresError) -> MemoryGuildError:
    lacks = {"53100": "disk space", "53200": "memory", "53300": "connections"}.get(error.sqlstate or "", "resources")
    return InsufficientResourcesError(
        f"the server has no {lacks} left (SQLSTATE {error.sqlstate}); run the scope again when there is more",
        sqlstate=error.sqlstate,
    )


def _internal(error: asyncpg.PostgresError) -> MemoryGuildError:
    if str(error.args[0]).startswith(WORKER_LOST):
        return ServerUnreachableError(
            "the worker that has the schema does not answer; the scope was rolled back, run it again"
        )
    return InternalError(
        f"the server failed: {_condition(error)}; its log says why, and a value of hundreds of megabytes may be the"
        " reason",
        sqlstate=error.sqlstate,
    )


def _other(error: asyncpg.PostgresError) -> MemoryGuildError:
    return DatabaseError(
        f"the server refused the statement: {_condition(error)}; its log says why", sqlstate=error.sqlstate
    )


def _connection_lost(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ServerUnreachableError(
        f"the server ended the connection (SQLSTATE {error.sqlstate}); the transaction was rolled back, run it again"
    )


def _login_refused(error: asyncpg.PostgresError) -> MemoryGuildError:
    return AuthenticationError(f"the server refused the login (SQLSTATE {error.sqlstate}); check user and password")


def _canceled(error: asyncpg.PostgresError) -> MemoryGuildError:
    return StatementCanceledError(
        "the server canceled the statement; MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS sets how long one may take",
        sqlstate=error.sqlstate,
    )


def _transaction_timeout(error: asyncpg.PostgresError) -> MemoryGuildError:
    return StatementCanceledError(
        "the transaction took longer than transaction_timeout, so the server ended it; make scopes shorter",
        sqlstate=error.sqlstate,
    )


def _identity_change(error: asyncpg.PostgresError) -> MemoryGuildError:
    if error.constraint_name == _SOURCE_OF_MEMORIES:
        return _source_of_memories(error)
    return IdentityError(
        "the id and the tenant of a memory cannot be changed; store a new memory instead",
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
        "the role may not do this (SQLSTATE 42501): inside a tenant scope the database chooses the ids, so leave them"
        " out, and the shared catalogues are read-only; `memory-guild doctor` lists missing grants",
        sqlstate=error.sqlstate,
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
        "an earlier statement of this transaction failed, and its error was caught; let the error end the scope, or put"
        " what may fail into a nested scope"
    )


def _scope_idle(error: asyncpg.PostgresError) -> MemoryGuildError:
    return ScopeIdleError(
        "the scope sent no statement for MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS, so the server ended it; call models"
        " and networks outside the scope"
    )


def _transaction_conflict(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TransactionConflictError(
        f"there was a conflict with other transactions (SQLSTATE {error.sqlstate}), and this one was rolled back; run"
        " the scope again",
        sqlstate=error.sqlstate,
    )


def _role_missing(error: asyncpg.PostgresError) -> MemoryGuildError:
    return RoleMissingError(f"{error.args[0]}. {getattr(error, 'hint', '')}")


def _other_tenant(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TenantMismatchError("the row names another tenant than the scope; leave tenant_id out, or open that scope")


def _held(error: asyncpg.PostgresError) -> MemoryGuildError:
    return HeldMemoryError(UUID(error.detail))


def _inactive_source(error: asyncpg.PostgresError) -> MemoryGuildError:
    return InactiveSourceError(error.detail or "")


def _not_opened(error: asyncpg.PostgresError) -> MemoryGuildError:
    return SealError("the database is sealed: only tenant_scope() opens a tenant, with the key")


def _moved(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TenantMovedError("the tenant was moved to another group of tenants; run the scope again")


def _moving(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TenantMovingError("the tenant is being moved to another group of tenants; run it again")


def _no_group(error: asyncpg.PostgresError) -> MemoryGuildError:
    return NoGroupError()


def _not_asked(error: asyncpg.PostgresError) -> MemoryGuildError:
    # PostgreSQL's code for many things; the seal's function raises it in a session that nobody has opened.
    if "memory_guild_seal_opened" not in str(error.args[0]):
        return _other(error)
    return SealError(
        "the database was sealed after this process connected; set MEMORY_GUILD_SEAL_KEY to what `memory-guild seal`"
        " prints, and connect again"
    )


def _no_tenant(error: asyncpg.PostgresError) -> MemoryGuildError:
    return TenantNotSetError("no tenant is set; write inside `async with tenant_scope(tenant_id):`")


_BY_SQLSTATE: dict[str, Callable[[asyncpg.PostgresError], MemoryGuildError]] = {
    "22000": _bad_argument,
    "22001": _bad_value,  # too long
    "22003": _bad_value,  # a number
    "22007": _bad_value,  # a date or time
    "22008": _bad_value,
    "22021": _bad_value,  # characters
    "22P02": _bad_value,  # text
    "22P05": _bad_value,
    "23001": _identity_change,
    "23502": _not_null_violation,
    "23503": _foreign_key_violation,
    "23505": _unique_violation,
    "23514": _check_violation,
    READ_ONLY: _read_only,
    "25P02": _scope_aborted,
    "25P03": _scope_idle,
    "25P04": _transaction_timeout,
    "26000": _foreign_prepared_statement,
    INSUFFICIENT_PRIVILEGE: _permission_denied,
    "42703": _undefined_object,  # column
    "42704": _undefined_object,  # type, role, index and so on
    "42883": _undefined_object,  # function or operator
    "42P01": _undefined_object,  # table
    "42P05": _foreign_prepared_statement,
    "3F000": _undefined_object,  # schema
    "55000": _not_asked,
    LOCK_NOT_AVAILABLE: _lock_not_available,
    QUERY_CANCELED: _canceled,
    "MG001": _role_missing,
    "MG002": _other_tenant,
    "MG003": _no_tenant,
    "MG004": _not_opened,
    "MG006": _moved,
    "MG007": _no_group,
    "MG008": _moving,
    "MG011": _held,
    "MG012": _inactive_source,
}

_BY_CLASS: dict[str, Callable[[asyncpg.PostgresError], MemoryGuildError]] = {
    "08": _connection_lost,
    "0A": _wrong_statement,  # not supported
    "0B": _transaction_state,  # cannot begin a transaction
    "21": _wrong_statement,  # a subquery returned several rows
    "22": _wrong_value,
    "23": _other_constraint,
    "24": _wrong_statement,  # a cursor's state
    "25": _transaction_state,
    "26": _wrong_statement,
    "28": _login_refused,
    "2D": _transaction_state,  # cannot end a transaction
    "34": _wrong_statement,  # a cursor's name
    "3B": _transaction_state,  # a savepoint's name
    "3D": _wrong_statement,  # a database's name
    "3F": _wrong_statement,
    "40": _transaction_conflict,
    "42": _wrong_statement,
    "44": _other_constraint,  # WITH CHECK OPTION of a view
    "53": _insufficient_resources,
    "54": _too_large,
    "57": _connection_lost,  # an operator, or the server's end
    "58": _internal,
    "F0": _internal,
    "XX": _internal,
}
"""The classes of PostgreSQL's documentation, appendix A, that an application can meet."""


def _check_statement(statement: str) -> None:
    """Refuse what the driver cannot encode: it would notice too late, and its connection would be lost."""
    try:
        statement.encode()
    except UnicodeEncodeError:
        raise DataError("statement", "contains a lone surrogate; decode the text correctly first") from None


class TranslatingClient(AsyncpgDBClient):
    """Tortoise's client, raising the package's errors instead of the database's."""

    query_class = GuildQuery

    async def _translate_exceptions(
        self, func: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        if args and isinstance(args[0], str) and not args[0].isascii():
            _check_statement(args[0])

        async def translated(client: AsyncpgDBClient, *args: Any, **kwargs: Any) -> Any:
            with translated_errors():
                return await func(client, *args, **kwargs)

        return await super()._translate_exceptions(translated, *args, **kwargs)
