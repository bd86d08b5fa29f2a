"""Who uses an embedded server: a shared lock for each process, and a watcher that waits until the last is released."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_guild.embedded import watch
from memory_guild.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from memory_guild.embedded.account import Account
    from memory_guild.embedded.folder import ServerFolder

_LOCK_SECONDS = 180.0  # longer than the slowest creation and start of a server
_POLL_SECONDS = 0.02


@dataclass
class _Lease:
    descriptor: int
    uses: int


_leases: dict[Path, _Lease] = {}
_leases_guard = threading.RLock()


_handed_down: set[int] = set()  # locks that another program is about to inherit


def _begin_as_child() -> None:
    # A forked child has only the thread that forked: if another thread held the guard, it would stay locked forever.
    # And if another thread was about to hand a lock down, this process would share that lock as long as it lives.
    global _leases_guard
    _leases_guard = threading.RLock()
    for descriptor in _handed_down:
        os.close(descriptor)
    _handed_down.clear()


os.register_at_fork(after_in_child=_begin_as_child)


@contextmanager
def transition(folder: ServerFolder) -> Iterator[None]:
    """Inside the block, no other thread or process starts or stops the server in `folder`."""
    with _locked(folder.start_lock, fcntl.LOCK_EX):
        yield


def take(folder: ServerFolder) -> None:
    """Count one more use of the server in `folder` by this process; call it inside a :func:`transition`."""
    with _leases_guard:
        lease = _leases.get(folder.path)
        if lease is not None and _is_open_on(lease.descriptor, folder.users_lock):
            lease.uses += 1
            return
        descriptor = _open(folder.users_lock)
        try:
            _lock(descriptor, fcntl.LOCK_SH, folder.users_lock)
        except BaseException:
            os.close(descriptor)
            raise
        _leases[folder.path] = _Lease(descriptor, 1)


def release(path: Path) -> None:
    """Count one use less of the server in the folder `path`; after the last one this process gives up its lock."""
    with _leases_guard:
        lease = _leases.get(path)
        if lease is None:
            return
        lease.uses -= 1
        if lease.uses == 0:
            del _leases[path]
            # Close, never unlock: a forked child shares the lock, and unlocking would take it from the child too.
            if _is_open_on(lease.descriptor, path / "users.lock"):
                os.close(lease.descriptor)


def ensure_watcher(folder: ServerFolder, account: Account) -> None:
    """Start a watcher unless there is one; call it inside a :func:`transition`, after :func:`take`.

    Raises:
        EmbeddedServerError: The watcher could not be started.
    """
    with _to_hand_down(folder.watcher_lock) as descriptor:
        if descriptor is None:
            return
        os.close(_open(folder.server_lock))  # the watcher opens it, and will not create it
        # The lock belongs to the open file, which the watcher inherits, so at every moment somebody holds the lock.
        started = _run_watcher(["watch", *_place(folder), account.user_id, account.group_id, descriptor], descriptor)
    if started != 0:
        raise EmbeddedServerError(f"the watcher of the embedded PostgreSQL ended with exit code {started}")


@contextmanager
def launch(folder: ServerFolder) -> Iterator[int | None]:
    """The locked file that the processes of a new server in `folder` must inherit; None if others still hold it.

    Call it inside a :func:`transition`.
    """
    with _to_hand_down(folder.server_lock) as descriptor:
        yield descriptor


def is_held(folder: ServerFolder) -> bool:
    """Whether a process of a server in `folder` runs, reachable or not. Call it inside a :func:`transition`."""
    descriptor = _open(folder.server_lock)
    try:
        return watch.is_held(descriptor)
    finally:
        os.close(descriptor)


def has_remains(folder: ServerFolder) -> bool:
    """Whether a server may run in `folder`, or has left its lock files. Call it inside a :func:`transition`."""
    return folder.is_listening() or is_held(folder) or any(path.exists() for path in folder.lock_files)


def stop_server(folder: ServerFolder) -> bool:
    """Stop the server in `folder`, reachable or not, as the account that owns its data; True if one was running.

    Call it inside a :func:`transition`.

    Raises:
        EmbeddedServerError: It does not stop.
    """
    owner = folder.data.stat()
    ended = _run_watcher(["stop", *_place(folder), owner.st_uid, owner.st_gid])
    if ended not in (0, watch.NOTHING_TO_STOP):
        raise EmbeddedServerError(
            f"the embedded PostgreSQL in {folder.path} does not stop, or runs in another container; see {folder.log}"
        )
    return ended == 0


def _place(folder: ServerFolder) -> tuple[Path, Path]:
    return folder.path, folder.socket_file


def _run_watcher(arguments: list[str | Path | int], *descriptors: int) -> int:
    if not sys.executable:
        raise EmbeddedServerError(
            "a Python process must watch over the embedded PostgreSQL, and sys.executable names no interpreter; "
            "set MEMORY_GUILD_DATABASE_URL to use another server"
        )
    return subprocess.run(  # noqa: S603  # this interpreter runs a script of this package
        [sys.executable, "-I", "-S", watch.__file__, *map(str, arguments)],
        check=False,
        cwd="/",  # the watcher outlives this process, and must not block its working directory
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        start_new_session=True,
    ).returncode


def _is_open_on(descriptor: int, path: Path) -> bool:
    # A process that becomes a daemon closes its descriptors, so the number may now belong to another file. And if the
    # folder was deleted, there may be another file at the path.
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


@contextmanager
def _to_hand_down(path: Path) -> Iterator[int | None]:
    # The file at `path`, locked for a program that inherits it; None if another process holds the lock.
    descriptor = _open(path)
    _handed_down.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        _handed_down.discard(descriptor)
        os.close(descriptor)


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    descriptor = _open(path)
    try:
        _lock(descriptor, kind, path)
        try:
            yield
        finally:
            # Unlock, not only close: a child that another thread forked meanwhile shares the lock, and would keep it.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int, path: Path) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"another process has held {path} for {_LOCK_SECONDS:.0f} seconds; end it and try again"
                ) from None
            time.sleep(_POLL_SECONDS)
