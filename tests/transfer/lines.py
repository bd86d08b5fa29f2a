"""Lines of JSON, and what reading them yields."""

from __future__ import annotations

import io
import json
from typing import Any

from memory_guild.transfer import jsonl
from memory_guild.transfer.jsonl import read_records


def line(text: str = "text", **changed: Any) -> bytes:
    item = {"agent_id": "scribe", "tenant_id": "acme", "source_type": "document", "content_text": text} | changed
    return json.dumps({key: value for key, value in item.items() if value is not ...}).encode()


def read(*lines: bytes, line_max_bytes: int | None = None) -> list[jsonl.Line]:
    return list(read_records(io.BytesIO(b"\n".join(lines)), line_max_bytes=line_max_bytes))
