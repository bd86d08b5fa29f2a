"""Create the data directory, and start the server process until it answers."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from memory_guild.embedded import watch
from memory_guild.embedded.account import caller_name
from memory_guild.embedded.address import DATABASE, PORT, USER
from memory_guild.embedded.folder import make_private
from memory_guild.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from memory_guild.embedded.account import Account, Outcome
    from memory_guild.embedded.binaries import Binaries
    from memory_guild.embedded.folder import ServerFolder

_START_SECONDS = 60
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
    make_private(unfinished, account)
    _initialize(unfinished, account, binaries, durable=options.get("fsync") != "off")
    # In single-user mode the database is created before anyone can connect.
    single: list[str | Path] = [binaries.program("postgres"), "--single", "-D", unfinished, "postgres"]
    _demand(account.run(single, folder.path, f"CREATE DATABASE {DATABASE};\n"), "the database cannot be created")
    unfinished.rename(folder.data)
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
    if _is_ready(folder, account, binaries):
        return
    _write_rules(folder, account)
    folder.starting.touch()
    _begin_log(folder, account)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        # After a crash the first attempts may fail: the dead server's processes need a moment to end.
        worth_a_retry = folder.is_listening() or folder.server_lock.exists()
        outcome = None if folder.is_listening() else _launch(folder, account, binaries, options)
        if _is_ready(folder, account, binaries):
            break
        if not worth_a_retry or time.monotonic() > deadline:
            folder.starting.unlink()  # there is nothing to wait for
            raise EmbeddedServerError(_failure(folder, outcome))
        time.sleep(_RETRY_SECONDS)
    folder.starting.unlink()


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


def _launch(folder: ServerFolder, account: Account, binaries: Binaries, options: Mapping[str, str]) -> Outcome:
    _forget_dead_server(folder)
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
    return account.run(command, folder.path, environment={"PGDATA": str(folder.data)})


def _is_ready(folder: ServerFolder, account: Account, binaries: Binaries) -> bool:
    if not folder.is_listening():
        return False
    command: list[str | Path] = [binaries.program("pg_isready"), "-q", "-h", folder.socket, "-p", str(PORT)]
    command += ["-d", DATABASE, "-U", USER]
    return account.run(command, folder.path).code == 0


def _forget_dead_server(folder: ServerFolder) -> None:
    """Delete lock files whose process id now belongs to another program.

    PostgreSQL itself does this only if no process of the same user has the number; in a container small numbers come
    back soon. Called only while nothing listens; the lock files of a running PostgreSQL server are kept.
    """
    process_id = watch.server_process_id(str(folder.path))
    if process_id is None:
        return
    process = Path("/proc") / str(process_id)
    if not process.exists():
        return  # no such process, or a system without /proc: PostgreSQL decides
    try:
        foreign = process.joinpath("cwd").readlink() != folder.data
    except FileNotFoundError:
        foreign = True  # ended, but not reaped: in a container the first process may not do that
    if foreign:
        folder.server_lock.unlink(missing_ok=True)
        folder.socket_file.with_name(f"{folder.socket_file.name}.lock").unlink(missing_ok=True)


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
