"""The watcher: stops the embedded server when no process uses it any more.

It runs as a script in its own process, with ``python -I -S``. One watcher sleeps beside every running server, so it
must stay small: it imports a little of the standard library and nothing of this package.

Every process that uses the server holds a shared lock on ``users.lock``; the kernel takes the lock away when the
process ends, however it ends. The watcher sleeps until it can lock the file exclusively. Then it takes
``start.lock``, under which servers start, and checks again. There is no race:

- A process attaches under ``start.lock``: it takes its lock on ``users.lock`` there, before it looks for the server.
  So either the watcher sees that lock and goes back to sleep, or the process waits until the server has stopped, and
  starts it again.
- ``watcher.lock`` is held for the watcher's whole life and released before ``start.lock``: the next process sees that
  there is no watcher any more, and starts one. The process that starts the watcher takes the lock and hands it down as
  an open file.
- The watcher starts before the server: a process that dies while it starts the server leaves ``starting`` behind, and
  the watcher waits for that server to come up, and stops it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # importing typing would take more memory than everything else here
if TYPE_CHECKING:
    from collections.abc import Callable

_APPEAR_SECONDS = 10.0  # a server that starts listens at once, long before it is ready
_FAST_STOP_SECONDS = 60.0
_IMMEDIATE_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05


def is_listening(socket_file: str) -> bool:
    """Whether a server accepts connections at the socket; one that is starting up or shutting down counts."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(socket_file)
        except (BlockingIOError, TimeoutError):  # a server listens, and its queue is full
            return True
        except OSError:
            return False
        return True


def server_process_id(folder: str) -> int | None:
    """The process id in the server's lock file; trust it only while the server listens."""
    try:
        with open(os.path.join(folder, "data", "postmaster.pid"), encoding="utf-8") as lock_file:
            process_id = int(lock_file.readline())
    except (FileNotFoundError, ValueError):
        return None
    return process_id if process_id > 0 else None  # negative in single-user mode, and os.kill would take it for a group


def stop(folder: str, socket_file: str) -> bool:
    """Stop the server in `folder`, and wait; True if it has stopped.

    Connections are closed and their transactions rolled back. ``pg_ctl`` would do the same, but needs the binaries,
    which may be gone, as after a virtual environment was deleted while the server ran.
    """
    for request, seconds in ((signal.SIGINT, _FAST_STOP_SECONDS), (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS)):
        # The process id is right only while a server answers at the private socket: that server wrote it.
        process_id = server_process_id(folder) if is_listening(socket_file) else None
        if process_id is None:
            return not is_listening(socket_file)
        try:
            os.kill(process_id, request)
        except ProcessLookupError:
            return True
        if _wait_until(lambda: not (is_listening(socket_file) or _has_process(folder)), seconds):
            return True
    return False


def watch(folder: str, users: int, transition: int, watcher: int, socket_file: str) -> None:
    """Sleep until no process uses the server in `folder`, then stop it; this process owns the three open locks."""
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)
        # Never hold this lock while waiting for the other: a process that attaches takes them in the opposite order.
        fcntl.flock(users, fcntl.LOCK_UN)
        fcntl.flock(transition, fcntl.LOCK_EX)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(transition, fcntl.LOCK_UN)
            continue
        break
    if not os.path.exists(os.path.join(folder, "keep_running")):
        if os.path.exists(os.path.join(folder, "starting")):
            _wait_until(lambda: is_listening(socket_file), _APPEAR_SECONDS)
        stop(folder, socket_file)
    for descriptor in (watcher, users, transition):
        os.close(descriptor)


def main(task: str, folder: str, socket_file: str, user_id: int, group_id: int, watcher: int = -1) -> int:
    """Do `task` (``watch`` or ``stop``) as the account that the server runs as; the exit code."""
    if task == "watch":
        users, transition = (os.open(os.path.join(folder, name), os.O_RDWR) for name in ("users.lock", "start.lock"))
        if os.fork():
            os._exit(0)  # the process that started the watcher waits only for this half, and need not reap the other
        os.ftruncate(watcher, 0)
        os.write(watcher, f"{os.getpid()}\n".encode())
    if os.geteuid() != user_id:
        # Root must not send signals to a process id that another account has written into a file.
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    if task == "stop":
        return 0 if stop(folder, socket_file) else 1
    watch(folder, users, transition, watcher, socket_file)
    return 0


def _has_process(folder: str) -> bool:
    # The server deletes its lock file last of all. If it crashed instead, the file is left, but no process.
    process_id = server_process_id(folder)
    try:
        if process_id is not None:
            os.kill(process_id, 0)
    except OSError:
        return False
    return process_id is not None


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


if __name__ == "__main__":
    _task, _folder, _socket_file, *_numbers = sys.argv[1:]
    sys.exit(main(_task, _folder, _socket_file, *map(int, _numbers)))
