"""A stand-in for an OpenAI-compatible endpoint: it speaks the documented ``POST /v1/embeddings``, without a model."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_TEXTS = 2_048
MAX_TEXT_BYTES = 8_192
"""OpenAI's limits; a byte is a token here, which is the worst that a tokenizer can do."""
MAX_REQUEST_BYTES = 300_000


def numbers_of(text: str, dimensions: int) -> list[float]:
    """A vector that depends on the text, and not of length 1."""
    return [2.0 + (sum(text.encode()) * (place + 1)) % 7 for place in range(dimensions)]


class Endpoint(ThreadingHTTPServer):
    """The endpoint.

    Attributes:
        requests: The bodies that it got.
        connections: How many connections were opened.
        max_texts: The most texts that it takes at once.
        dimensions: Of its model, if the request asks for no others.
        answer: What it answers instead: a status and a body, given the body of the request.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.connections = 0
        self.max_texts = MAX_TEXTS
        self.dimensions = 8
        self.answer: Callable[[dict[str, Any]], tuple[int, Any]] = self.embed

    @property
    def url(self) -> str:
        """What ``OPENAI_BASE_URL`` must be."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def embed(self, body: dict[str, Any]) -> tuple[int, Any]:
        """What the documentation says."""
        texts = body["input"]
        sizes = [len(text.encode()) for text in texts]
        if not 0 < len(texts) <= self.max_texts or not all(0 < size <= MAX_TEXT_BYTES for size in sizes):
            return 400, error_about(texts)
        if sum(sizes) > MAX_REQUEST_BYTES:
            return 400, error_about(texts)
        dimensions = body.get("dimensions", self.dimensions)
        items = [
            {"object": "embedding", "index": index, "embedding": numbers_of(text, dimensions)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": sum(sizes), "total_tokens": sum(sizes)}
        return 200, {"object": "list", "data": items[::-1], "model": body["model"], "usage": usage}


def error_about(texts: list[str]) -> dict[str, Any]:
    """An error that quotes a text, as those of some servers do."""
    return {"error": {"message": f"invalid input: {texts[0]}", "type": "invalid_request_error", "code": None}}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Endpoint

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        self.server.keys.append(self.headers["authorization"])
        status, answer = self.server.answer(body) if self.path == "/v1/embeddings" else (404, {})
        if status == 0:  # hang up
            self.close_connection = True
            return
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html" if content.startswith(b"<") else "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("x-should-retry", "false")  # the client's own attempts only take time here
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library asks for
        """Nothing."""


@contextmanager
def serving() -> Iterator[Endpoint]:
    """The endpoint, while it serves."""
    with Endpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield endpoint
        endpoint.shutdown()
        thread.join()
