"""Rego in a process of its own: a crash, an endless evaluation or too much memory costs that process, and denies."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from memory_guild.errors import PolicyEngineError, PolicyError, SettingsError
from memory_guild.policies.decisions import Answer, Decision, combined, failed
from memory_guild.policies.loading import Policy
from memory_guild.policies.rules import check_source

_WORKER = Path(__file__).with_name("rego_worker.py")
_INPUTS_AT_ONCE = 100
_STARTING_SECONDS = 30.0
_WATCHED_EVERY_SECONDS = 0.02
_GRACE_SECONDS = 1.0
_PAGE_BYTES = 4096

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class _WorkerError(Exception):
    """The worker gave no answer; the text says why."""


class RegoEngine:
    """The engine in this process' own worker, which starts with the first question.

    Args:
        timeout_seconds: How long one request, of at most a hundred inputs, may take.
        memory_max_bytes: How much memory the worker may have. It is watched where ``/proc`` tells it.
    """

    def __init__(self, *, timeout_seconds: float = 1.0, memory_max_bytes: int = 500_000_000) -> None:
        if find_spec("regopy") is None:
            raise SettingsError(
                "MEMORY_GUILD_POLICIES", "needs the extra policies: pip install 'memory-guild[policies]'"
            )
        self._timeout_seconds = timeout_seconds
        self._memory_max_bytes = memory_max_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = asyncio.Lock()
        self._thread = _own_thread()
        self._owner = os.getpid()

    async def check(self, rego: str) -> None:
        """Compile a policy.

        Raises:
            PolicyError: It does not compile; it says where.
            PolicyEngineError: The worker gave no answer.
        """
        check_source(rego)
        try:
            refused = await self._ask("check", rego=rego)
        except _WorkerError as error:
            raise PolicyEngineError(f"the policy cannot be compiled: {error}") from None
        if refused:
            raise _policy_error(rego, refused["reason"], refused["position"])

    async def decide(self, policies: Sequence[Policy], inputs: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Decide about inputs, a hundred in one request to the worker. It raises nothing: what fails denies."""
        decisions: list[Decision] = []
        for first in range(0, len(inputs), _INPUTS_AT_ONCE):
            decisions += await self._decide_some(policies, inputs[first : first + _INPUTS_AT_ONCE])
        return decisions

    async def close(self) -> None:
        """End the worker. Whoever asks afterwards starts another one."""
        self._leave_parent()
        async with self._turn:
            await self._kill()
            ended, self._thread = self._thread, _own_thread()
        ended.shutdown(wait=False)

    async def _decide_some(self, policies: Sequence[Policy], inputs: Sequence[Mapping[str, Any]]) -> list[Decision]:
        usable = [policy for policy in policies if policy.error is None]
        try:
            answers = await self._ask("decide", policies=[policy.rego for policy in usable], inputs=inputs)
        except _WorkerError as error:
            return [failed(f"the policies could not be asked: {error}")] * len(inputs)
        broken = [Answer(policy.name, error=policy.error) for policy in policies if policy.error is not None]
        of_inputs = zip(*answers, strict=True) if usable else ((),) * len(inputs)
        return [combined([*broken, *map(_answer, usable, found)]) for found in of_inputs]

    async def _ask(self, what: str, **arguments: Any) -> Any:
        self._leave_parent()
        request = json.dumps({"do": what, "with": arguments}).encode() + b"\n"
        async with self._turn:
            try:
                return json.loads(await self._exchange(await self._running(), request, self._timeout_seconds))
            except BaseException as error:
                await self._kill()  # also after a cancellation: its answer would be taken for the next one's
                if isinstance(error, (OSError, ValueError)):
                    raise _WorkerError("the evaluation crashed") from None
                raise

    def _leave_parent(self) -> None:
        """In a process that was forked: leave the worker alone, which answers the process that it came from."""
        if self._owner != os.getpid():
            self._process, self._turn, self._owner = None, asyncio.Lock(), os.getpid()
            self._thread = _own_thread()  # no thread lives on in a fork

    async def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            await self._kill()  # it has ended by itself, and its pipes are still open
        if self._process is None:
            # At once, so that no cancellation leaves one behind.
            self._process = _start(self._timeout_seconds + _GRACE_SECONDS)
            await self._exchange(self._process, b'{"do": "nothing", "with": {}}\n', _STARTING_SECONDS)
        return self._process

    async def _exchange(self, process: subprocess.Popen[bytes], request: bytes, timeout_seconds: float) -> bytes:
        """The answer. A thread waits for the pipes: unlike asyncio, it works in any loop and on any system."""
        waiting = self._in_thread(_exchange, process, request)
        waiting.add_done_callback(_take_notice)
        ends_at = time.monotonic() + timeout_seconds
        while not (await asyncio.wait({waiting}, timeout=_WATCHED_EVERY_SECONDS))[0]:
            if time.monotonic() > ends_at:
                raise _WorkerError("the evaluation took too long")
            if _resident_bytes(process.pid) > self._memory_max_bytes:
                raise _WorkerError("the evaluation took too much memory")
        return waiting.result()

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # the thread that waits for its answer ends with it
            await self._in_thread(process.communicate)

    def _in_thread(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> asyncio.Future[_Result]:
        """Do something in the engine's own thread."""
        return asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))


def _own_thread() -> ThreadPoolExecutor:
    """One of its own: the event loop's may all be taken, by calls of models, for longer than an evaluation may take."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory-guild-policies")


def _take_notice(waiting: asyncio.Future[bytes]) -> None:
    """An exchange that nobody waits for any more, because its worker was killed, ends with an error."""
    if not waiting.cancelled():
        waiting.exception()


def _start(longest_seconds: float) -> subprocess.Popen[bytes]:
    """A worker, which ends by itself if an evaluation takes longer: whoever started it may have been killed."""
    paths = json.dumps([path for path in sys.path if path])
    return subprocess.Popen(  # noqa: S603 - the program is the package's own
        [sys.executable, "-P", "-B", str(_WORKER), paths, str(longest_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
    )


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise OSError("it has no pipes")
    process.stdin.write(request)
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer.endswith(b"\n"):
        raise OSError("it ended")
    return answer


def _answer(policy: Policy, found: Any) -> Answer:
    if isinstance(found, str):
        return Answer(policy.name, error=found)
    allow, deny = found
    return Answer(policy.name, tuple(allow), tuple(deny))


def _policy_error(rego: str, reason: str, position: int | None) -> PolicyError:
    if position is None:
        return PolicyError(reason)
    before = rego.encode()[:position].decode(errors="replace")
    return PolicyError(reason, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


def _resident_bytes(process_id: int) -> int:
    """How much memory a process has; 0 where that cannot be told."""
    try:
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0
