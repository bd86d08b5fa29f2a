"""The settings, from environment variables: read when they are first needed, never at import.

``TORTOISE_ORM`` is the configuration for ``Tortoise.init(config=TORTOISE_ORM)`` and Aerich. The environment is read
when Tortoise uses it. That connects to nothing yet: the embedded server starts with the first query.
``OWNER_ORM`` is the same for Aerich's commands: on the embedded server the agents' login may not change the tables.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from string import Formatter
from typing import Any
from urllib.parse import unquote

from memory_guild.errors import SettingsError
from memory_guild.types import EMBEDDING_MODEL_MAX_LENGTH, NAME_MAX_LENGTH

PGVECTOR = "pgvector"
OFF, OPA = "off", "opa"
"""The vector index that is no external one: PostgreSQL's own vectors."""

_KEY_BYTES = 32
_BLOCK_BYTES = 64  # of SHA-256: HMAC pads a key to it
_LOOKS_LIKE = "must look like postgresql://user:password@host:5432/database?sslmode=require"
# The password may contain any character, encoded or not, so the last @ ends it; no @ may follow.
_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://(?:(?P<user>[^:@]*)(?::(?P<password>.*))?@)?"
    r"(?P<hosts>[^@/?]*)(?:/(?P<database>[^@?]*))?(?:\?(?P<query>[^@]*))?",
    re.DOTALL,
)


class Password:
    """A password that is never printed: asyncpg and Tortoise call it to get the text, ``repr`` shows asterisks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self) -> str:
        """The password."""
        return self._text

    def __repr__(self) -> str:
        return "'**********'"


@dataclass(frozen=True, slots=True)
class SealKey:
    """A key, which is never printed by accident.

    Attributes:
        secret: Its 32 bytes.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> SealKey:
        """A random one."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> SealKey:
        """The key that :attr:`text` was made from.

        Raises:
            ValueError: It is anything else.
        """
        if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
            raise ValueError
        return cls(bytes.fromhex(text))

    @property
    def text(self) -> str:
        """64 hexadecimal digits, as in ``MEMORY_GUILD_SEAL_KEY``."""
        return self.secret.hex()

    @property
    def inner(self) -> bytes:
        """The key as the inner hash begins."""
        return self._padded(0x36)

    @property
    def outer(self) -> bytes:
        """The key as the outer hash begins."""
        return self._padded(0x5C)

    @classmethod
    def of_inner(cls, inner: bytes) -> SealKey:
        """The key that the database keeps in this form."""
        return cls(bytes(byte ^ 0x36 for byte in inner[:_KEY_BYTES]))

    def proof(self, challenge: int, tenant_id: str) -> str:
        """What opens a scope of the tenant where this is the session's challenge, as hexadecimal digits.

        Source: HMAC-SHA256, RFC 2104.
        """
        return hmac.digest(self.secret, f"{challenge} {tenant_id}".encode(), "sha256").hex()

    def _padded(self, pad: int) -> bytes:
        return bytes(byte ^ pad for byte in self.secret.ljust(_BLOCK_BYTES, b"\0"))


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The parts of a ``postgresql://`` URL, with the password kept apart.

    Attributes:
        user: The login; None for asyncpg's default (``PGUSER``, then the system user).
        password: The login's password; None to use ``PGPASSWORD`` or ``~/.pgpass``.
        hosts: ``host[:port]``, several separated by commas; empty for asyncpg's default or a ``host=`` in the query.
        database: The database; None for the one with the user's name.
        query: Everything after the question mark, such as ``sslmode=verify-full`` or ``host=/run/postgresql``.
    """

    user: str | None
    password: Password | None
    hosts: str
    database: str | None
    query: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> DatabaseUrl:
        """Split a URL.

        A percent sign in a password must be written ``%25``; every other character may be encoded or not.

        Raises:
            SettingsError: It is not a PostgreSQL URL. The message does not repeat it.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise SettingsError("MEMORY_GUILD_DATABASE_URL", _LOOKS_LIKE)
        user, password, database = match["user"], match["password"], match["database"]
        parameters = (match["query"] or "").split("&")
        # libpq allows a password in the query too; the one before the host wins, as in asyncpg.
        passwords = [part for part in parameters if part.startswith("password=")]
        if passwords and not password:
            password = passwords[-1].removeprefix("password=").replace("+", " ")
        return cls(
            user=unquote(user) if user else None,
            password=Password(unquote(password)) if password else None,
            hosts=match["hosts"],
            database=unquote(database) if database else None,
            query="&".join(part for part in parameters if part not in passwords),
        )

    @property
    def dsn(self) -> str:
        """The URL without user and password, as asyncpg takes it."""
        return f"postgresql://{self.hosts}/{'?' + self.query if self.query else ''}"

    def __str__(self) -> str:
        at = f"{self.user}@" if self.user else ""
        query = "&".join(part for part in self.query.split("&") if not part.startswith("sslpassword="))
        return f"postgresql://{at}{self.hosts}/{self.database or ''}{'?' + query if query else ''}"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a connection. ``docs/settings.md`` explains each; :data:`VARIABLES` says how each is read.

    Attributes:
        database_url: The server; None for the embedded one.
        schema: The schema that holds the tables.
        pool_min: How many connections the pool keeps open.
        pool_max: How many connections the pool opens at most.
        application_name: The name in ``pg_stat_activity``.
        connect_timeout_seconds: How long one connection attempt may take.
        statement_timeout_seconds: How long a statement may run before the server cancels it; 0 for no limit.
        scope_idle_timeout_seconds: How long a tenant scope may go without a statement before the server ends it; 0 for
            no limit.
        pooler: Whether the connection goes through a pooler in transaction mode, such as pgbouncer.
        seal_key: What opens the scopes of a sealed database; None where the login may read it, as the embedded server's
            may, or nothing is sealed.
        embedder: What turns texts into vectors: the name of an embedder.
        text_search: How the search reads words, for upgrades; None for what the database has.
        vector_index: Where ``recall`` looks for vectors outside scopes: ``pgvector`` or the name of an external index.
        vector_timeout_seconds: How long one call to an external index may take.
        vector_fence_seconds: How long a call that failed in doubt may still be carried out, so that what it was about
            is left alone.
        policies: Whether the access policies are enforced, and what evaluates them: ``off``, ``rego`` or ``opa``.
        policies_max_age_seconds: How old the policies may be by which an agent decides.
        policies_timeout_seconds: How long one evaluation may take.
        opa_url: The OPA server; None where none is used.
        opa_token: What the OPA server asks for as a bearer token; None where it asks for none.
        screen: The function that sees each memory before it is stored, as ``module:function``; None for none.
        embedded_folder: Where the embedded server keeps its data; None for the user's data folder.
        embedded_version: The embedded server's major version; None for that of its data, or the newest for new data.
    """

    database_url: DatabaseUrl | None = None
    schema: str = "public"
    pool_min: int = 1
    pool_max: int = 10
    application_name: str = "memory-guild"
    connect_timeout_seconds: float = 10.0
    statement_timeout_seconds: float = 0.0
    scope_idle_timeout_seconds: float = 60.0
    pooler: bool = False
    seal_key: SealKey | None = None
    embedder: str = "none"
    text_search: str | None = None
    vector_index: str = PGVECTOR
    vector_timeout_seconds: float = 10.0
    vector_fence_seconds: float = 60.0
    policies: str = OFF
    policies_max_age_seconds: float = 1.0
    policies_timeout_seconds: float = 1.0
    opa_url: str | None = None
    opa_token: str | None = field(default=None, repr=False)
    screen: str | None = None
    embedded_folder: Path | None = None
    embedded_version: int | None = None

    def __post_init__(self) -> None:
        """Check what callers name too, not only the environment.

        Raises:
            SettingsError: There can be no schema, embedder or vector index of this name.
        """
        _OF_SETTINGS["schema"].require(self.schema)
        checked_embedder(self.embedder)
        checked_vector_index(self.vector_index)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the ``MEMORY_GUILD_…`` variables; an empty one counts as missing.

        Raises:
            SettingsError: A variable cannot be used; the message names it.
        """
        given = os.environ if environment is None else environment
        _refuse_misspelt(given)
        read = {name: variable.read(given) for name, variable in _OF_SETTINGS.items()}
        settings = cls(**{name: value for name, value in read.items() if value is not None})
        if settings.pool_min > settings.pool_max:
            raise SettingsError(
                "MEMORY_GUILD_POOL_MIN",
                f"is {settings.pool_min}, more than MEMORY_GUILD_POOL_MAX ({settings.pool_max})",
            )
        if settings.policies == OPA and settings.opa_url is None:
            raise SettingsError("MEMORY_GUILD_OPA_URL", "is required where MEMORY_GUILD_POLICIES is opa")
        return settings

    def tortoise_config(self, *, as_owner: bool = False) -> dict[str, Any]:
        """The configuration for ``Tortoise.init`` and Aerich; printing it shows no password.

        Args:
            as_owner: Whether to connect to the embedded server as the owner of the tables, not as the agents' login.
        """
        return _configuration({"settings": self} | (_AS_OWNER if as_owner else {}))


@dataclass(frozen=True, slots=True)
class Variable:
    """How one environment variable is read.

    Attributes:
        name: Its name.
        convert: Turns its text into the value; raises ValueError or KeyError for a text that cannot be used.
        must: What the text must be, for the error.
    """

    name: str
    convert: Callable[[str], Any]
    must: str

    def read(self, environment: Mapping[str, str]) -> Any:
        """Its value, or None where it is missing or empty.

        Raises:
            SettingsError: The text cannot be used. The message does not repeat it.
        """
        text = environment.get(self.name, "").strip()
        if any("\ud800" <= character <= "\udfff" for character in text):  # how Python decodes what is not UTF-8
            raise SettingsError(self.name, "is not UTF-8")
        return self.require(text) if text else None

    def require(self, text: str) -> Any:
        """The value of a text.

        Raises:
            SettingsError: The text cannot be used. The message does not repeat it.
        """
        try:
            return self.convert(text)
        except _RefusedError as refused:
            raise SettingsError(self.name, str(refused)) from None
        except (KeyError, ValueError):
            raise SettingsError(self.name, self.must) from None


class _RefusedError(ValueError):
    """A text that cannot be used, with a reason of its own."""


def _at_least(minimum: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise ValueError
        return int(text)

    return convert


def _content_size(text: str) -> int:
    size = _at_least(1)(text)
    if size > 1_000_000_000:
        # A message of 2**30 bytes makes the server hang up without a word, and so each retry would end.
        raise _RefusedError("must be at most 1000000000: PostgreSQL takes less than 2**30 bytes for a whole row")
    return size


def _metadata_size(text: str) -> int:
    size = _at_least(1)(text)
    if size > 40_000_000:
        raise _RefusedError("must be at most 40000000: a jsonb holds not many more than 20 million numbers")
    return size


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError
    return float(text)


def _seconds_of_a_call(text: str) -> float:
    seconds = _seconds(text)
    if seconds == 0:
        raise _RefusedError("must be more than 0: every call to a vector index may hang")
    return seconds


def _flag(text: str) -> bool:
    return {"0": False, "1": True}[text]


def _schema_name(text: str) -> str:
    if not 1 <= len(text.encode()) <= 63 or "\x00" in text or text.startswith("pg_"):
        raise ValueError
    if text in ("$user", "information_schema"):
        raise _RefusedError(f"must not be {text}, which means something else to PostgreSQL; name a schema")
    return text


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise _RefusedError("names with its ~ a user who does not exist or has no home; write the whole path") from None


_EMBEDDER = re.compile(r"none|static|minilm|openai:[^?]+(?:\?dimensions=[1-9][0-9]{0,4})?|sentence-transformers:.+")


def _embedder_name(text: str) -> str:
    if not isinstance(text, str) or not _EMBEDDER.fullmatch(text) or not text.isprintable():
        raise ValueError
    if len(text) > EMBEDDING_MODEL_MAX_LENGTH:
        raise _RefusedError(
            f"must have at most {EMBEDDING_MODEL_MAX_LENGTH} characters, because vectors are kept under this name"
        )
    return text


_WEB_ADDRESS = r"https?://[^/\s?#]+[^\s?#]*"
_VECTOR_INDEX = re.compile(
    rf"{PGVECTOR}|qdrant:(?:{_WEB_ADDRESS}|:memory:|(?!:)(?!.*://).+)|chroma:(?:{_WEB_ADDRESS}|(?!.*://).+)"
    # Pinecone's own names have at most 45 characters, and the number of dimensions is added to ours.
    rf"|milvus:(?:{_WEB_ADDRESS}|(?!.*://).+\.db)|weaviate:{_WEB_ADDRESS}|pinecone:[a-z0-9](?:[a-z0-9-]{{0,37}}[a-z0-9])?"
)


def _vector_index_name(text: str) -> str:
    if not isinstance(text, str) or not _VECTOR_INDEX.fullmatch(text) or not text.isprintable():
        raise ValueError
    if len(text) > NAME_MAX_LENGTH:
        raise _RefusedError(f"must have at most {NAME_MAX_LENGTH} characters")
    if re.search(r"://[^/?#]*@", text):
        raise _RefusedError("must not contain a password, because this name is logged; the docs say where to put it")
    return text


def _policies_engine(text: str) -> str:
    if text not in (OFF, "rego", OPA):
        raise ValueError
    for engine, library in (("rego", "regopy"), (OPA, "httpx")):
        if text == engine and find_spec(library) is None:
            extra = "policies" if engine == "rego" else OPA
            raise _RefusedError(f"is {engine}, which needs an extra: pip install 'memory-guild[{extra}]'")
    return text


def _web_address(text: str) -> str:
    if not re.fullmatch(_WEB_ADDRESS, text):
        raise ValueError
    if re.search(r"://[^/?#]*@", text):
        raise _RefusedError(
            "must not contain a password, because `memory-guild doctor` shows it; see the token's setting"
        )
    return text


def _function_name(text: str) -> str:
    module, colon, function = text.partition(":")
    if not colon or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError
    return text


def _which_sources(text: str) -> str:
    if text not in ("any", "named"):
        raise ValueError
    return text


def _embedder_template(text: str) -> str:
    parts = [part[1:] for part in Formatter().parse(text)]
    fields = {field for field, _, _ in parts if field is not None}
    if not {"content_text"} <= fields <= {"agent_id", "content_text", "created_at", "source_type"}:
        raise ValueError
    if any(specification or conversion for _, specification, conversion in parts):
        raise ValueError
    return text


_SECONDS = "must be a number of seconds, such as 30 or 0.5"

_OF_SETTINGS = {
    "database_url": Variable("MEMORY_GUILD_DATABASE_URL", DatabaseUrl.parse, _LOOKS_LIKE),
    "schema": Variable(
        "MEMORY_GUILD_SCHEMA", _schema_name, "must be a schema's name of at most 63 bytes that does not begin with pg_"
    ),
    "pool_min": Variable("MEMORY_GUILD_POOL_MIN", _at_least(0), "must be a whole number, 0 or more"),
    "pool_max": Variable("MEMORY_GUILD_POOL_MAX", _at_least(1), "must be a whole number, 1 or more"),
    "application_name": Variable("MEMORY_GUILD_APPLICATION_NAME", str, "must be text"),
    "connect_timeout_seconds": Variable("MEMORY_GUILD_CONNECT_TIMEOUT_SECONDS", _seconds, _SECONDS),
    "statement_timeout_seconds": Variable("MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS", _seconds, _SECONDS),
    "scope_idle_timeout_seconds": Variable("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", _seconds, _SECONDS),
    "pooler": Variable("MEMORY_GUILD_POOLER", _flag, "must be 1 for yes, or 0 for no"),
    "seal_key": Variable(
        "MEMORY_GUILD_SEAL_KEY", SealKey.parse, "must be 64 hexadecimal digits, as `memory-guild seal` prints them"
    ),
    "embedder": Variable(
        "MEMORY_GUILD_EMBEDDER",
        _embedder_name,
        "must be none, static, minilm, openai:MODEL or sentence-transformers:MODEL",
    ),
    "text_search": Variable(
        "MEMORY_GUILD_TEXT_SEARCH", str, "must be a configuration of PostgreSQL's text search, such as german"
    ),
    "vector_index": Variable(
        "MEMORY_GUILD_VECTOR_INDEX",
        _vector_index_name,
        "must be pgvector, qdrant:URL, qdrant:FOLDER, qdrant::memory:, chroma:URL, chroma:FOLDER, milvus:URL,"
        " milvus:FILE.db, weaviate:URL or pinecone:INDEX-NAME, where a URL begins with http:// or https://",
    ),
    "vector_timeout_seconds": Variable("MEMORY_GUILD_VECTOR_TIMEOUT_SECONDS", _seconds_of_a_call, _SECONDS),
    "vector_fence_seconds": Variable("MEMORY_GUILD_VECTOR_FENCE_SECONDS", _seconds, _SECONDS),
    "policies": Variable("MEMORY_GUILD_POLICIES", _policies_engine, "must be off, rego or opa"),
    "policies_max_age_seconds": Variable("MEMORY_GUILD_POLICIES_MAX_AGE_SECONDS", _seconds, _SECONDS),
    "policies_timeout_seconds": Variable("MEMORY_GUILD_POLICIES_TIMEOUT_SECONDS", _seconds_of_a_call, _SECONDS),
    "opa_url": Variable("MEMORY_GUILD_OPA_URL", _web_address, "must begin with http:// or https://"),
    "opa_token": Variable("MEMORY_GUILD_OPA_TOKEN", str, "must be text"),
    "screen": Variable("MEMORY_GUILD_SCREEN", _function_name, "must be a function, as package.module:function"),
    "embedded_folder": Variable("MEMORY_GUILD_EMBEDDED_FOLDER", _folder, "must be a path"),
    "embedded_version": Variable(
        "MEMORY_GUILD_EMBEDDED_VERSION", lambda text: _at_least(0)(text) or None, "must be a whole number, 0 or more"
    ),
}
"""The variables that :class:`Settings` reads, by attribute. The defaults are those of the class."""

_CONTENT_MAX_BYTES = Variable("MEMORY_GUILD_CONTENT_MAX_BYTES", _content_size, "must be a whole number, 1 or more")
_CONTENT_MAX_BYTES_DEFAULT = 1_000_000
_METADATA_MAX_BYTES = Variable("MEMORY_GUILD_METADATA_MAX_BYTES", _metadata_size, "must be a whole number, 1 or more")
_METADATA_MAX_BYTES_DEFAULT = 1_000_000
_EMBEDDER_TEXT = Variable(
    "MEMORY_GUILD_EMBEDDER_TEXT",
    _embedder_template,
    "must contain {content_text}; {agent_id}, {created_at} and {source_type} are the other fields",
)
_EMBEDDER_TEXT_DEFAULT = "{agent_id} {created_at}: {content_text}"
_SOURCES = Variable("MEMORY_GUILD_SOURCES", _which_sources, "must be any, or named to store from named sources only")

VARIABLES = (*_OF_SETTINGS.values(), _CONTENT_MAX_BYTES, _METADATA_MAX_BYTES, _EMBEDDER_TEXT, _SOURCES)
"""Every variable that the package reads."""


_names = {variable.name for variable in VARIABLES}
_NOT_A_TEST = re.compile(r"MEMORY_?GUILD_(?!TEST_)", re.IGNORECASE)


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    """Report variables that are none of the package's: one that looks like a misspelling is an error.

    Raises:
        SettingsError: A name is almost that of a setting, and the setting itself is missing. Memories would go to
            another database without a word.
    """
    for name in environment:
        if not _NOT_A_TEST.match(name) or name in _names:
            continue
        meant = get_close_matches(name.upper(), _names, n=1, cutoff=0.85)
        if meant and not environment.get(meant[0]):
            raise SettingsError(name, f"is no setting; did you mean {meant[0]}?")
        if name not in _reported:
            _reported.add(name)
            _log.warning("%s is no setting of memory-guild, so it has no effect", name)


_reported: set[str] = set()
_log = logging.getLogger("memory_guild.settings")


def content_max_bytes() -> int:
    """How many bytes of UTF-8 the text of one memory may have: ``MEMORY_GUILD_CONTENT_MAX_BYTES``, or 1,000,000."""
    given: int | None = _CONTENT_MAX_BYTES.read(os.environ)
    return _CONTENT_MAX_BYTES_DEFAULT if given is None else given


def metadata_max_bytes() -> int:
    """How many bytes of JSON the metadata of one memory may have: ``MEMORY_GUILD_METADATA_MAX_BYTES``, or 1,000,000."""
    given: int | None = _METADATA_MAX_BYTES.read(os.environ)
    return _METADATA_MAX_BYTES_DEFAULT if given is None else given


def checked_schema(name: str) -> str:
    """The name of a schema.

    Raises:
        SettingsError: There can be none of this name.
    """
    checked: str = _OF_SETTINGS["schema"].require(name)
    return checked


def checked_embedder(name: str) -> str:
    """The name of an embedder.

    Raises:
        SettingsError: There is none of this name.
    """
    checked: str = _OF_SETTINGS["embedder"].require(name)
    return checked


def checked_vector_index(name: str) -> str:
    """The name of a vector index.

    Raises:
        SettingsError: There can be none of this name.
    """
    checked: str = _OF_SETTINGS["vector_index"].require(name)
    return checked


def embedder_text() -> str:
    """What the embedder gets of a memory: ``MEMORY_GUILD_EMBEDDER_TEXT``, for ``str.format``."""
    given: str | None = _EMBEDDER_TEXT.read(os.environ)
    return _EMBEDDER_TEXT_DEFAULT if given is None else given


def sources_must_be_named() -> bool:
    """Whether the verbs store from named sources only: ``MEMORY_GUILD_SOURCES`` is ``named``."""
    given: str | None = _SOURCES.read(os.environ)
    return given == "named"


def _configuration(credentials: dict[str, Any]) -> dict[str, Any]:
    return {
        "connections": {"default": {"engine": "memory_guild.database.engine", "credentials": credentials}},
        "apps": {
            "models": {"models": ["memory_guild.models", "aerich.models"], "default_connection": "default"},
            "search": {"models": ["memory_guild.search.tables"], "default_connection": "default"},
            "groups": {"models": ["memory_guild.schema.tables"], "default_connection": "default"},
        },
        "use_tz": True,
        "timezone": "UTC",
    }


_AS_OWNER = {"embedded_login": "owner"}

# Without settings the engine reads the environment itself, when Tortoise sets it up.
TORTOISE_ORM = _configuration({})
OWNER_ORM = _configuration(_AS_OWNER)
