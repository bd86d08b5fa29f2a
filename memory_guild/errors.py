"""Every error that the package raises, as one tree under :class:`MemoryGuildError`.

An error carries its data as fields and says the next step in its message. No message quotes the content of a memory,
a value of its metadata or a password: errors end up in logs.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise.exceptions import DBConnectionError, IntegrityError


class MemoryGuildError(Exception):
    """The base of the tree: catch this one to catch everything that Memory Guild raises on purpose."""


# --- what the caller passed -------------------------------------------------------------------------------------


class InvalidInputError(MemoryGuildError, ValueError):
    """A value cannot be stored as given; nothing was written.

    Attributes:
        field: The field or argument that is wrong, such as ``agent_id`` or ``metadata.when``.
        reason: Why, and what would be accepted.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnreadableFileError(MemoryGuildError):
    """A file of memories cannot be opened, or not be read to its end; what was stored before that stays.

    Attributes:
        path: The file, as it was named.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}")
        self.path = path
        self.reason = reason


# --- what the database refused ----------------------------------------------------------------------------------


class ConstraintError(MemoryGuildError, IntegrityError):
    """A constraint of the schema refused a row; the statement wrote nothing.

    It is a ``tortoise.exceptions.IntegrityError`` too, so code written for Tortoise keeps working.

    Attributes:
        constraint: The constraint's name in the catalog; None where the server did not say (a distributed engine).
        table: The table's name, or None.
        sqlstate: The five characters of PostgreSQL's error code.
    """

    def __init__(
        self, message: str, *, constraint: str | None = None, table: str | None = None, sqlstate: str | None = None
    ) -> None:
        Exception.__init__(self, message)
        self.constraint = constraint
        self.table = table
        self.sqlstate = sqlstate


class DuplicateError(ConstraintError):
    """A row with the same unique key is there already (SQLSTATE 23505)."""


class DuplicateMemoryError(DuplicateError):
    """This agent of this tenant has this text already (``unique_content_hash``)."""


class DuplicateEmbeddingError(DuplicateError):
    """This memory has an embedding by this model already (``unique_memory_embedding``)."""


class DuplicateRelationshipError(DuplicateError):
    """This edge, with this type, is there already (``unique_relationship``)."""


class DuplicateNameError(DuplicateError):
    """A data source or an access policy of this name is there already."""


class UnknownMemoryError(ConstraintError):
    """An embedding or an edge names a memory that does not exist (SQLSTATE 23503)."""


class CheckError(ConstraintError, InvalidInputError):
    """A CHECK or NOT NULL of the schema forbids the value (SQLSTATE 23514, 23502).

    Raised with the same type, field and constraint whether the rule was noticed before the statement was sent or by
    the database.
    """

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
    """A different text with the same hash is there already, or in the same batch; nothing of the batch was stored.

    Attributes:
        agent_id: The agent that both texts belong to.
        content_hash: The hash that they share.
    """

    def __init__(self, agent_id: str, content_hash: str) -> None:
        super().__init__(
            f"agent {agent_id!r} has a different text with the hash {content_hash} already, and one hash stands for one"
            " text; change the new text, by a space even, and store it again",
            constraint="unique_content_hash",
            table="memory_records",
        )
        self.agent_id = agent_id
        self.content_hash = content_hash


class SelfReferenceError(CheckError):
    """An edge starts and ends at the same memory (``no_self_reference``)."""


# --- what the verbs found ---------------------------------------------------------------------------------------


class MemoryNotFoundError(MemoryGuildError, LookupError):
    """The tenant has no such memory, or it is forgotten where a live one is needed; nothing was written.

    A memory of another tenant is one that does not exist.

    Attributes:
        memory_ids: The ids that were not found.
    """

    def __init__(self, *memory_ids: UUID) -> None:
        named = ", ".join(str(memory_id) for memory_id in memory_ids[:3]) + ("" if len(memory_ids) < 4 else ", …")
        super().__init__(
            f"no live memory {named} in this tenant; check the id, or look with include_forgotten=True whether it is"
            " forgotten"
        )
        self.memory_ids = memory_ids


class ForgottenMemoryError(MemoryGuildError):
    """The text to remember is a memory that was forgotten, and ``on_forgotten="raise"`` was asked for.

    Attributes:
        memory_id: The forgotten memory.
    """

    def __init__(self, memory_id: UUID) -> None:
        super().__init__(f"memory {memory_id} has this text and is forgotten; restore() it, or leave it forgotten")
        self.memory_id = memory_id


class SearchLimitError(MemoryGuildError):
    """A search looked at as many memories as it may, and was not over.

    Attributes:
        limit: How many it looked at.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the search met its limit of {limit:,} memories before it was over; raise the limit, or narrow it by type"
            " or confidence"
        )
        self.limit = limit


class ConflictError(MemoryGuildError):
    """The memory was changed since the version that the caller knows; nothing was written.

    Attributes:
        memory_id: Which memory.
        expected_updated_at: The version that the caller expected.
        actual_updated_at: The version that is stored.
    """

    def __init__(self, memory_id: UUID, expected_updated_at: datetime, actual_updated_at: datetime | None) -> None:
        super().__init__(
            f"memory {memory_id} is of {actual_updated_at}, not of {expected_updated_at}: somebody changed it; get() it"
            " again and decide anew"
        )
        self.memory_id = memory_id
        self.expected_updated_at = expected_updated_at
        self.actual_updated_at = actual_updated_at


# --- the server and the schema ----------------------------------------------------------------------------------


class SettingsError(MemoryGuildError, ValueError):
    """An environment variable, or a part of the database URL, cannot be used.

    Attributes:
        setting: The variable's name, such as ``MEMORY_GUILD_POOL_MAX``.
    """

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting
        self.reason = reason


class ConnectionFailedError(MemoryGuildError, DBConnectionError):
    """The server could not be used; the message names host, port, user and database, never a password."""


class ServerUnreachableError(ConnectionFailedError):
    """Nothing answers at the address, or the connection broke."""


class AuthenticationError(ConnectionFailedError):
    """The server refused the login: wrong password, unknown role or no entry in ``pg_hba.conf``."""


class UnknownDatabaseError(ConnectionFailedError):
    """The server has no database of that name."""


class ServerTooOldError(ConnectionFailedError):
    """The server is older than PostgreSQL 15.

    Attributes:
        server_version: The server's version, such as ``"14.11"``.
    """

    def __init__(self, message: str, *, server_version: str) -> None:
        super().__init__(message)
        self.server_version = server_version


class StatementCanceledError(MemoryGuildError, TimeoutError):
    """The server stopped a statement that took longer than it may (SQLSTATE 57014); nothing of it was written."""


class TransactionConflictError(MemoryGuildError):
    """Other transactions were in the way (SQLSTATE 40001, 40P01); the scope is undone, run it again."""


class EmbeddedServerError(MemoryGuildError):
    """The embedded PostgreSQL cannot be installed, started or stopped; the message says what to do instead."""


class SchemaError(MemoryGuildError):
    """The tables of the database and this version of the package do not belong together."""


class MigrationsPendingError(SchemaError):
    """The database lacks migrations that this code needs.

    Attributes:
        pending: The names of the missing migrations, in order.
    """

    def __init__(self, pending: list[str]) -> None:
        super().__init__(
            f"the database lacks {len(pending)} migration(s): {', '.join(pending)}; run `memory-guild upgrade`"
        )
        self.pending = pending


class SchemaTooNewError(SchemaError):
    """The database carries migrations that this code does not know.

    Attributes:
        unknown: The names of the migrations that are applied but not part of this version.
    """

    def __init__(self, unknown: list[str]) -> None:
        super().__init__(
            f"the database is newer than this code: it has {', '.join(unknown)}; upgrade the memory-guild package"
        )
        self.unknown = unknown


# --- tenants and scopes -----------------------------------------------------------------------------------------


class ScopeError(MemoryGuildError):
    """A tenant scope is missing, has ended, or cannot be opened here."""


class TenantNotSetError(ScopeError):
    """Tenant data was asked for outside a scope; nothing was sent, or the database refused the row (SQLSTATE MG003)."""


class TenantMismatchError(ScopeError):
    """A scope was opened inside another tenant's, or a row names another tenant than the scope's (SQLSTATE MG002)."""


class ScopeClosedError(ScopeError):
    """The scope has ended, and a task that was started inside it still asks for its data; nothing was sent."""


class ScopeIdleError(ScopeError):
    """The server ended a scope that sent no statement for too long (SQLSTATE 25P03); nothing of it was written."""


class ScopeAbortedError(ScopeError):
    """A statement of the scope had failed and the error was caught, so nothing of the scope could be committed."""


class PermissionDeniedError(MemoryGuildError):
    """The role may not do this (SQLSTATE 42501): choose an id in a scope, change a shared catalogue, build an index."""


class IdentityError(ConstraintError):
    """The id or the tenant of a memory was to be changed (SQLSTATE 23001); store a new memory instead."""


class RoleMissingError(SchemaError):
    """The roles of the tenant scopes are missing, or this login may not use them; the message has the statements."""


class IsolationError(SchemaError):
    """Tenants are not isolated in this database for this login.

    Attributes:
        problems: What is wrong, one sentence each.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"tenants are not isolated: {'; '.join(problems)}; `memory-guild doctor` says how to mend it")
        self.problems = problems
