"""The engine on an OPA server, against a stand-in that speaks the documented protocol. It is not OPA itself.

Source: https://www.openpolicyagent.org/docs/latest/rest-api/#get-a-document-with-input
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from memory_guild.policies.opa import OpaEngine

INPUT = {"agent_id": "me", "tenant_id": "acme", "action": "read", "memory": None, "source": None}


class StandIn:
    """A server that answers what it is told to.

    Attributes:
        answers: The status and body by the input's agent.
        requests: The path, the headers and the body of each request.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Answer one question."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.requests.append((self.path, dict(self.headers), body))
                status, answer = stand_in.answers[body["input"]["agent_id"]]
                if answer == "late":
                    time.sleep(1)
                content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                """Print nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128  # more than are sent at once: the system resets connections that find no place

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A stand-in for an OPA server."""
    server = StandIn()
    yield server
    server.close()


async def test_the_request_is_the_documented_one(stand_in: StandIn) -> None:
    stand_in.answers["me"] = (200, {"result": {"allow": True}})
    engine = OpaEngine(stand_in.url + "/", token="secret")
    (decision,) = await engine.decide([], [INPUT])
    await engine.close()
    assert decision.allowed
    ((path, headers, body),) = stand_in.requests
    assert path == "/v1/data/memory/access"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Type"] == "application/json"
    assert body == {"input": INPUT}


@pytest.mark.parametrize(
    ("status", "answer", "allowed", "reason"),
    [
        (200, {"result": {"allow": True}}, True, "the policy of the OPA server allows it"),
        (200, {"result": {"allow": True, "deny": False}}, True, "the policy of the OPA server allows it"),
        (200, {"result": {"allow": True, "deny": True}}, False, "the policy of the OPA server denies it"),
        (200, {"result": {"allow": True, "deny": []}}, False, "rule `deny` that is not true or false"),
        (200, {"result": {"allow": "yes"}}, False, "rule `allow` that is not true or false"),
        (200, {"result": {"allow": False}}, False, "no policy allows it"),
        (200, {"result": {}}, False, "no policy allows it"),
        (200, {}, False, "no policy allows it"),
        (200, {"result": True}, False, "no document of rules"),
        (200, [], False, "no document of rules"),
        (200, "not JSON", False, "could not be asked (JSONDecodeError)"),
        (401, {"code": "unauthorized"}, False, "refused the request (HTTP 401)"),
        (500, {"code": "internal_error"}, False, "refused the request (HTTP 500)"),
        (200, "late", False, "could not be asked"),
    ],
)
async def test_what_an_answer_means(stand_in: StandIn, status: int, answer: Any, allowed: bool, reason: str) -> None:
    stand_in.answers["me"] = (status, answer)
    engine = OpaEngine(stand_in.url, timeout_seconds=0.5)
    (decision,) = await engine.decide([], [INPUT])
    await engine.close()
    assert decision.allowed is allowed
    assert reason in decision.reason or (answer == "late" and "did not answer in time" in decision.reason)


async def test_many_inputs_are_answered_in_their_order(stand_in: StandIn) -> None:
    for number in range(60):
        stand_in.answers[str(number)] = (200, {"result": {"allow": number % 3 == 0}})
    engine = OpaEngine(stand_in.url, timeout_seconds=10)
    decisions = await engine.decide([], [INPUT | {"agent_id": str(number)} for number in range(60)])
    await engine.close()
    assert [decision.allowed for decision in decisions] == [number % 3 == 0 for number in range(60)]


async def test_a_server_that_is_not_there_denies() -> None:
    engine = OpaEngine("http://127.0.0.1:1", timeout_seconds=0.5)
    (decision,) = await engine.decide([], [INPUT])
    await engine.close()
    assert not decision.allowed
    assert not decision.is_lasting
