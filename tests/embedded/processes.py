"""Starting, watching and killing the processes of these tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg
import pytest

import memory_guild
from memory_guild import embedded
from memory_guild.embedded import binaries

REPOSITORY = Path(memory_guild.__file__).parent.parent
PROGRAM = Path(__file__).with_name("child.py")
PACKAGE = binaries.find(18).package
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user")


class Child:
    """A process that runs a task of ``child.py``; as `user_id` where that is given, `through` another program."""

    def __init__(
        self,
        task: str,
        *arguments: object,
        user_id: int | None = None,
        path: str = "",
        through: Sequence[str] = (),
    ) -> None:
        self.process = subprocess.Popen(
            [*through, interpreter(user_id), str(PROGRAM), task, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            user=user_id,
            group=user_id,
            extra_groups=None if user_id is None else [],
            env=environment(path),
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"child ended with exit code {self.process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Let it end by itself, without a word to the server."""
        self.process.communicate(timeout=10)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@cache
def interpreter(user_id: int | None) -> str:
    """A Python that this user can run: the one of the tests, or the system's, which must be of the same version."""
    if user_id is None:
        return sys.executable
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, *filter(None, [shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")])]
    for candidate in candidates:
        try:
            subprocess.run(
                [candidate, "-c", "import memory_guild.embedded, asyncpg"],
                check=True,
                capture_output=True,
                cwd="/",
                user=user_id,
                env=environment(),
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip(f"user {user_id} can run no Python {version}, or cannot read this package")


def environment(first: str = "") -> Mapping[str, str]:
    """This process's imports for another one."""
    packages = Path(asyncpg.__file__).parent.parent
    path = [entry for entry in (first, str(REPOSITORY), str(packages)) if entry]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def stops(folder: Path) -> bool:
    """Whether the server in `folder` stops soon, and cleanly."""
    return eventually(lambda: not embedded.status(folder).running and not (folder / "data" / "postmaster.pid").exists())


def watcher_id(folder: Path) -> int:
    return int((folder / "watcher.lock").read_text())


def kill_server(folder: Path) -> int:
    process_id = embedded.status(folder).pid
    assert process_id is not None
    os.kill(process_id, signal.SIGKILL)
    assert eventually(lambda: not is_alive(process_id))
    return process_id
