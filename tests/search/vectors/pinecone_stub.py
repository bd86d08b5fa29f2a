"""A stub of the documented protocol of Pinecone: its HTTP requests, answered from a dictionary.

It is not Pinecone. It shows that the real client is called in the way that Pinecone's reference describes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.search.vectors.properties import inner_product

Answer = tuple[int, Any]
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, given: bool(value == given),
    "$gte": lambda value, given: value is not None and bool(value >= given),
    "$lt": lambda value, given: value is not None and bool(value < given),
}
NOT_FOUND: Answer = (404, {"error": {"code": "NOT_FOUND", "message": "not found"}, "status": 404})


class Pinecone(ThreadingHTTPServer):
    """The stub.

    Attributes:
        indexes: By name: the dimension, and the vectors by namespace and id.
        keys: The API keys that it got.
        fault: What it answers instead, if this returns something for the path.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.indexes: dict[str, tuple[int, dict[str, dict[str, Any]]]] = {}
        self.keys: set[str | None] = set()
        self.fault: Callable[[str], Answer | None] = lambda path: None
        self.turn = threading.Lock()

    @property
    def url(self) -> str:
        """Where the control plane is."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, url: str, body: Any) -> Answer:
        """The answer to a request."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match [unquote(part) for part in parts.path.strip("/").split("/")]:
            case ["indexes"] if method == "GET":
                return 200, {"indexes": [self.described(name) for name in self.indexes]}
            case ["indexes"] if method == "POST":
                if body["name"] in self.indexes:
                    return 409, {"error": {"code": "ALREADY_EXISTS", "message": "exists"}, "status": 409}
                self.indexes[body["name"]] = body["schema"]["fields"]["_values"]["dimension"], {}
                return 201, self.described(body["name"])
            case ["indexes", name]:
                return (200, self.described(name)) if name in self.indexes else NOT_FOUND
            case ["at", name, *path]:
                dimension, namespaces = self.indexes[name]
                return self.of_index(dimension, namespaces, method, path, query, body)
        return NOT_FOUND

    def described(self, name: str) -> dict[str, Any]:
        """An index, as the control plane describes it."""
        field = {"type": "dense_vector", "dimension": self.indexes[name][0], "metric": "dotproduct"}
        return {
            "name": name,
            "host": f"{self.url}/at/{name}",
            "status": {"ready": True, "state": "Ready"},
            "schema": {"fields": {"_values": field}},
            "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
            "deletion_protection": "disabled",
        }

    def of_index(
        self,
        dimension: int,
        namespaces: dict[str, dict[str, Any]],
        method: str,
        path: list[str],
        query: dict[str, str],
        body: Any,
    ) -> Answer:
        """The answer of the data plane of an index."""
        vectors = namespaces.get((body or {}).get("namespace", ""))
        match path:
            case ["vectors", "upsert"]:
                assert len(body["vectors"]) <= 1000
                if any(len(vector["values"]) != dimension for vector in body["vectors"]):
                    return 400, {"code": 3, "message": f"dimension mismatch: {body['vectors'][0]}", "details": []}
                added = {vector["id"]: vector for vector in body["vectors"]}
                namespaces.setdefault(body["namespace"], {}).update(added)
                return 200, {"upsertedCount": len(added)}
            case ["query"]:
                matches = [
                    {"id": vector["id"], "score": inner_product(vector["values"], body["vector"])}
                    for vector in (vectors or {}).values()
                    if matching(vector["metadata"], body["filter"])
                ]
                matches.sort(key=lambda match: -match["score"])
                return 200, {"matches": matches[: body["topK"]], "namespace": body["namespace"]}
            case ["vectors", "delete"]:
                if vectors is None:
                    return 404, {"code": 5, "message": "Namespace not found", "details": []}
                for one in body["ids"]:
                    vectors.pop(one, None)
                return 200, {}
            case ["vectors", "fetch_by_metadata"]:
                if vectors is None:
                    return 404, {"code": 5, "message": "Namespace not found", "details": []}
                matched = [vector for vector in vectors.values() if matching(vector["metadata"], body["filter"])]
                start = int(body.get("paginationToken", 0))
                end = start + body["limit"]
                page = {vector["id"]: vector for vector in matched[start:end]}
                more = {"pagination": {"next": str(end)}} if end < len(matched) else {}
                return 200, {"vectors": page, "namespace": body["namespace"], "usage": {"readUnits": 1}} | more
            case ["namespaces"]:
                found = [
                    {"name": name, "record_count": len(inside)}
                    for name, inside in namespaces.items()
                    if name.startswith(query.get("prefix", ""))
                ]
                return 200, {"namespaces": found, "total_count": len(found)}
            case ["namespaces", name] if name in namespaces:
                if method == "DELETE":
                    del namespaces[name]
                    return 200, {}
                return 200, {"name": name, "record_count": len(namespaces[name])}
        return NOT_FOUND


def matching(metadata: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether a vector's metadata matches a filter."""
    return all(
        COMPARISONS[operator](metadata.get(field), value)
        for condition in given["$and"]
        for field, comparison in condition.items()
        for operator, value in comparison.items()
    )


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer; two would wait for each other
    server: Pinecone

    def respond(self) -> None:
        """Answer a request."""
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.keys.add(self.headers["api-key"])
        fault = self.server.fault(self.path)
        if fault is not None and fault[0] == 0:  # hang up
            self.close_connection = True
            return
        with self.server.turn:
            status, answer = fault or self.server.answer(self.command, self.path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = respond  # noqa: N815 - the names that the library asks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library asks for
        """Nothing."""


@contextmanager
def serving() -> Iterator[Pinecone]:
    """The stub, while it serves."""
    with Pinecone() as stub:
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield stub
        stub.shutdown()
        thread.join()
