"""The folder of an embedded server: where its files are, and that no other user can enter it.

Permissions change only inside this folder and on folders that are created here, never above or beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from memory_guild.embedded import watch
from memory_guild.embedded.account import Account, server_account
from memory_guild.embedded.address import PORT
from memory_guild.errors import EmbeddedServerError

_ROOT_FOLDER = Path("/var/lib/memory-guild/postgresql")  # the system account cannot enter root's home
_SOCKET_NAME = f".s.PGSQL.{PORT}"
_SOCKET_PATH_LIMIT = 103  # bytes; 107 on Linux, 103 on macOS
_SHORT_FOLDER = Path("/tmp")  # noqa: S108  # the same for every process; TMPDIR and XDG_RUNTIME_DIR differ between logins


@dataclass(frozen=True)
class ServerFolder:
    """The parts of the folder at `path`, an absolute path without symbolic links."""

    path: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory; it gets this name when it is complete."""
        return self.path / "data"

    @property
    def lock_files(self) -> tuple[Path, Path]:
        """PostgreSQL's own lock files: they say by a process id that the data and the socket are in use."""
        return self.data / "postmaster.pid", self.socket_file.with_name(f"{_SOCKET_NAME}.lock")

    @property
    def socket(self) -> Path:
        """The folder of the socket: in here, or under ``/tmp`` if a socket cannot have that path.

        It cannot if the path is too long, or contains a comma, which separates hosts for libpq and asyncpg.
        """
        inside = self.path / "socket"
        if len(os.fsencode(inside / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT and "," not in str(inside):
            return inside
        return self._short_folder

    @property
    def _short_folder(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return _SHORT_FOLDER / f"memory-guild-{os.geteuid()}-{digest}"

    @property
    def socket_file(self) -> Path:
        """The socket that the server listens at."""
        return self.socket / _SOCKET_NAME

    @property
    def log(self) -> Path:
        """The server's log since its last start; the log of the run before is kept beside it."""
        return self.path / "server.log"

    @property
    def host_rules(self) -> Path:
        """``pg_hba.conf``, outside the data directory, so that the server cannot change who may log in."""
        return self.path / "pg_hba.conf"

    @property
    def name_map(self) -> Path:
        """``pg_ident.conf``."""
        return self.path / "pg_ident.conf"

    @property
    def binaries(self) -> Path:
        """Copies of PostgreSQL's programs, if the server's account cannot run the installed ones.

        In here, or beside the socket under ``/tmp`` if PostgreSQL's programs cannot have that path.
        """
        inside = self.path / "binaries"
        return inside if is_plain(inside) else self._short_folder.with_name(f"{self._short_folder.name}-binaries")

    @property
    def users_lock(self) -> Path:
        """Locked (shared) by every process that uses the server."""
        return self.path / "users.lock"

    @property
    def start_lock(self) -> Path:
        """Locked while the server is being started or stopped."""
        return self.path / "start.lock"

    @property
    def watcher_lock(self) -> Path:
        """Locked by the watcher as long as it runs; contains its process id."""
        return self.path / "watcher.lock"

    @property
    def server_lock(self) -> Path:
        """Locked as long as a process of the server runs, from its launch on."""
        return self.path / "server.lock"

    @property
    def keep_running(self) -> Path:
        """Exists while the server is to run without users."""
        return self.path / "keep_running"

    def version(self) -> int | None:
        """The major version of the data; None if there is none yet."""
        try:
            return int((self.data / "PG_VERSION").read_text())
        except (FileNotFoundError, ValueError):
            if self.data.exists():
                raise EmbeddedServerError(f"{self.data} is not a PostgreSQL data directory; move it away") from None
            return None

    def owner(self) -> str | None:
        """The name of the account that owns the data, and runs the server; None if there is no data yet."""
        return _user_name(self.data.stat().st_uid) if self.data.exists() else None

    def is_listening(self) -> bool:
        """Whether a server listens at the socket."""
        return watch.is_listening(str(self.socket_file))

    def secure(self, account: Account) -> None:
        """Let only the caller and `account` enter this folder and the socket's. The caller must hold the start lock.

        Raises:
            EmbeddedServerError: Another user owns the socket's folder, or can enter it.
        """
        if account.is_caller:
            self.path.chmod(0o700)
        else:
            os.chown(self.path, os.geteuid(), account.group_id)
            self.path.chmod(0o710)
            self._hand_over(account)
        make_private(self.socket, account)

    def _hand_over(self, account: Account) -> None:
        # A volume outlives its container, and in the next container the system account may have another number.
        for top in (self.data, self.path / "socket"):
            if top.exists() and top.lstat().st_uid != account.user_id:
                for part in (top, *top.rglob("*")):
                    os.chown(part, account.user_id, account.group_id, follow_symlinks=False)


def locate(path: Path | None) -> ServerFolder:
    """The folder at `path`, or the user's default one. Nothing is created.

    Raises:
        EmbeddedServerError: It exists, but is not a folder, belongs to another user, or others can write to it.
    """
    try:
        folder = ServerFolder((path or _default_path()).expanduser().resolve())
    except RuntimeError:
        raise EmbeddedServerError(f"{path}: there is no such user, or the user has no home; choose a folder") from None
    if folder.path.exists():
        _refuse_strangers(folder.path, os.geteuid())
    return folder


def prepare(path: Path | None) -> tuple[ServerFolder, Account]:
    """The folder at `path` or the default one, created if it is missing, and the account to run PostgreSQL as.

    Raises:
        EmbeddedServerError: The folder belongs to another user or contains other files, or the account cannot enter it.
    """
    folder = locate(path)
    account = server_account()
    if (closed := account.blocked_at(folder.path)) is not None:
        raise EmbeddedServerError(
            f"PostgreSQL runs as the account {account.name!r}, which cannot enter {closed}; "
            f"choose a folder outside it, such as {_default_path()}"
        )
    for missing in reversed([place for place in folder.path.parents if not place.exists()]):
        with contextlib.suppress(FileExistsError):  # another process has just created it
            missing.mkdir()
            missing.chmod(0o700 if account.is_caller else 0o755)
    folder.path.mkdir(mode=0o700, exist_ok=True)
    _refuse_strangers(folder.path, os.geteuid())
    if not folder.start_lock.exists() and any(folder.path.iterdir()) and not folder.start_lock.exists():
        raise EmbeddedServerError(f"{folder.path} contains other files; choose a new folder for the embedded server")
    return folder, account


def make_private(path: Path, account: Account) -> None:
    """Create a folder that only `account` can enter, or check that an existing one is so.

    Raises:
        EmbeddedServerError: It is a link, belongs to another user, or is open to others.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        os.chown(path, account.user_id, account.group_id)
    _refuse_strangers(path, account.user_id)
    if path.lstat().st_mode & 0o077:
        raise EmbeddedServerError(f"other users can enter {path}; delete it, and it will be created again")


def make_readable(path: Path, account: Account) -> None:
    """Create a folder that the caller owns, and that nobody but `account` can enter; or close an existing one so.

    Raises:
        EmbeddedServerError: It is a link, or belongs to another user, or others can write to it.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    _refuse_strangers(path, os.geteuid())
    os.chown(path, os.geteuid(), account.group_id)
    path.chmod(0o750)


def is_plain(path: Path) -> bool:
    """Whether PostgreSQL's programs can lie at `path`: they start each other through a shell, in double quotes."""
    return not any(character in '"$\\`' for character in str(path))


def _default_path() -> Path:
    if os.geteuid() == 0:
        return _ROOT_FOLDER
    return platformdirs.user_data_path("memory-guild", appauthor=False) / "postgresql"


def _refuse_strangers(path: Path, owner_id: int) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedServerError(f"{path} is not a folder; choose another one for the embedded PostgreSQL")
    if found.st_uid != owner_id:
        raise EmbeddedServerError(
            f"{path} belongs to {_user_name(found.st_uid)}, not to {_user_name(owner_id)}; "
            "choose another folder for the embedded PostgreSQL"
        )
    if found.st_mode & 0o022:
        raise EmbeddedServerError(f"other users can write to {path}; remove that permission or choose another folder")


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"
