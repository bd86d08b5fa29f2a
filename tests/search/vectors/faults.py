"""A server that answers every HTTP request in one wrong way, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_UP = 0
SILENCE = -1

MESSAGE = "the vector [0.1, 0.2] of the text 'the launch code' is wrong"
"""What the server says in its answers, and what no error of ours may repeat."""


class Faulty(ThreadingHTTPServer):
    """The server.

    Attributes:
        status: The status that it answers, or ``HANG_UP`` or ``SILENCE``.
        headers: The headers that it got.
    """

    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.headers: list[dict[str, str]] = []
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer; two would wait for each other
    server: Faulty

    def respond(self) -> None:
        """Answer a request."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.server.status == SILENCE:
            self.server.ended.wait()
        if self.server.status in (HANG_UP, SILENCE):
            self.close_connection = True
            return
        content = json.dumps({"error": MESSAGE, "message": MESSAGE, "status": {"error": MESSAGE}}).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - the names that the library asks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library asks for
        """Nothing."""


@contextmanager
def answering(status: int) -> Iterator[Faulty]:
    """The server, while it serves."""
    with Faulty(status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()
