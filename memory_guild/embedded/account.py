"""The account that PostgreSQL runs as: the caller's own, or a system account if the caller is root."""

from __future__ import annotations

import logging
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

_log = logging.getLogger("memory_guild.embedded")


class Outcome(NamedTuple):
    """The result of a command: its exit code, and what it wrote to standard output and standard error."""

    code: int
    output: str


@dataclass(frozen=True)
class Account:
    """The account that owns the server's process and data."""

    name: str
    user_id: int
    group_id: int

    @property
    def is_caller(self) -> bool:
        """Whether this process already runs as this account."""
        return self.user_id == os.geteuid()

    def run(
        self,
        command: Sequence[str | Path],
        folder: Path,
        text: str = "",
        environment: dict[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> Outcome:
        """Run `command` as this account, in `folder`, with `text` as its input, and wait for it.

        Args:
            command: The program and its arguments; no shell reads them.
            folder: Its working directory.
            text: Its input.
            environment: Variables beside those of this process that are not meant for other servers.
            inherited: Open files that it inherits, by their descriptors.

        Raises:
            EmbeddedServerError: The command could not be started. If it fails, that is an ordinary outcome.
        """
        # Files, not pipes: the server that pg_ctl starts would keep a pipe open, and reading it would never end.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as written:
            given.write(text.encode())
            given.seek(0)
            try:
                code = subprocess.run(  # noqa: S603  # an argument list, no shell
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
                    pass_fds=inherited,
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
        """The topmost parent of `path` that this account cannot enter; None if it can enter them all.

        Neither `path` itself nor parents that do not exist yet are checked. For the caller's own account the answer is
        always None: modes do not tell everything (access lists, further groups), and the kernel will refuse by itself.
        """
        if self.is_caller:
            return None
        for parent in reversed(path.parents):
            if parent.exists() and stat.S_ISDIR(parent.stat().st_mode) and not self.may(1, parent):
                return parent
        return None


def caller() -> Account:
    """The account that this process runs as; without a name in the user database it is called by its number."""
    try:
        return _account(caller_name())
    except EmbeddedServerError:
        return Account(f"user {os.geteuid()}", os.geteuid(), os.getegid())


def server_account() -> Account:
    """The account to run PostgreSQL as: the caller's, or for root a system account, which is created if it is missing.

    PostgreSQL refuses to run as root.

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
            time.sleep(0.3)  # another process may have locked the password file, or be creating the same account
    try:
        return _account(SYSTEM_ACCOUNT)
    except KeyError:
        raise EmbeddedServerError(
            f"PostgreSQL refuses to run as root, and its account {SYSTEM_ACCOUNT!r} cannot be created: {problem}; "
            f"create it (`useradd --system {SYSTEM_ACCOUNT}`), run as another user, or set MEMORY_GUILD_DATABASE_URL"
        ) from None


def caller_name() -> str:
    """The name of the user that this process runs as, which PostgreSQL's ``peer`` method sees.

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
    """Create the account; what went wrong as text, or None."""
    if useradd := shutil.which("useradd", path=_SYSTEM_PATH):
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", "/usr/sbin/nologin", SYSTEM_ACCOUNT]
    elif adduser := shutil.which("adduser", path=_SYSTEM_PATH):  # BusyBox
        command = [adduser, "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", SYSTEM_ACCOUNT]
    else:
        return "neither useradd nor adduser is installed"
    # An argument list, no shell.
    created = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")  # noqa: S603
    if created.returncode == 0:
        _log.warning(
            "created the system account %r, because PostgreSQL refuses to run as root; see docs/settings.md",
            SYSTEM_ACCOUNT,
        )
        return None
    return created.stderr.strip() or f"exit code {created.returncode}"


def _clean_environment() -> dict[str, str]:
    # PGPORT, PGDATA, PGOPTIONS and the like are meant for other servers. LC_ALL: the caller's locale may not be
    # installed, and the server takes its locale from its configuration.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return inherited | {"LC_ALL": "C"}
