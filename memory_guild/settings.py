"""The environment, as settings: read when they are first needed, never at import.

``TORTOISE_ORM`` is what ``Tortoise.init(config=TORTOISE_ORM)`` and Aerich take. It is built from the environment each
time that it is asked for, and building it connects to nothing: an embedded server starts with the first query.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from memory_guild.errors import SettingsError

MODEL_MODULES = ["memory_guild.models", "aerich.models"]
ENGINE_MODULE = "memory_guild.database.engine"

# The password may hold any character, encoded or not, so the last @ ends it; what follows may not hold an @.
_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://(?:(?P<user>[^:@]*)(?::(?P<password>.*))?@)?"
    r"(?P<hosts>[^@/?]*)(?:/(?P<database>[^@?]*))?(?:\?(?P<query>[^@]*))?",
    re.DOTALL,
)


class Password:
    """A password that shows itself to nobody: asyncpg and Tortoise call it, everything else prints asterisks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self) -> str:
        """The password."""
        return self._text

    def __repr__(self) -> str:
        return "'**********'"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The parts of a ``postgresql://`` URL, the password kept apart.

    Attributes:
        user: The login; None for asyncpg's default (``PGUSER``, then the system user).
        password: The login's password, or None (then ``PGPASSWORD`` and ``~/.pgpass`` apply).
        hosts: ``host[:port]``, several separated by commas; empty for asyncpg's default or a ``host=`` in the query.
        database: The database; None for the one named as the user.
        query: What follows the question mark, such as ``sslmode=verify-full`` or ``host=/run/postgresql``.
    """

    user: str | None
    password: Password | None
    hosts: str
    database: str | None
    query: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> DatabaseUrl:
        """Split a URL.

        A percent sign that belongs to a password must be written ``%25``; every other character may be encoded or not.

        Raises:
            SettingsError: It is no PostgreSQL URL. The message does not repeat it.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise SettingsError(
                "MEMORY_GUILD_DATABASE_URL",
                "must look like postgresql://user:password@host:5432/database?sslmode=require",
            )
        user, password, database = match["user"], match["password"], match["database"]
        parameters = (match["query"] or "").split("&")
        # libpq allows the password there too; the one before the host wins, as in asyncpg.
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
    """Everything that the environment says; see ``docs/settings.md`` for each variable.

    Attributes:
        database_url: The server; None for the embedded one.
        schema: The schema that holds the tables.
        pool_min: Connections that stay open.
        pool_max: Connections at the most.
        application_name: What ``pg_stat_activity`` shows.
        connect_timeout_seconds: How long one connection attempt may take.
        statement_timeout_seconds: After how long the server cancels a statement; 0 never.
        scope_idle_timeout_seconds: After how long without a statement the server ends a tenant scope; 0 never.
        pooler: Whether a pooler in transaction mode, such as pgbouncer, stands between.
        embedded_folder: Where the embedded server keeps its data; None for the user's data folder.
        embedded_version: The embedded server's major version; None for the newest, or the one that the data has.
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
    embedded_folder: Path | None = None
    embedded_version: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the ``MEMORY_GUILD_…`` variables; an empty one counts as missing.

        Raises:
            SettingsError: A variable cannot be used; the message names it.
        """
        read = _Reader(os.environ if environment is None else environment)
        url = read.text("DATABASE_URL")
        folder = read.text("EMBEDDED_FOLDER")
        default = cls()
        settings = cls(
            database_url=DatabaseUrl.parse(url) if url else None,
            schema=_check_schema(read.text("SCHEMA") or default.schema),
            pool_min=read.whole_number("POOL_MIN", default.pool_min, minimum=0),
            pool_max=read.whole_number("POOL_MAX", default.pool_max, minimum=1),
            application_name=read.text("APPLICATION_NAME") or default.application_name,
            connect_timeout_seconds=read.seconds("CONNECT_TIMEOUT_SECONDS", default.connect_timeout_seconds),
            statement_timeout_seconds=read.seconds("STATEMENT_TIMEOUT_SECONDS", default.statement_timeout_seconds),
            scope_idle_timeout_seconds=read.seconds("SCOPE_IDLE_TIMEOUT_SECONDS", default.scope_idle_timeout_seconds),
            pooler=read.flag("POOLER"),
            embedded_folder=Path(folder) if folder else None,
            embedded_version=read.whole_number("EMBEDDED_VERSION", 0, minimum=0) or None,
        )
        if settings.pool_min > settings.pool_max:
            raise SettingsError(
                "MEMORY_GUILD_POOL_MIN",
                f"is {settings.pool_min}, more than MEMORY_GUILD_POOL_MAX ({settings.pool_max})",
            )
        return settings

    def tortoise_config(self) -> dict[str, Any]:
        """The configuration for ``Tortoise.init`` and Aerich; printing it shows no password."""
        return {
            "connections": {"default": {"engine": ENGINE_MODULE, "credentials": {"settings": self}}},
            "apps": {"models": {"models": list(MODEL_MODULES), "default_connection": "default"}},
            "routers": ["memory_guild.database.scope.TenantRouter"],
            "use_tz": True,
            "timezone": "UTC",
        }


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        text = self._environment.get(f"MEMORY_GUILD_{name}", "").strip()
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise SettingsError(f"MEMORY_GUILD_{name}", "is not UTF-8")
        return text

    def whole_number(self, name: str, default: int, *, minimum: int) -> int:
        text = self.text(name)
        if not text:
            return default
        if not text.isdecimal() or int(text) < minimum:
            raise SettingsError(f"MEMORY_GUILD_{name}", f"must be a whole number from {minimum} on")
        return int(text)

    def flag(self, name: str) -> bool:
        text = self.text(name)
        if text not in ("", "0", "1"):
            raise SettingsError(f"MEMORY_GUILD_{name}", "must be 1 for yes, or 0 for no")
        return text == "1"

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name)
        if not text:
            return default
        if not re.fullmatch(r"\d+(\.\d+)?", text):
            raise SettingsError(f"MEMORY_GUILD_{name}", "must be a number of seconds, such as 30 or 0.5")
        return float(text)


def _check_schema(name: str) -> str:
    if len(name.encode()) > 63 or "\x00" in name or name.startswith("pg_"):
        raise SettingsError(
            "MEMORY_GUILD_SCHEMA", "must be a schema's name of at most 63 bytes that does not begin with pg_"
        )
    return name


def content_max_bytes() -> int:
    """How many bytes of UTF-8 one memory's text may have: ``MEMORY_GUILD_CONTENT_MAX_BYTES``, 1,000,000 by default."""
    return _Reader(os.environ).whole_number("CONTENT_MAX_BYTES", 1_000_000, minimum=1)


def __getattr__(name: str) -> Any:
    if name == "TORTOISE_ORM":
        return Settings.from_environment().tortoise_config()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
