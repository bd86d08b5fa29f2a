"""The process that evaluates Rego. It is a script of its own, which imports nothing of the package.

It reads one JSON object a line from its input and writes one a line. Whoever started it kills it when it takes too long
or too much memory, so nothing here guards against that, except a timer for the case that nobody is left to kill it. It
sees no environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

_BUILTINS_TEXT = """
abs all and any array.concat array.reverse array.slice ceil concat contains count div endswith eq equal floor format_int
gt gte indexof internal.member_2 internal.member_3 intersection is_array is_boolean is_null is_number is_object is_set
is_string lower lt lte max min minus mul neq object.get object.keys or plus rem replace round sort split sprintf
startswith strings.any_prefix_match strings.any_suffix_match time.parse_rfc3339_ns to_number trim trim_left
trim_prefix trim_right trim_space trim_suffix union upper
"""
BUILTINS = frozenset(_BUILTINS_TEXT.split())
"""What a policy may call: nothing of the network, the environment, chance, and nothing whose cost has no bound in the
size of its input, such as regular expressions and ranges of numbers. Each fails where its arguments are wrong: ``sum``
of texts is undefined instead, so that a rule ``deny`` would deny nothing."""

_CALLS_NOTHING = "calls a function that does not exist, or a rule that needs itself"
"""What the engine refuses without saying more."""

_RULES = ("memory/access/allow", "memory/access/deny")
_MOST_COMPILED = 256
_PLACE = re.compile(r"policy\|(\d+)\|")
_MESSAGE = re.compile(r"\(errormsg \d+:([^)]*)\)")


class RefusedError(Exception):
    """A policy that does not compile.

    Attributes:
        reason: Why.
        position: Where in its source, in bytes; None if that is not known.
    """

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


class Compiled:
    """A compiled policy."""

    def __init__(self, rego: str) -> None:
        import regopy

        self._interpreter = regopy.Interpreter()
        # Otherwise a function that fails would make a rule `deny` undefined, and so deny nothing.
        self._interpreter.strict_built_in_errors = True
        try:
            self._interpreter.add_module("policy", rego)
            self._bundle = self._interpreter.build(None, list(_RULES))
        except json.JSONDecodeError:
            raise RefusedError(_CALLS_NOTHING) from None
        except Exception as error:
            raise _refused(str(error)) from None
        forbidden = sorted(self._builtins() - BUILTINS)
        if forbidden:
            raise RefusedError(f"calls what a policy may not call: {', '.join(forbidden)}")

    def answers(self, given: Any) -> list[Any]:
        """The values of the two rules for an input: each is a list of one, or empty if it is undefined."""
        self._interpreter.set_input(given)
        return [self._value(rule) for rule in _RULES]

    def _value(self, rule: str) -> list[Any]:
        output = self._interpreter.query_bundle_entrypoint(self._bundle, rule)
        if not output.ok():
            raise ValueError("evaluation failed")
        return list(output.results[0].expressions) if output.results else []

    def _builtins(self) -> set[str]:
        folder = tempfile.mkdtemp()
        try:
            self._interpreter.save_bundle(os.path.join(folder, "bundle"), self._bundle)
            with open(os.path.join(folder, "bundle", "plan.json"), encoding="utf-8") as file:
                plan = json.load(file)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {builtin["name"] for builtin in plan["static"].get("builtin_funcs") or ()}


_compiled: dict[str, Compiled] = {}


def compiled(rego: str) -> Compiled:
    """The compiled policy of a source, kept for the next time."""
    if (known := _compiled.get(rego)) is None:
        if len(_compiled) >= _MOST_COMPILED:
            _compiled.clear()
        known = _compiled[rego] = Compiled(rego)
    return known


def check(rego: str) -> dict[str, Any]:
    """Whether a policy compiles."""
    try:
        compiled(rego).answers({})
    except RefusedError as error:
        return {"reason": error.reason, "position": error.position}
    except json.JSONDecodeError:
        return {"reason": _CALLS_NOTHING, "position": None}
    except Exception:
        return {}  # it needs an input that has something
    return {}


def decide(policies: list[str], inputs: list[Any]) -> list[list[Any]]:
    """For each policy and input the values of the two rules, or a text: why it could not be evaluated."""
    return [[_answers(rego, given) for given in inputs] for rego in policies]


def _answers(rego: str, given: Any) -> Any:
    try:
        return compiled(rego).answers(given)
    except RefusedError as error:
        return f"it {error.reason}"
    except Exception:
        return "its evaluation failed"


def _refused(error: str) -> RefusedError:
    message, place = _MESSAGE.search(error), _PLACE.search(error)
    reason = "does not compile" if message is None else f"does not compile: {message[1].strip()}"
    return RefusedError(reason, None if place is None else int(place[1]))


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # the engine prints what it refuses
    os.dup2(nowhere, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the other one decides
    os.environ.clear()
    sys.path[:] = json.loads(sys.argv[1])
    import regopy

    regopy.set_default_log_level("none")
    doing: dict[str, Callable[..., Any]] = {"check": check, "decide": decide}
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _end_after(float(sys.argv[2]))
        answer = doing[request["do"]](**request["with"]) if request["do"] in doing else None
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        _end_after(0.0)


def _end_after(seconds: float) -> None:
    """Have the system end this process after so long; with 0, no longer. No evaluation, however busy, keeps it."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
