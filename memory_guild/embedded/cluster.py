"""Create the data directory, and start the server process until it answers."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from memory_guild.embedded import lease
from memory_guild.embedded.account import caller, caller_name
from memory_guild.embedded.address import DATABASE, PORT, USER
from memory_guild.embedded.folder import make_private
from memory_guild.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from memory_guild.embedded.account import Account, Outcome
    from memory_guild.embedded.binaries import Binaries
    from memory_guild.embedded.folder import ServerFolder

_START_SECONDS = 60
_UNSEEN_SECONDS = 3  # a process that was just killed needs a moment to end
_RETRY_SECONDS = 0.2
_LOG_LINES = 20

# Peer: the kernel tells the server who is at the other end of the socket. The server does not listen on TCP.
_HOST_RULES = "local all all peer map=owner\n"


def create(folder: ServerFolder, account: Account, binaries: Binaries, options: Mapping[str, str]) -> None:
    """Create the data directory and the database, completely or not at all; remove what an interrupted call left.

    Raises:
        EmbeddedServerError: ``initdb`` failed; the message has its output.
    """
    for interrupted in folder.path.glob("data.unfinished-*"):
        shutil.rmtree(interrupted, ignore_errors=True)
    # Always a new name: an initdb whose caller was killed runs on for a while, and must not write into this folder.
    unfinished = folder.path / f"data.unfinished-{secrets.token_hex(4)}"
    try:
        make_private(unfinished, account)
        _initialize(unfinished, account, binaries, durable=options.get("fsync") != "off")
        # In single-user mode the database is created before anyone can connect.
        single: list[str | Path] = [binaries.program("postgres"), "--single", "-D", unfinished, "postgres"]
        _demand(account.run(single, folder.path, f"CREATE DATABASE {DATABASE};\n"), "the database cannot be created")
        unfinished.rename(folder.data)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)  # it may have filled the disk
        raise
    descriptor = os.open(folder.path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the new name must survive a power failure, as the files do
    finally:
        os.close(descriptor)


def ensure_running(folder: ServerFolder, account: Account, binaries: Binaries, options: Mapping[str, str]) -> None:
    """Start the server if it is not running, and wait until it accepts connections; `options` are for a new start.

    Raises:
        EmbeddedServerError: It does not answer within a minute; the message ends with the last lines of its log.
    """
    began = time.monotonic()
    outcome: Outcome | None = None
    while not is_ready(folder, binaries):
        waited = time.monotonic() - began
        if folder.is_listening():  # it is starting up, or shutting down
            if waited > _START_SECONDS:
                raise EmbeddedServerError(_failure(folder, outcome))
        elif outcome is not None:
            raise EmbeddedServerError(_failure(folder, outcome))
        elif (outcome := _launch(folder, account, binaries, options)) is not None:
            continue
        elif waited > _UNSEEN_SECONDS:
            raise EmbeddedServerError(
                f"a process that cannot be seen from here, such as one of another container, uses the data in "
                f"{folder.path}: it holds {folder.server_lock.name}; end it and try again, or choose another folder"
            )
        time.sleep(_RETRY_SECONDS)


def is_ready(folder: ServerFolder, binaries: Binaries) -> bool:
    """Whether the server accepts connections to its database; `binaries` are any that the caller can run."""
    if not folder.is_listening():
        return False
    command: list[str | Path] = [binaries.program("pg_isready"), "-q", "-h", folder.socket, "-p", str(PORT)]
    command += ["-d", DATABASE, "-U", USER]
    return caller().run(command, folder.path).code == 0


def _initialize(data: Path, account: Account, binaries: Binaries, *, durable: bool) -> None:
    command: list[str | Path] = [binaries.program("initdb"), "--pgdata", data, "--username", USER]
    command += ["--encoding=UTF8", "--data-checksums", "--auth-local=peer", "--auth-host=reject", "--no-instructions"]
    command += [] if durable else ["--no-sync"]
    first, *others = _locales(binaries.version)
    outcome = account.run([*command, *first], data.parent)
    for locale in others:
        if outcome.code == 0:
            break
        outcome = account.run([*command, *locale], data.parent)
    _demand(outcome, "the data directory cannot be created")


def _locales(version: int) -> Iterator[list[str]]:
    # All sort by code point. The system's C.UTF-8 comes first because full-text search needs it to know letters.
    yield ["--locale=C.UTF-8"]
    if version >= 17:
        yield ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    yield ["--locale=C"]


def _launch(folder: ServerFolder, account: Account, binaries: Binaries, options: Mapping[str, str]) -> Outcome | None:
    # None if other processes still hold the server's lock.
    _end_remains(folder)
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": '"{}"'.format(str(folder.socket).replace('"', '""')),
        "unix_socket_permissions": "0700",
        "hba_file": str(folder.host_rules),
        "ident_file": str(folder.name_map),
        **options,
    }
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # pg_ctl passes its arguments to a shell: the folder goes through the environment, the log is a relative path.
    command: list[str | Path] = [binaries.program("pg_ctl"), "start", "-w", "-t", str(_START_SECONDS), "-s"]
    command += ["-l", folder.log.name, "-o", shlex.join(arguments)]
    with lease.launch(folder) as lock:
        if lock is None:
            return None
        for path in folder.lock_files:
            path.unlink(missing_ok=True)
        _write_rules(folder, account)
        _begin_log(folder, account)
        return account.run(command, folder.path, environment={"PGDATA": str(folder.data)}, inherited=[lock])


def _end_remains(folder: ServerFolder) -> None:
    """End what an earlier server has left: one whose socket was deleted, or processes that outlived a crash.

    Nothing listens at the socket, so nobody can use them, but the data is in their hands. What PostgreSQL's own lock
    files say does not count: the process ids in them may be another program's by now, or of another container, and
    after a crash the files may be empty.
    """
    if lease.has_remains(folder):
        lease.stop_server(folder)


def _write_rules(folder: ServerFolder, account: Account) -> None:
    owners = dict.fromkeys((caller_name(), account.name))
    names = "".join(f'owner "{owner}" all\n' for owner in owners)
    for path, text in ((folder.host_rules, _HOST_RULES), (folder.name_map, names)):
        new = path.with_name(f"{path.name}.new")
        new.write_text(text)
        os.chown(new, os.geteuid(), account.group_id)
        new.chmod(0o640)
        new.replace(path)


def _begin_log(folder: ServerFolder, account: Account) -> None:
    if folder.log.exists():
        folder.log.replace(folder.log.with_name(f"{folder.log.name}.1"))
    descriptor = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchown(descriptor, account.user_id, account.group_id)
    finally:
        os.close(descriptor)


def _demand(outcome: Outcome, failure: str) -> None:
    if outcome.code != 0:
        raise EmbeddedServerError(f"{failure}: {outcome.output}")


def _failure(folder: ServerFolder, outcome: Outcome | None) -> str:
    lines = folder.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    said = [outcome.output] if outcome is not None and outcome.output else []
    return "\n".join(
        [f"the embedded PostgreSQL in {folder.path} does not start; its log {folder.log} ends with:", *lines, *said]
    )
