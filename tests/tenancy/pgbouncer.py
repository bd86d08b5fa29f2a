"""A pgbouncer in transaction mode before the server under test, with fewer connections to it than clients."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.tenancy.logins import PASSWORD

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
"""Where it is; None where it is not installed (Debian's package is ``pgbouncer``)."""

SERVER_CONNECTIONS = 2
_START_SECONDS = 10


class Address(NamedTuple):
    """Where a server listens, and who connects to it."""

    host: str
    port: int
    user: str
    password: str
    database: str


def address_of(url: str) -> Address:
    """The parts of a URL; the host is a folder where the server is reached by a Unix socket."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host = query["host"][0] if "host" in query else parts.hostname or "localhost"
    port = int(query["port"][0]) if "port" in query else parts.port or 5432
    return Address(host, port, unquote(parts.username or "postgres"), unquote(parts.password or ""), parts.path[1:])


def through(socket_folder: Path, url: str) -> str:
    """The URL of the same login and database, reached by the socket in a folder."""
    address = address_of(url)
    authority = f"{quote(address.user, safe='')}:{quote(address.password, safe='')}"
    return f"postgresql://{authority}@/{address.database}?host={quote(str(socket_folder), safe='')}"


@contextmanager
def pgbouncer(url: str, users: list[str], options: Mapping[str, str] | None = None) -> Iterator[Path]:
    """The folder of the socket of a pgbouncer that passes these users on to the URL's server; gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix="mg-"))
    try:
        _configure(folder, address_of(url), users, options or {})
        process = _launch(folder, _account(address_of(url)))
        try:
            yield folder
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder)


def _configure(folder: Path, server: Address, users: list[str], options: Mapping[str, str]) -> None:
    passwords = dict.fromkeys(users, PASSWORD) | {server.user: server.password}
    (folder / "users.txt").write_text("".join(f'"{user}" "{password}"\n' for user, password in passwords.items()))
    settings = {
        "pool_mode": "transaction",
        "default_pool_size": str(SERVER_CONNECTIONS),
        "max_client_conn": "500",
        "listen_addr": "",
        "unix_socket_dir": str(folder),
        "listen_port": "5432",
        "auth_type": "trust",
        "auth_file": str(folder / "users.txt"),
        "logfile": str(folder / "log"),
        **options,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    database = f"* = host={server.host} port={server.port}"
    (folder / "pgbouncer.ini").write_text(f"[databases]\n{database}\n[pgbouncer]\n{lines}")


def _account(server: Address) -> pwd.struct_passwd:
    """Who runs it: pgbouncer refuses root, and a private server's socket is for its owner alone."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    address = Path(server.host) / f".s.PGSQL.{server.port}"
    owner = address.stat().st_uid if address.exists() else 0
    return pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")


def _launch(folder: Path, account: pwd.struct_passwd) -> subprocess.Popen[bytes]:
    for path in (folder, *folder.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)
    switch = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    command = [str(PROGRAM), "--quiet", str(folder / "pgbouncer.ini")]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, **switch)  # type: ignore[call-overload]
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(folder / ".s.PGSQL.5432"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"pgbouncer does not start: {(folder / 'log').read_text()}")
        time.sleep(0.01)
    assert isinstance(process, subprocess.Popen)
    return process


def _answers(address: Path) -> bool:
    """Whether somebody listens; the socket is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(address))
        return True
    return False
