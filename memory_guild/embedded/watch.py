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
- The watcher starts before the server, and every process of the server inherits a lock on ``server.lock``, from the
  moment on at which it is launched. So if the process that launches the server dies, the watcher sees that a server is
  on its way, waits for it, and stops it.
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
_STOPPING = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))  # fast, immediate, the kernel's
_POLL_SECONDS = 0.05
NOTHING_TO_STOP = 3
"""The exit code of the task ``stop`` if there was no server."""
_HAS_PROC = os.path.exists("/proc/self/cwd")  # Linux; not macOS


def is_listening(socket_file: str) -> bool:
    """Whether a server accepts connections at the socket; one that is starting up or shutting down counts.

    Raises:
        PermissionError: This account may not ask.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(socket_file)
        except (BlockingIOError, TimeoutError):  # a server listens, and its queue is full
            return True
        except PermissionError:
            raise
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
    """Stop the server in `folder`, whether it can be reached or not, and wait; True if it has stopped.

    Connections are closed and their transactions rolled back. What a crashed server has left running is ended too.
    ``pg_ctl`` would need the binaries, which may be gone, as after a virtual environment was deleted while the server
    ran, and the lock file, which may be gone or damaged.
    """
    for request, seconds in _STOPPING:
        signals = _signals(folder, socket_file, request)
        if not signals and is_listening(socket_file):
            return False  # in another container: its processes cannot be seen from here
        for process_id, signal_number in signals.items():
            try:
                os.kill(process_id, signal_number)
            except (ProcessLookupError, PermissionError):
                continue  # it has ended, and the number may belong to another user's process by now
        if _wait_until(lambda: not _runs(folder, socket_file), seconds):
            return True
    return False


def watch(folder: str, users: int, transition: int, watcher: int, server: int, socket_file: str) -> None:
    """Sleep until no process uses the server in `folder`, then stop it; this process owns the four open locks."""
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
        _wait_until(lambda: _runs(folder, socket_file) or not is_held(server), _APPEAR_SECONDS)
        stop(folder, socket_file)
    for descriptor in (watcher, users, transition, server):
        os.close(descriptor)


def is_held(lock: int) -> bool:
    """Whether the open file `lock` is locked (exclusively) through another one."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(lock, fcntl.LOCK_UN)
    return False


def main(task: str, folder: str, socket_file: str, user_id: int, group_id: int, watcher: int = -1) -> int:
    """Do `task` (``watch`` or ``stop``) as the account that the server runs as; the exit code."""
    if task == "watch":
        users, transition, server = (
            os.open(os.path.join(folder, name), os.O_RDWR) for name in ("users.lock", "start.lock", "server.lock")
        )
        if os.fork():
            os._exit(0)  # the process that started the watcher waits only for this half, and need not reap the other
        try:
            os.ftruncate(watcher, 0)
            os.write(watcher, f"{os.getpid()}\n".encode())
        except OSError:
            pass  # for people only, and a full disk must not be the end of the watcher
    if os.geteuid() != user_id:
        # Root must not send signals to a process id that another account has written into a file.
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    if task == "stop":
        if not _runs(folder, socket_file):
            return NOTHING_TO_STOP
        return 0 if stop(folder, socket_file) else 1
    watch(folder, users, transition, watcher, server, socket_file)
    return 0


def _processes(folder: str) -> dict[int, bool]:
    """The processes of the server in `folder`, each with whether it is the first one, which started the others.

    They are PostgreSQL's programs that work in the data directory. Unlike the process id in the lock file, this cannot
    be out of date, damaged, or of another container. Processes of another account are not seen.
    """
    found = {}
    try:
        data = os.stat(os.path.join(folder, "data"))
    except FileNotFoundError:
        return {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if not os.path.samestat(os.stat(f"/proc/{name}/cwd"), data):
                continue
            with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as file:
                program = file.read().strip()
            with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as file:
                title = file.read()
        except OSError:
            continue  # it has ended, or is another account's
        if program == "postgres":
            found[int(name)] = not title.startswith("postgres: ")  # as in "postgres: checkpointer"
    return found


def _signals(folder: str, socket_file: str, request: signal.Signals) -> dict[int, signal.Signals]:
    # The first process passes a request on. What has outlived it can do nothing useful, and may wait for nothing.
    if not _HAS_PROC:
        # The number is right only while a server answers at the private socket: that server wrote it.
        process_id = server_process_id(folder) if is_listening(socket_file) else None
        return {} if process_id is None else {process_id: request}
    processes = _processes(folder)
    if request == signal.SIGKILL or not any(processes.values()):
        return dict.fromkeys(processes, signal.SIGKILL)
    return {process_id: request for process_id, is_first in processes.items() if is_first}


def _runs(folder: str, socket_file: str) -> bool:
    if _HAS_PROC:
        return bool(_processes(folder)) or is_listening(socket_file)
    if is_listening(socket_file):
        return True
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
