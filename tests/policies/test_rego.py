"""The engine: it agrees with plain Python, and no policy, however hostile, gets through it, past it or stuck in it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from memory_guild.errors import PolicyEngineError, PolicyError
from memory_guild.policies.deciding import Decider
from memory_guild.policies.loading import Policy, policy_from
from memory_guild.policies.names import check_names
from memory_guild.policies.projection import projected, visible_paths
from memory_guild.policies.rego import RegoEngine
from memory_guild.policies.tokens import Token, tokens_of
from tests.policies.programs import random_input, random_program

INPUT: dict[str, Any] = {
    "agent_id": "me",
    "tenant_id": "acme",
    "action": "read",
    "memory": {"agent_id": "me", "source_type": "document", "metadata": {"n": "x"}},
    "source": None,
}
PACKAGE = "package memory.access\n"
ALLOWING = Policy("allowing", PACKAGE + "allow := true\n")


@pytest.fixture
async def patient_engine() -> AsyncIterator[RegoEngine]:
    """One that takes its time, for tests that are about what it says."""
    engine = RegoEngine(timeout_seconds=30.0)
    yield engine
    await engine.close()


@pytest.fixture
async def engine() -> AsyncIterator[RegoEngine]:
    """An engine that is closed in the end."""
    engine = RegoEngine(timeout_seconds=1.0)
    yield engine
    await engine.close()


def environment_of(process_id: int) -> str:
    """What a process was started with."""
    return Path(f"/proc/{process_id}/environ").read_text()


async def agree(engine: RegoEngine, seed: int, policies: int) -> None:
    """Compare decisions with those of the reference, whole inputs and projected ones."""
    random = Random(seed)
    for _ in range(policies):
        program, inputs = random_program(random), [random_input(random) for _ in range(8)]
        rego = program.rego()
        await engine.check(rego)
        paths = visible_paths([rego])
        seen = [projected(given, paths) for given in inputs]
        decisions = await engine.decide([Policy("random", rego)], [*inputs, *seen])
        wanted = [program.allows(given) for given in inputs]
        assert [decision.allowed for decision in decisions] == wanted * 2, rego


async def test_it_agrees_with_plain_python(patient_engine: RegoEngine) -> None:
    await agree(patient_engine, 1, 40)


async def test_a_thousand_policies_agree_with_plain_python(patient_engine: RegoEngine) -> None:
    await agree(patient_engine, 2, 1000)


@pytest.mark.parametrize(
    ("rego", "message"),
    [
        ("", "must begin with: package memory.access (line 1, column 1)"),
        ("garbage", "must begin with: package memory.access (line 1, column 1)"),
        ("package memory.other\nallow := true", "must begin with: package memory.access (line 1, column 1)"),
        ("package memory.access.more\nallow := true", "must begin with: package memory.access (line 1, column 1)"),
        ("package memory.accessible\nallow := true", "must begin with: package memory.access (line 1, column 1)"),
        (PACKAGE + "allow { true }", "is a body without `if`: write rules as in OPA 1.0 (line 2, column 7)"),
        (PACKAGE + "deny[x] { x := 1 }", "is a body without `if`: write rules as in OPA 1.0 (line 2, column 9)"),
        (PACKAGE + "allow = true { true }", "is a body without `if`: write rules as in OPA 1.0 (line 2, column 14)"),
        (PACKAGE + "\nallow if {\n  x :=\n}", "does not compile: Invalid assignment operator (line 4, column 5)"),
        (PACKAGE + '# ä\nallow if "é" == 1\nb := [', "does not compile: this is unclosed (line 4, column 6)"),
        (PACKAGE + "allow if missing(1)", "calls a function that does not exist, or a rule that needs itself"),
        (
            PACKAGE + "allow if other\nother if allow",
            "calls a function that does not exist, or a rule that needs itself",
        ),
        (PACKAGE + 'deny if sum(["x"]) > 1', "calls what a policy may not call: sum"),
        (PACKAGE + "allow if opa.runtime().env", "calls what a policy may not call: opa.runtime"),
        (PACKAGE + 'allow if http.send({"url": "http://x"})', "calls what a policy may not call: http.send"),
        (PACKAGE + 'allow if regex.match("(a*)*b", "aaa")', "calls what a policy may not call: regex.match"),
        (PACKAGE + "allow if time.now_ns() > 1", "calls what a policy may not call: time.now_ns"),
        (PACKAGE + "allow if count(numbers.range(1, 9)) > 1", "calls what a policy may not call: numbers.range"),
        (PACKAGE + "allow if [p | walk(input, [p, _])]", "calls what a policy may not call: walk"),
        (PACKAGE + 'allow if rand.intn("x", 2) == 1', "calls what a policy may not call: rand.intn"),
        (PACKAGE + 'deny if imput.action == "read"', "names what is defined nowhere: imput (line 2, column 9)"),
        (
            PACKAGE + "deny if {\n  not is_onw\n}\nis_own := 1",
            "names what is defined nowhere: is_onw (line 3, column 7)",
        ),
        (PACKAGE + "deny if { some x in tags }", "names what is defined nowhere: tags (line 2, column 21)"),
        (PACKAGE + "allow if \0", "contains a NUL character (line 2, column 10)"),
        (PACKAGE + "x := " + "[" * 100, "is nested more than 64 levels deep (line 2, column 70)"),
        (PACKAGE + "#" * 40_000, "has more than 32,768 characters"),
    ],
)
async def test_put_would_refuse(patient_engine: RegoEngine, rego: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        await patient_engine.check(rego)
    assert str(caught.value) == f"the policy {message}"
    written_with_sql = policy_from("bad", {"rego": rego, "version": "v1"}, None)
    (decision,) = await patient_engine.decide([ALLOWING, written_with_sql], [INPUT])
    assert not decision.allowed


@pytest.mark.parametrize(
    "rego",
    [
        "# a comment\n\n" + PACKAGE + "import rego.v1\nallow if { input.agent_id == input.memory.agent_id }",
        PACKAGE + "f(x) := y if { y := x }\nallow if f(1) == 1",
        PACKAGE + 'x := {"a": 1}\ny := {1, 2}\nallow if { x.a in y; some z in y; z == 2 }',
        PACKAGE + 'teams contains "a" if true\nallow if { "a" in teams }',
        PACKAGE + "allow if {\n  not hidden\n} else := false\nhidden if input.memory.is_deleted",
        PACKAGE + "sums.double(x) := 2 * x\nallow if sums.double(1) == 2",
        PACKAGE + 'sums["double"](x) := 2 * x\nallow if sums.double(1) == 2',
        PACKAGE + "allow if { every x in [1, 2] { x > 0 } }",
        PACKAGE + "default allow := false\nallow if count([1 | true]) == 1",
        PACKAGE + "import future.keywords.if\nimport input as asked\nallow if asked.action",
        PACKAGE + "f([x, y]) := z if { z := x + y }\nallow if f([1, 2]) == 3",
        PACKAGE + 'allow if { {"n": x} = input.memory.metadata; [y | y := x] == [x] }',
        PACKAGE + "p := [[1, 2]]\nallow if { some i\n p[i][j] == 2; p[_] = [k, l]; l > k; j < 2 }",
        PACKAGE + 'allow if { some k, "x" in input.memory.metadata; k == "n" }',
        PACKAGE
        + "allow if {\n  every k, v in input.memory.metadata {\n    k != v\n  }\n} else := missing\nmissing := 1",
    ],
)
async def test_what_opa_1_accepts_is_accepted(patient_engine: RegoEngine, rego: str) -> None:
    await patient_engine.check(rego)
    assert (await patient_engine.decide([Policy("good", rego)], [INPUT]))[0].allowed


TEN = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
ENDLESS = f"t := {TEN}\nallow if count([1 | t[a]; t[b]; t[c]; t[d]; t[e]; t[f]; t[g]; t[h]]) == 1"


@pytest.mark.parametrize(
    ("rego", "reason"),
    [
        pytest.param(PACKAGE + ENDLESS, None, id="endless or huge"),
        pytest.param(PACKAGE + "allow if deny\ndeny if allow", "its evaluation failed", id="recursive"),
        pytest.param(PACKAGE + "f(x) := f(x + 1)\nallow if f(1)", None, id="recursive function"),
        pytest.param(PACKAGE + 'allow if sprintf("%1000000000d", [1]) == "x"', None, id="a huge text"),
        pytest.param(
            PACKAGE + "allow := true\ndeny if to_number(input.memory.metadata.n) > 1",
            "its evaluation failed",
            id="a function that fails in deny",
        ),
        pytest.param(PACKAGE + 'allow := "yes"', "has a rule `allow` that is not true or false", id="a text"),
        pytest.param(PACKAGE + "allow := true\ndeny contains 1 if false", "has a rule `deny` that is not", id="a set"),
        pytest.param(PACKAGE + "allow if input.x.y.z == 1", "no policy allows it", id="undefined"),
    ],
)
async def test_a_hostile_policy_denies_and_the_next_question_is_answered(
    engine: RegoEngine, rego: str, reason: str | None
) -> None:
    began = time.monotonic()
    (denied,) = await engine.decide([ALLOWING, Policy("hostile", rego)], [INPUT])
    if reason != "no policy allows it":
        assert not denied.allowed
        assert reason is None or reason in denied.reason
    (alone,) = await engine.decide([Policy("hostile", rego)], [INPUT])
    assert not alone.allowed
    assert time.monotonic() - began < 20
    (allowed,) = await engine.decide([ALLOWING], [INPUT])
    assert allowed.allowed


async def test_too_much_memory_ends_the_worker_in_time() -> None:
    engine = RegoEngine(timeout_seconds=30.0, memory_max_bytes=150_000_000)
    rego = PACKAGE + f"t := {TEN}\nallow if count([[a, b, c, d, e, f] | t[a]; t[b]; t[c]; t[d]; t[e]; t[f]]) == 1"
    (denied,) = await engine.decide([Policy("hungry", rego)], [INPUT])
    assert denied.reason == "the policies could not be asked: the evaluation took too much memory"
    assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed
    await engine.close()


async def test_the_worker_sees_no_environment(engine: RegoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_TEST", "x")
    assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed
    assert engine._process is not None
    assert "SECRET_OF_THE_TEST" not in environment_of(engine._process.pid)


async def test_an_engine_that_was_closed_starts_again(engine: RegoEngine) -> None:
    for _ in range(3):
        assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed
        await engine.close()


@pytest.mark.parametrize("part", ["some ", "some a,", "some a,\n", "every ", "f(\n)\n", "import a\n", "a."])
def test_no_source_makes_the_check_of_its_names_look_at_tokens_again_and_again(part: str) -> None:
    """It runs in the agent's event loop."""

    class Counting(list[Token]):
        looked_at = 0

        def __getitem__(self, place: Any) -> Any:
            self.looked_at += 1
            return super().__getitem__(place)

    tokens = Counting(tokens_of(part * 1000))
    with suppress(PolicyError):
        check_names(part * 1000, tokens)
    assert tokens.looked_at < 20 * len(tokens)


async def test_a_worker_that_is_killed_again_and_again_denies_and_hangs_nothing(engine: RegoEngine) -> None:
    """Whatever moment it is killed in: an answer is right or a denial, and there always is one."""
    killed: list[int] = []

    async def kill() -> None:
        random = Random(3)
        while len(killed) < 12:
            if (process := engine._process) is not None and process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
            await asyncio.sleep(random.random() / 5)

    killing = asyncio.create_task(kill())
    reasons: set[str] = set()
    async with asyncio.timeout(60):
        while not killing.done():
            answers = await asyncio.gather(*(engine.decide([ALLOWING], [INPUT] * 3) for _ in range(3)))
            reasons |= {decision.reason for decisions in answers for decision in decisions}
            assert all(len(decisions) == 3 for decisions in answers)
    await killing
    assert reasons <= {"the policy allowing allows it", "the policies could not be asked: the evaluation crashed"}
    assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed


async def test_a_question_that_is_canceled_leaves_no_answer_for_the_next_one(engine: RegoEngine) -> None:
    denying = Policy("denying", PACKAGE + "deny := true\n")
    for delay in (0.0, 0.001, 0.01, 0.05):
        asked = asyncio.create_task(engine.decide([denying], [INPUT] * 50))
        await asyncio.sleep(delay)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed


async def test_threads_that_are_all_taken_deny_nothing(engine: RegoEngine) -> None:
    """Agents call models in the event loop's threads, for longer than an evaluation may take."""
    loop, is_free = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    taken = asyncio.create_task(asyncio.to_thread(is_free.wait))
    await asyncio.sleep(0)
    try:
        assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed
        endless = Policy("endless", PACKAGE + ENDLESS)
        assert not (await engine.decide([endless], [INPUT]))[0].allowed
        assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed
    finally:
        is_free.set()
        await taken


async def test_policies_stay_apart_though_they_share_a_package(engine: RegoEngine) -> None:
    one = Policy("one", PACKAGE + 'team := "a"\nallow if team == "b"')
    other = Policy("other", PACKAGE + 'team := "b"\nallow if team == "a"')
    assert not (await engine.decide([one, other], [INPUT]))[0].allowed


async def test_a_compilation_that_takes_too_long_is_an_error_not_a_policy() -> None:
    engine = RegoEngine(timeout_seconds=0.02)
    rego = PACKAGE + "\n".join(f"r{number} if input.x == {number}" for number in range(900))
    with pytest.raises(PolicyEngineError, match="cannot be compiled"):
        await engine.check(rego)
    await engine.close()


async def test_ctrl_c_denies_nothing_to_those_who_still_ask(engine: RegoEngine) -> None:
    """A server that is told to stop answers the requests that it has."""
    assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed
    worker = engine._process
    assert worker is not None
    for _ in range(5):
        worker.send_signal(signal.SIGINT)
        assert (await engine.decide([ALLOWING], [INPUT]))[0].allowed


@pytest.mark.parametrize("rule", ["allow := true", ENDLESS], ids=["idle", "evaluating"])
def test_the_worker_ends_with_the_process_that_started_it(rule: str) -> None:
    """Also where that one is killed, in the middle of an evaluation that does not end."""
    program = (
        "import asyncio, os, signal\n"
        "from memory_guild.policies.loading import Policy\n"
        "from memory_guild.policies.rego import RegoEngine\n"
        "async def main():\n"
        "    engine = RegoEngine(timeout_seconds=0.5)\n"
        "    await engine.check('package memory.access\\nallow := true')\n"
        "    print(engine._process.pid, flush=True)\n"
        f"    asked = asyncio.create_task(engine.decide([Policy('p', {PACKAGE + rule!r})], [{{}}]))\n"
        "    await asyncio.sleep(0.3)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    worker = Path(f"/proc/{int(finished.stdout)}/stat")
    for _ in range(60):
        if not worker.exists() or worker.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the worker goes on")


def test_a_process_that_was_forked_has_a_worker_of_its_own() -> None:
    """Two that share one would read each other's answers."""
    program = (
        "import asyncio, os\n"
        "from memory_guild.policies.loading import Policy\n"
        "from memory_guild.policies.rego import RegoEngine\n"
        "engine = RegoEngine(timeout_seconds=30)\n"
        "def ask(rule):\n"
        "    async def main():\n"
        "        rego = f'package memory.access\\n{rule} := true\\n'\n"
        "        answers = [await engine.decide([Policy('p', rego)], [{}] * 20) for _ in range(20)]\n"
        "        return {decision.allowed for some in answers for decision in some}, engine._process.pid\n"
        "    return asyncio.run(main())\n"
        "_, worker = ask('allow')\n"
        "child = os.fork()\n"
        "found, own = ask('allow' if child else 'deny')\n"
        "if child:\n"
        "    _, status = os.waitpid(child, 0)\n"
        "    assert (found, own, status) == ({True}, worker, 0), (found, own, worker, status)\n"
        "    print('right')\n"
        "else:\n"
        "    os._exit(0 if found == {False} and own != worker else 1)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert finished.stdout == "right\n", finished.stderr


class Counting:
    """An engine that counts what it is asked."""

    def __init__(self, engine: RegoEngine) -> None:
        self.engine, self.asked = engine, 0

    async def check(self, rego: str) -> None:
        """As the engine."""
        await self.engine.check(rego)

    async def decide(self, policies: Any, inputs: Any) -> Any:
        """As the engine."""
        self.asked += len(inputs)
        return await self.engine.decide(policies, inputs)

    async def close(self) -> None:
        """Nothing."""


async def test_memories_that_look_alike_to_the_policies_are_one_question(engine: RegoEngine) -> None:
    counting = Counting(engine)
    decider = Decider(counting, holds_policies=True, max_age_seconds=60)
    await decider.refresh()
    decider.use((Policy("own", PACKAGE + "allow if input.memory.agent_id == input.agent_id"),))
    memories = [INPUT["memory"] | {"memory_id": str(n), "agent_id": "me" if n % 2 else "they"} for n in range(50)]
    inputs = [INPUT | {"memory": memory} for memory in memories]
    for _ in range(3):
        decisions = await decider.decide(inputs)
        assert [decision.allowed for decision in decisions] == [n % 2 == 1 for n in range(50)]
    assert counting.asked == 2
