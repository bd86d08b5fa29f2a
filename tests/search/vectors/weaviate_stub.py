"""A stub of the documented protocol of Weaviate: its HTTP and gRPC requests, answered from a dictionary.

It is not Weaviate. It shows that the real client is called in the way that Weaviate's reference describes, with the
client's own generated classes for gRPC.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import grpc
from typing_extensions import override
from weaviate.proto.v1 import (
    aggregate_pb2,
    base_pb2,
    batch_delete_pb2,
    batch_pb2,
    properties_pb2,
    search_get_pb2,
    weaviate_pb2_grpc,
)

from tests.search.vectors.properties import inner_product

Answer = tuple[int, Any]
HNSW = {
    "cleanupIntervalSeconds": 300,
    "dynamicEfFactor": 8,
    "dynamicEfMax": 500,
    "dynamicEfMin": 100,
    "ef": -1,
    "efConstruction": 128,
    "filterStrategy": "acorn",
    "flatSearchCutoff": 40000,
    "maxConnections": 32,
    "skip": False,
    "vectorCacheMaxObjects": 1000000000000,
}
"""What the server adds to the configuration of an index."""
Operator = base_pb2.Filters.Operator


class Weaviate(ThreadingHTTPServer):
    """The stub.

    Attributes:
        collections: By name: the configuration.
        tenants: By collection and tenant: the objects by id.
        keys: What was sent as ``Authorization``.
        fault: What it answers instead, if this returns something for the path.
        grpc_fault: The code of gRPC that calls by this name end with, if there is one.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.collections: dict[str, dict[str, Any]] = {}
        self.tenants: dict[tuple[str, str], dict[str, batch_pb2.BatchObject]] = {}
        self.keys: set[str | None] = set()
        self.fault: Callable[[str], Answer | None] = lambda path: None
        self.grpc_fault: Callable[[str], grpc.StatusCode | None] = lambda method: None
        self.turn = threading.Lock()
        self.grpc = grpc.server(ThreadPoolExecutor(4))
        add: Any = weaviate_pb2_grpc.add_WeaviateServicer_to_server
        add(Calls(self), self.grpc)
        self.grpc_port = self.grpc.add_insecure_port("127.0.0.1:0")

    @property
    def url(self) -> str:
        """Where HTTP is served."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, url: str, body: Any) -> Answer:
        """The answer to an HTTP request."""
        match urlsplit(url).path.strip("/").split("/")[1:]:
            case ["meta"]:
                return 200, {"version": "1.32.0", "hostname": self.url, "modules": {}}
            case ["schema"] if method == "GET":
                return 200, {"classes": list(self.collections.values())}
            case ["schema"]:
                if body["class"] in self.collections:
                    return 422, {"error": [{"message": f"class name {body['class']} already exists"}]}
                self.collections[body["class"]] = with_defaults(body)
                return 200, self.collections[body["class"]]
            case ["schema", name] if name in self.collections:
                return 200, self.collections[name]
            case ["schema", name, "tenants"] if method == "DELETE":
                for tenant in body:
                    self.tenants.pop((name, tenant), None)
                return 200, {}
            case ["schema", name, "tenants", tenant] if (name, tenant) in self.tenants:
                return 200, {"name": tenant, "activityStatus": "ACTIVE"}
        return 404, {"error": [{"message": "not found"}]}


def with_defaults(collection: dict[str, Any]) -> dict[str, Any]:
    """A collection as the server describes it: what was asked for, and its defaults."""
    (vectors,) = collection["vectorConfig"].values()
    assert vectors["vectorIndexConfig"]["distance"] == "dot"
    assert collection["multiTenancyConfig"]["enabled"]
    vectors["vectorIndexConfig"] = HNSW | vectors["vectorIndexConfig"]
    of_property = {"indexFilterable": True, "indexRangeFilters": False, "indexSearchable": False}
    return collection | {"properties": [of_property | each for each in collection["properties"]]}


class Calls(weaviate_pb2_grpc.WeaviateServicer):
    """The calls of gRPC."""

    def __init__(self, stub: Weaviate) -> None:
        self.stub = stub

    def begin(self, method: str, context: grpc.ServicerContext) -> None:
        """What comes before each call."""
        self.stub.keys.add(dict(context.invocation_metadata()).get("authorization"))
        code = self.stub.grpc_fault(method)
        if code is not None:
            context.abort(code, "the vector [0.1, 0.2] of the text 'secret' is wrong")

    def objects_of(self, request: Any, context: grpc.ServicerContext) -> dict[str, batch_pb2.BatchObject]:
        """The objects of the tenant that a request names."""
        if (request.collection, request.tenant) not in self.stub.tenants:
            context.abort(grpc.StatusCode.UNKNOWN, f'tenant not found: "{request.tenant}"')
        return self.stub.tenants[request.collection, request.tenant]

    @override
    def BatchObjects(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.begin("BatchObjects", context)
        with self.stub.turn:
            for each in request.objects:
                assert each.tenant
                assert each.collection in self.stub.collections
                self.stub.tenants.setdefault((each.collection, each.tenant), {})[each.uuid] = each
        return batch_pb2.BatchObjectsReply(took=0.0)

    @override
    def BatchDelete(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.begin("BatchDelete", context)
        assert request.filters.operator == Operator.OPERATOR_CONTAINS_ANY
        assert request.filters.target.property == "_id"
        with self.stub.turn:
            objects = self.objects_of(request, context)
            named = [one for one in request.filters.value_text_array.values if objects.pop(one, None)]
        return batch_delete_pb2.BatchDeleteReply(matches=len(named), successful=len(named))

    @override
    def Aggregate(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.begin("Aggregate", context)
        count = len(self.objects_of(request, context))
        return aggregate_pb2.AggregateReply(single_result=aggregate_pb2.AggregateReply.Single(objects_count=count))

    @override
    def Search(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.begin("Search", context)
        with self.stub.turn:
            objects = list(self.objects_of(request, context).values())
        if request.HasField("filters"):
            objects = [each for each in objects if matching(each, request.filters)]
        if request.HasField("near_vector"):
            question = numbers_of(request.near_vector.vectors[0].vector_bytes or request.near_vector.vector_bytes)
            scored = [(each, -inner_product(numbers_in(each), question)) for each in objects]
            scored.sort(key=lambda one: one[1])
        else:
            scored = [(each, 0.0) for each in sorted(objects, key=lambda one: one.uuid) if each.uuid > request.after]
        results = [result(each, distance, request.properties) for each, distance in scored[: request.limit]]
        return search_get_pb2.SearchReply(took=0.0, results=results)


def result(each: batch_pb2.BatchObject, distance: float, wanted: Any) -> search_get_pb2.SearchResult:
    """An object, as a search answers it."""
    stored = each.properties.non_ref_properties
    fields = {name: properties_pb2.Value(text_value=stored[name]) for name in wanted.non_ref_properties}
    return search_get_pb2.SearchResult(
        metadata=search_get_pb2.MetadataResult(
            id=each.uuid, id_as_bytes=UUID(each.uuid).bytes, distance=distance, distance_present=True
        ),
        properties=search_get_pb2.PropertiesResult(non_ref_props=properties_pb2.Properties(fields=fields)),
    )


def numbers_of(content: bytes) -> tuple[float, ...]:
    """The numbers in what the client packed: 32-bit floats."""
    return struct.unpack(f"<{len(content) // 4}f", content)


def numbers_in(each: batch_pb2.BatchObject) -> tuple[float, ...]:
    """The vector of an object."""
    return numbers_of(each.vectors[0].vector_bytes if each.vectors else each.vector_bytes)


def matching(each: batch_pb2.BatchObject, given: Any) -> bool:
    """Whether an object matches a filter."""
    if given.operator == Operator.OPERATOR_AND:
        return all(matching(each, below) for below in given.filters)
    stored = each.properties.non_ref_properties
    field = given.target.property
    if field not in stored:
        return False
    match given.operator:
        case Operator.OPERATOR_EQUAL:
            # As the tokenization `field` does.
            return bool(stored[field].strip() == given.value_text.strip())
        case Operator.OPERATOR_GREATER_THAN_EQUAL:
            return bool(stored[field] >= given.value_number)
        case Operator.OPERATOR_LESS_THAN:
            return bool(stored[field] < given.value_number)
    raise AssertionError(given.operator)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer; two would wait for each other
    server: Weaviate

    def respond(self) -> None:
        """Answer a request."""
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.keys.add(self.headers["authorization"])
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
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_DELETE = respond  # noqa: N815 - the names that the library asks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library asks for
        """Nothing."""


@contextmanager
def serving() -> Iterator[Weaviate]:
    """The stub, while it serves."""
    with Weaviate() as stub:
        stub.grpc.start()
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield stub
        stub.grpc.stop(None).wait()
        stub.shutdown()
        thread.join()
