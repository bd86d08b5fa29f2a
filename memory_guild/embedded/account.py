"""The account of the operating system that PostgreSQL runs as: the caller's own, or a system account for root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from memory_guild.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SYSTEM_ACCOUNT = "memory_guild"
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_CREATION_ATTEMPTS = 10


class Outcome(NamedTuple):
    """What a command left behind: its exit code, and its output with its errors."""

    code: int
    output: str


@dataclass(frozen=True)
class Account:
    """Who owns the server's process and data."""

    name: str
    user_id: int
    group_id: int

    @property
    def is_caller(self) -> bool:
        """Whether commands run as this account without a change of user."""
        return self.user_id == os.geteuid()

    def run(
        self, command: Sequence[str | Path], folder: Path, text: str = "", environment: dict[str, str] | None = None
    ) -> Outcome:
        """Run `command` as this account, in `folder`, with `text` as its input, and wait for it.

        Raises:
            EmbeddedServerError: The command could not be run at all; a command that failed is an ordinary outcome.
        """
        # Files, not pipes: a server that pg_ctl leaves behind would hold a pipe open, and reading it would never end.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as written:
            given.write(text.encode())
            given.seek(0)
            try:
                code = subprocess.run(  # noqa: S603  # an argument list, and no shell
                    command,
                    check=False,
                    cwd=folder,
                    env=_clean_environment() | (environment or {}),
                    stdin=given,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                    user=None if self.is_caller else self.user_id,
                    group=None if self.is_caller else self.group_id,
                    extra_groups=None if self.is_caller else [],
                    umask=0o077,
                ).returncode
            except (OSError, subprocess.SubprocessError) as error:
                raise EmbeddedServerError(
                    f"cannot run {command[0]} as {self.name}: {error}; "
                    "set MEMORY_GUILD_DATABASE_URL to use another PostgreSQL server"
                ) from error
            written.seek(0)
            return Outcome(code, written.read().decode(errors="replace").strip())

    def may(self, permission: int, path: Path) -> bool:
        """Whether the mode of `path` itself grants `permission` (4 read, 1 enter or execute, 5 both)."""
        found = path.stat()
        if found.st_uid == self.user_id:
            granted = found.st_mode >> 6
        elif found.st_gid == self.group_id:
            granted = found.st_mode >> 3
        else:
            granted = found.st_mode
        return granted & permission == permission

    def blocked_at(self, path: Path) -> Path | None:
        """The first folder on the way down to `path` that this account cannot enter; None when the way is free.

        `path` itself is not looked at, and neither are folders that do not exist yet. The caller's own way is not
        judged from modes, which do not tell everything (access lists, further groups): the kernel will say.
        """
        if self.is_caller:
            return None
        for parent in reversed(path.parents):
            if parent.exists() and stat.S_ISDIR(parent.stat().st_mode) and not self.may(1, parent):
                return parent
        return None


def server_account() -> Account:
    """The account to run PostgreSQL as, which refuses to run as root; created for root if it is missing.

    Raises:
        EmbeddedServerError: The account has no name, or cannot be created.
    """
    if os.geteuid() != 0:
        return _account(caller_name())
    for _ in range(_CREATION_ATTEMPTS):
        try:
            return _account(SYSTEM_ACCOUNT)
        except KeyError:
            problem = _create_system_account()
        if problem is not None:
            time.sleep(0.3)  # another process may hold the password file, or be creating the very same account
    try:
        return _account(SYSTEM_ACCOUNT)
    except KeyError:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and its system account {SYSTEM_ACCOUNT!r} cannot be created: {problem}; "
            f"create it (`useradd --system {SYSTEM_ACCOUNT}`), run as another user, or set MEMORY_GUILD_DATABASE_URL"
        ) from None


def caller_name() -> str:
    """The name of the user that this process runs as: the one that PostgreSQL's ``peer`` method will see.

    Raises:
        EmbeddedServerError: The user id has no name, as with an arbitrary ``docker run --user``.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise EmbeddedServerError(
            f"the user id {os.geteuid()} has no name in the user database, and PostgreSQL needs one; "
            "add it to /etc/passwd or set MEMORY_GUILD_DATABASE_URL"
        ) from None


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create_system_account() -> str | None:
    """Create the account; the problem as text where that failed."""
    if useradd := shutil.which("useradd", path=_SYSTEM_PATH):
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", "/usr/sbin/nologin", SYSTEM_ACCOUNT]
    elif adduser := shutil.which("adduser", path=_SYSTEM_PATH):  # BusyBox
        command = [adduser, "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", SYSTEM_ACCOUNT]
    else:
        return "neither useradd nor adduser is installed"
    # An argument list, and no shell.
    created = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")  # noqa: S603
    if created.returncode == 0:
        return None
    return created.stderr.strip() or f"exit code {created.returncode}"


def _clean_environment() -> dict[str, str]:
    # PGPORT, PGDATA, PGOPTIONS and their like are meant for other servers. LC_ALL: the caller's locale may not be
    # installed, and the server's own comes from its configuration.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return inherited | {"LC_ALL": "C"}
