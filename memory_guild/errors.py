"""Every error that the package raises, as one tree under :class:`MemoryGuildError`.

An error has its data as fields, and its message says what to do next. Errors end up in logs, so no message quotes the
content of a memory, a value of its metadata or a password.

Where Tortoise has a class for a situation, ours extends it too, so ``except DoesNotExist`` goes on working. The names
for what the server refused are those of PEP 249, as in Django and psycopg.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from tortoise.exceptions import (
    ConfigurationError,
    DBConnectionError,
    DoesNotExist,
    FieldError,
    IncompleteInstanceError,
    IntegrityError,
    MultipleObjectsReturned,
    NoValuesFetched,
    ObjectDoesNotExistError,
    OperationalError,
    ParamsError,
    TransactionManagementError,
    UnSupportedError,
    ValidationError,
)


class MemoryGuildError(Exception):
    """The base class: catch it to catch every error of Memory Guild.

    Attributes:
        retryable: Whether the same work may succeed when its scope is run again. If not, something has to change first.
        http_status: The status of an HTTP response that reports the error: below 500 if the request was at fault.
    """

    retryable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500


def is_retryable(error: BaseException) -> bool:
    """Whether to run a scope again that ended with this error: ``stamina.retry(on=is_retryable)``."""
    return isinstance(error, MemoryGuildError) and error.retryable


# --- what the caller passed -------------------------------------------------------------------------------------


class InvalidInputError(MemoryGuildError, ValueError):
    """An argument or a value is invalid; nothing was written.

    Attributes:
        field: The field or argument, such as ``agent_id`` or ``metadata.when``.
        reason: What is wrong, and what is accepted.
    """

    http_status = 422

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InvalidQueryError(
    InvalidInputError,
    FieldError,
    ParamsError,
    ValidationError,
    IncompleteInstanceError,
    UnSupportedError,
    ConfigurationError,
):
    """A queryset, or a method of a model, cannot use its arguments: an unknown field, a limit that is no number.

    It is also each of the classes that Tortoise has for this, so code written for Tortoise keeps working.
    """

    def __init__(self, reason: str, *, field: str = "query") -> None:
        super().__init__(field, reason)


class UnreadableFileError(MemoryGuildError):
    """A file of memories cannot be opened, or cannot be read to its end. What was stored before that stays.

    Attributes:
        path: The file, as the caller named it.
        reason: What went wrong.
    """

    http_status = 422

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}")
        self.path = path
        self.reason = reason


class ContentRefusedError(MemoryGuildError):
    """The screen refused a memory, or failed; nothing was stored.

    Attributes:
        reason: What the screen said.
    """

    http_status = 422

    def __init__(self, reason: str) -> None:
        super().__init__(f"the screen refused the memory: {reason}")
        self.reason = reason


# --- what the database refused ----------------------------------------------------------------------------------


class DatabaseError(MemoryGuildError, OperationalError):
    """The server, or the driver, refused a statement. The subclasses say what kind of refusal it was.

    Attributes:
        sqlstate: The five characters of PostgreSQL's error code; None if the error is not the server's.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        Exception.__init__(self, message)
        self.sqlstate = sqlstate


class DataError(DatabaseError, InvalidInputError):
    """A value does not fit its column, or is too large for the server (SQLSTATE classes 22 and 54)."""

    def __init__(self, field: str, reason: str, *, sqlstate: str | None = None) -> None:
        DatabaseError.__init__(self, f"{field}: {reason}", sqlstate=sqlstate)
        self.field = field
        self.reason = reason


class ProgrammingError(DatabaseError):
    """The statement is wrong, or was sent in the wrong way; sending it again does not help (SQLSTATE class 42)."""


class TransactionStateError(DatabaseError, TransactionManagementError):
    """The statement is not possible in this state of the transaction (SQLSTATE class 25)."""


class ReadOnlyError(DatabaseError):
    """The server, or the transaction, takes no writes (SQLSTATE 25006), as while another server takes over.

    The pool then connects anew, so another attempt reaches the server that takes writes.
    """

    http_status = 503
    retryable = True


class LockNotAvailableError(DatabaseError):
    """Somebody else holds a lock for longer than ``lock_timeout``, or it was not to be waited for (SQLSTATE 55P03)."""

    http_status = 503
    retryable = True


class InsufficientResourcesError(DatabaseError):
    """The server has no disk space, memory or connection left (SQLSTATE class 53); it wrote nothing."""

    http_status = 503
    retryable = True


class InternalError(DatabaseError):
    """The server failed at something that should not fail (SQLSTATE classes XX, 58 and F0); its log says more."""


class ConstraintError(DatabaseError, IntegrityError):
    """A constraint of the schema refused a row; the statement wrote nothing.

    Attributes:
        constraint: The constraint's name in the catalog; None if the server did not send it, as on Citus.
        table: The table's name, or None.
    """

    http_status = 409

    def __init__(
        self, message: str, *, constraint: str | None = None, table: str | None = None, sqlstate: str | None = None
    ) -> None:
        DatabaseError.__init__(self, message, sqlstate=sqlstate)
        self.constraint = constraint
        self.table = table


class DuplicateError(ConstraintError):
    """A row with the same unique key exists (SQLSTATE 23505)."""


class DuplicateMemoryError(DuplicateError):
    """The agent already has this text (``unique_content_hash``)."""


class DuplicateEmbeddingError(DuplicateError):
    """The memory already has an embedding by this model (``unique_memory_embedding``)."""


class DuplicateRelationshipError(DuplicateError):
    """The two memories already have an edge of this type in this direction (``unique_relationship``)."""


class DuplicateNameError(DuplicateError):
    """A data source or an access policy with this name exists."""


class UnknownMemoryError(ConstraintError):
    """An embedding or an edge names a memory that does not exist (SQLSTATE 23503)."""

    http_status = 404


class CheckError(ConstraintError, InvalidInputError):
    """A CHECK or NOT NULL constraint forbids the value (SQLSTATE 23514, 23502).

    Type, field and constraint are the same whether the package found the violation before it sent the statement, or the
    database did.
    """

    http_status = 422

    def __init__(
        self,
        field: str,
        reason: str,
        *,
        constraint: str | None = None,
        table: str | None = None,
        sqlstate: str = "23514",
    ) -> None:
        ConstraintError.__init__(self, f"{field}: {reason}", constraint=constraint, table=table, sqlstate=sqlstate)
        self.field = field
        self.reason = reason


class HashCollisionError(ConstraintError):
    """The agent has a different text with the same hash, stored or in the same batch; nothing was stored.

    Attributes:
        agent_id: The agent of both texts.
        content_hash: The hash of both texts.
    """

    def __init__(self, agent_id: str, content_hash: str) -> None:
        super().__init__(
            f"agent {agent_id!r} already has a different text with the hash {content_hash}; change the new text, even"
            " by one space, and store it again",
            constraint="unique_content_hash",
            table="memory_records",
        )
        self.agent_id = agent_id
        self.content_hash = content_hash


class SelfReferenceError(CheckError):
    """Source and target of an edge are the same memory (``no_self_reference``)."""

    def __init__(self, field: str) -> None:
        super().__init__(
            field,
            "must not be the source; an edge connects two memories",
            constraint="no_self_reference",
            table="memory_relationships",
        )


# --- what was found, and what was not ---------------------------------------------------------------------------


class NotFoundError(MemoryGuildError, DoesNotExist, ObjectDoesNotExistError):  # type: ignore[misc]  # their `model`
    """What was asked for does not exist, or not for this tenant.

    It is also ``tortoise.exceptions.DoesNotExist``, which a queryset's ``get`` raises.
    """

    http_status = 404

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.model = None

    def __str__(self) -> str:
        return str(self.args[0])


class SeveralFoundError(MemoryGuildError, MultipleObjectsReturned):
    """The ``get`` of a queryset matches several rows."""

    http_status = 409

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.model = None


class NotFetchedError(MemoryGuildError, NoValuesFetched):
    """A relation of a model was used before it was fetched."""


class MemoryNotFoundError(NotFoundError):
    """A memory does not exist in this tenant, or it is forgotten; nothing was written.

    For a memory of another tenant, the error is the same as for one that does not exist.

    Attributes:
        memory_ids: The ids that were not found.
    """

    def __init__(self, *memory_ids: UUID) -> None:
        named = ", ".join(str(memory_id) for memory_id in memory_ids[:3])
        if len(memory_ids) == 1:
            message = f"memory {named} does not exist in this tenant, or it is forgotten; check the id"
        else:
            named += f" and {len(memory_ids) - 3:,} more" if len(memory_ids) > 3 else ""
            message = f"memories {named} do not exist in this tenant, or they are forgotten; check the ids"
        super().__init__(f"{message}, or use include_forgotten=True to read forgotten memories")
        self.memory_ids = memory_ids


class ForgottenMemoryError(MemoryGuildError):
    """The text is a forgotten memory, and ``on_forgotten`` is ``raise``.

    Attributes:
        memory_id: The forgotten memory.
    """

    http_status = 409

    def __init__(self, memory_id: UUID) -> None:
        super().__init__(f"this text is memory {memory_id}, which is forgotten; restore() it, or leave it forgotten")
        self.memory_id = memory_id


class HeldMemoryError(MemoryGuildError):
    """Memories are held in quarantine, so nothing but ``sources.release`` brings them back; nothing was written.

    Attributes:
        memory_ids: The memories that are held; of several, the database names the first.
    """

    http_status = 409

    def __init__(self, *memory_ids: UUID) -> None:
        named = ", ".join(str(memory_id) for memory_id in memory_ids[:3])
        named += f" and {len(memory_ids) - 3:,} more" if len(memory_ids) > 3 else ""
        super().__init__(
            f"held in quarantine, because of the source that it came from: {named}; look at it, and release it with"
            " sources.release()"
        )
        self.memory_ids = memory_ids


class UnknownSourceError(NotFoundError):
    """No data source has this name.

    Attributes:
        source: The name that was given.
        nearest: The name of a source that is almost the same, or None.
    """

    def __init__(self, source: str, nearest: str | None = None) -> None:
        meant = f"did you mean {nearest!r}?" if nearest is not None else "register it with sources.register()"
        super().__init__(f"no data source has the name {source!r}; {meant}")
        self.source = source
        self.nearest = nearest


class InactiveSourceError(MemoryGuildError):
    """The data source is not active, so nothing is stored that comes from it.

    Attributes:
        source: The source's name.
    """

    http_status = 403

    def __init__(self, source: str) -> None:
        super().__init__(
            f"the data source {source!r} is not active, so nothing is stored from it; sources.activate() changes that"
        )
        self.source = source


class SourceRequiredError(InvalidInputError):
    """A memory was to be stored from no source, and ``MEMORY_GUILD_SOURCES`` is ``named``; nothing was written."""

    def __init__(self) -> None:
        super().__init__("source", "is required, because MEMORY_GUILD_SOURCES is named: give the name of a data source")


class SearchLimitError(MemoryGuildError):
    """A search reached its limit before it was complete.

    Attributes:
        limit: The most memories that it may look at.
    """

    http_status = 422

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the search reached its limit of {limit:,} memories before it was complete; raise the limit, or narrow the"
            " search by type or confidence"
        )
        self.limit = limit


class ConflictError(MemoryGuildError):
    """The memory is not the version that the caller expected: it was changed since; nothing was written.

    Attributes:
        memory_id: The memory.
        expected_updated_at: The version that the caller expected.
        actual_updated_at: The version that is stored.
    """

    http_status = 409

    def __init__(self, memory_id: UUID, expected_updated_at: datetime, actual_updated_at: datetime | None) -> None:
        super().__init__(
            f"memory {memory_id} was changed at {actual_updated_at}; you expected the version of {expected_updated_at}."
            " Read it again and retry."
        )
        self.memory_id = memory_id
        self.expected_updated_at = expected_updated_at
        self.actual_updated_at = actual_updated_at


# --- the server and the schema ----------------------------------------------------------------------------------


class SettingsError(MemoryGuildError, ValueError):
    """An environment variable, or a part of the database URL, is invalid.

    Attributes:
        setting: The name of the variable, such as ``MEMORY_GUILD_POOL_MAX``.
        reason: What is wrong, and what is accepted.
    """

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting
        self.reason = reason


class EmbedderError(MemoryGuildError):
    """An embedder made no vectors. The message says what to do, and quotes no text.

    Attributes:
        model: The embedder's model, such as ``openai:text-embedding-3-small``.
        reason: What is wrong, and what to do.
    """

    http_status = 503

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{model}: {reason}")
        self.model = model
        self.reason = reason


class EmbedderUnavailableError(EmbedderError):
    """The endpoint of an embedder does not answer, or takes no more requests for now."""

    retryable = True


class VectorIndexError(MemoryGuildError):
    """A vector index outside PostgreSQL failed. No memory is lost: PostgreSQL has all vectors.

    Attributes:
        index: The index, such as ``qdrant:http://localhost:6333``.
        reason: What is wrong.
        is_in_doubt: Whether the call may have been carried out, or may still be, as after a time-out. False where it
            certainly was not, as when the connection was refused.
    """

    http_status = 503
    retryable = True

    def __init__(self, index: str, reason: str, *, is_in_doubt: bool = True) -> None:
        super().__init__(f"{index}: {reason}")
        self.index = index
        self.reason = reason
        self.is_in_doubt = is_in_doubt


class IndexNotRegisteredError(MemoryGuildError):
    """The database does not say yet which vectors change, for a vector index outside PostgreSQL.

    Attributes:
        index: The index, such as ``qdrant:http://localhost:6333``.
    """

    http_status = 503

    def __init__(self, index: str) -> None:
        super().__init__(
            f"this database does not mirror its vectors into {index} yet; run `memory-guild sync` once with a login"
            " that may become memory_guild_admin"
        )
        self.index = index


class ConnectionFailedError(MemoryGuildError, DBConnectionError):
    """Connecting failed. The message has host, port, user and database, but never a password."""

    http_status = 503


class ServerUnreachableError(ConnectionFailedError):
    """No server answers at the address, or the connection was lost."""

    retryable = True


class AuthenticationError(ConnectionFailedError):
    """The server refused the login: a wrong password, an unknown role, or no entry in ``pg_hba.conf``."""


class UnknownDatabaseError(ConnectionFailedError):
    """The server has no database with this name."""


class ServerTooOldError(ConnectionFailedError):
    """The server is older than PostgreSQL 15.

    Attributes:
        server_version: The server's version, such as ``"14.11"``.
    """

    def __init__(self, message: str, *, server_version: str) -> None:
        super().__init__(message)
        self.server_version = server_version


class UnsupportedEncodingError(ConnectionFailedError):
    """The database is not in UTF-8, so that it cannot store every text.

    Attributes:
        encoding: The database's encoding, such as ``"LATIN1"``.
    """

    def __init__(self, encoding: str) -> None:
        super().__init__(
            f"the database's encoding is {encoding}, in which not every text can be stored or is counted in characters;"
            " make one with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', and load what is in this one there"
        )
        self.encoding = encoding


class SeveralDatabasesError(MemoryGuildError):
    """Several memory databases are open, and nothing says which one is meant.

    Attributes:
        databases: Their URLs, without passwords.
    """

    def __init__(self, databases: list[str]) -> None:
        super().__init__(
            f"{len(databases)} memory databases are open ({', '.join(databases)}); name one: `async with"
            " guild.connect(url) as archive:`, and then `with archive.use():`"
        )
        self.databases = databases


class WrongEventLoopError(MemoryGuildError, RuntimeError):
    """A pool or scope was used in another event loop than the one that opened it; nothing was sent."""


class StatementCanceledError(DatabaseError, TimeoutError):
    """The server canceled a statement, usually because it took too long (SQLSTATE 57014); it wrote nothing."""

    http_status = 504


class TransactionConflictError(DatabaseError):
    """A deadlock or another conflict with other transactions (SQLSTATE class 40); run the scope again."""

    http_status = 503
    retryable = True


class EmbeddedServerError(MemoryGuildError):
    """The embedded PostgreSQL cannot be installed, started or stopped. The message says what to do."""

    http_status = 503


class SchemaError(MemoryGuildError):
    """The tables of the database do not fit this version of the package."""

    http_status = 503


class MigrationsPendingError(SchemaError):
    """The database lacks migrations that this version of the package needs.

    Attributes:
        pending: The names of the missing migrations, in order.
        group: The group of tenants whose tables lack them; None in a database without groups.
    """

    def __init__(self, pending: list[str], *, group: str | None = None) -> None:
        what = "the database" if group is None else f"the group {group}"
        command = "memory-guild upgrade" if group is None else "memory-guild upgrade --all-groups"
        super().__init__(f"{what} lacks migrations: {', '.join(pending)}; run `{command}`")
        self.pending = pending
        self.group = group


class SchemaTooNewError(SchemaError):
    """The database has migrations that this version of the package does not know.

    Attributes:
        unknown: The names of these migrations.
    """

    def __init__(self, unknown: list[str]) -> None:
        super().__init__(
            f"the database is newer than this version of memory-guild: it has {', '.join(unknown)}; upgrade the package"
        )
        self.unknown = unknown


class TablesExistError(SchemaError):
    """The schema has tables with the package's names that its migrations did not make; they isolate no tenants.

    Attributes:
        tables: Their names.
    """

    def __init__(self, tables: list[str]) -> None:
        super().__init__(
            f"tables of these names are there already, and not from memory-guild's own migrations: {', '.join(tables)}."
            " If an application's `aerich init-db` or generate_schemas() made them, leave memory_guild.models out of"
            " its app, move them away (ALTER TABLE … SET SCHEMA …) or drop them, and run `memory-guild upgrade`. If"
            " they are the application's own, give memory-guild another schema with MEMORY_GUILD_SCHEMA"
        )
        self.tables = tables


class SearchNotInstalledError(SchemaError):
    """The database has no search tables."""

    def __init__(self) -> None:
        super().__init__(
            "this database has no search tables; run `memory-guild upgrade --search`, which needs pgvector 0.7 or newer"
            " on the server"
        )


class NoGroupError(SchemaError):
    """The database has a catalogue of groups of tenants, and no group in it (SQLSTATE MG007)."""

    def __init__(self) -> None:
        super().__init__("this database has no group of tenants yet; run `memory-guild groups create NAME`")


class UndefinedObjectError(SchemaError, DatabaseError):
    """The database has no such table, column or function (SQLSTATE 42P01, 42703, 42883 and others)."""


class SchemaChangedError(SchemaError, DatabaseError):
    """Somebody changed a table while the driver had a statement prepared for it; run the scope again."""

    retryable = True


# --- tenants and scopes -----------------------------------------------------------------------------------------


class ScopeError(MemoryGuildError, TransactionManagementError):
    """A tenant scope is missing, has ended, or cannot be opened here."""


class NotConnectedError(ScopeError):
    """Something was used before ``connect()`` or ``Tortoise.init()``, or after its end; nothing was sent."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or "there is no connection here; do this inside `async with connect():`, and tenants' data inside"
            " `async with tenant_scope(tenant_id):` in it"
        )


class TenantNotSetError(ScopeError):
    """Tenant data was used outside a scope; nothing was sent, or the database refused the row (SQLSTATE MG003)."""


class TenantMismatchError(ScopeError):
    """A scope was opened inside a scope of another tenant, or a row is of another tenant (SQLSTATE MG002)."""

    http_status = 403


class SeveralGroupsError(ScopeError):
    """A maintenance scope works in one group of tenants, and the database has several; nothing was sent.

    Attributes:
        groups: Their names, the oldest first.
    """

    def __init__(self, groups: list[str]) -> None:
        super().__init__(
            f"this database has several groups of tenants: {', '.join(groups)}; name one, as in"
            " `admin_scope(reason, group=…)`"
        )
        self.groups = groups


class UnknownGroupError(ScopeError):
    """The database has no group of tenants of this name.

    Attributes:
        group: The name.
        groups: The names that there are.
    """

    http_status = 404

    def __init__(self, group: str, groups: list[str]) -> None:
        super().__init__(f"there is no group {group}; this database has: {', '.join(groups) or 'none'}")
        self.group = group
        self.groups = groups


class TenantMovedError(ScopeError):
    """The tenant was moved to another group of tenants while its scope was opened (SQLSTATE MG006); run it again."""

    retryable = True
    http_status = 503


class TenantMovingError(TenantMovedError):
    """The tenant is being moved to another group of tenants (SQLSTATE MG008). A tenant's scope waits for it."""


class SealError(ScopeError):
    """A sealed database refused a scope (SQLSTATE MG004): this process has no key, the wrong one, or had none yet."""


class ScopeClosedError(ScopeError):
    """A task that was started inside a scope used it after its end; nothing was sent."""


class ScopeIdleError(ScopeError):
    """The server ended a scope that sent no statement for too long (SQLSTATE 25P03); the scope was rolled back."""

    http_status = 503


class ScopeAbortedError(ScopeError):
    """A statement of the scope failed and its error was caught; the scope was rolled back instead of committed."""


class AccessDeniedError(MemoryGuildError):
    """The access policies do not allow it; nothing was written.

    Attributes:
        action: What was to be done.
        reason: Why it is denied.
    """

    http_status = 403

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"{action} is denied: {reason}")
        self.action = str(action)
        self.reason = reason


class PolicyError(MemoryGuildError):
    """A policy cannot be used; nothing was written.

    Attributes:
        reason: What is wrong.
        line: The line, from 1; None if that is not known.
        column: The column, from 1; None if that is not known.
    """

    http_status = 422

    def __init__(self, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        place = "" if line is None else f" (line {line}, column {column})"
        super().__init__(f"the policy {reason}{place}")
        self.reason = reason
        self.line = line
        self.column = column


class PolicyEngineError(MemoryGuildError):
    """What evaluates the access policies gave no answer. Decisions deny in this case, and do not raise it."""

    http_status = 503


class PermissionDeniedError(DatabaseError):
    """The role may not do this (SQLSTATE 42501), such as choose an id, change a shared table, or build an index.

    Attributes:
        grant: The statement that would allow it, where a table of the application's own lacks a grant; else None.
    """

    http_status = 403

    def __init__(self, message: str, *, grant: str | None = None, sqlstate: str | None = None) -> None:
        super().__init__(message, sqlstate=sqlstate)
        self.grant = grant


class IdentityError(ConstraintError):
    """The id and the tenant of a memory cannot be changed (SQLSTATE 23001); store a new memory instead."""


class RoleMissingError(SchemaError):
    """The roles of the tenant scopes are missing, or this login may not use them. The message says how to fix it."""


class IsolationError(SchemaError):
    """In this database, this login does not isolate tenants.

    Attributes:
        problems: What is wrong, one sentence each.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"tenants are not isolated: {'; '.join(problems)}; `memory-guild doctor` says how to fix it")
        self.problems = problems
