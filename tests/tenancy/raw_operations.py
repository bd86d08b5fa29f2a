"""The table of statements: plain SQL through the scope's connection, with a stranger's ids and values in hand.

``{name}`` stands for a value of the aim. Statements that one entry needs after each other are separated by ``;;``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

from memory_guild.database.engine import client
from tests.tenancy.operations import Operation
from tests.tenancy.worlds import OWN, OWN_EDGE, OWN_EMBEDDING, Aim

TABLES = {"memory_records": "memory_id", "memory_embeddings": "embedding_id", "memory_relationships": "relationship_id"}
_AIMED = {
    "memory_records": (
        "memory_id = '{memory_id}'",
        "tenant_id = '{tenant_id}'",
        "true",
    ),
    "memory_embeddings": (
        "embedding_id = '{embedding_id}'",
        "memory_id = '{memory_id}'",
        "true",
    ),
    "memory_relationships": (
        "relationship_id = '{relationship_id}'",
        "target_memory_id = '{other_memory_id}'",
        "true",
    ),
}
# Times are left out of what is returned: a new row's differs each time.
_COLUMN = {
    "memory_records": "content_text",
    "memory_embeddings": "vector_id",
    "memory_relationships": "confidence_score",
}

_CONFLICTS = (
    "",
    "ON CONFLICT DO NOTHING",
    "ON CONFLICT ({key}) DO NOTHING",
    "ON CONFLICT ON CONSTRAINT {constraint} DO NOTHING",
    "ON CONFLICT ON CONSTRAINT {constraint} DO UPDATE SET created_at = now()",
    "ON CONFLICT ON CONSTRAINT {constraint} DO UPDATE SET created_at = now() WHERE {table}.{key} IS NOT NULL",
    "ON CONFLICT ({key}) DO UPDATE SET created_at = now()",
)
_CONSTRAINTS = {
    "memory_records": "unique_content_hash",
    "memory_embeddings": "unique_memory_embedding",
    "memory_relationships": "unique_relationship",
}


def _templates(name: str) -> list[str]:
    _, *paragraphs = (Path(__file__).parent / name).read_text().strip().split("\n\n")
    return paragraphs


async def run_statements(text: str) -> list[Any]:
    """What each statement returns; what changed rows is sorted, because it returns them as they lie in the table."""
    found = []
    for statement in text.split(";;"):
        rows = await client().execute_query_dict(statement)
        found.append(sorted(rows, key=str) if statement.lstrip().startswith(("DELETE", "UPDATE", "MERGE")) else rows)
    return found


def _statement(template: str) -> Operation:
    return Operation(template, lambda aim: run_statements(_filled(template, aim)))


def _filled(template: str, aim: Aim) -> str:
    own = {f"own_{number}": str(memory_id) for number, memory_id in enumerate(OWN, 1)}
    return _replaced(
        template, {**dict(aim.names()), **own, "own_embedding": str(OWN_EMBEDDING), "own_edge": str(OWN_EDGE)}
    )


def _replaced(template: str, words: dict[str, str]) -> str:
    for word, replacement in words.items():
        template = template.replace(f"{{{word}}}", replacement)
    return template


def statements(templates: Iterable[str]) -> Iterator[Operation]:
    """One operation for each."""
    return map(_statement, templates)


def statements_of(table: str) -> Iterator[Operation]:
    """Every statement for the table for every way to aim."""
    key, column = TABLES[table], _COLUMN[table]
    mine = {"memory_records": OWN, "memory_embeddings": (OWN_EMBEDDING,), "memory_relationships": (OWN_EDGE,)}[table]
    mine_sql = f"{key} IN ({', '.join(repr(str(own)) for own in mine)})"
    for template in _templates("everywhere.sql"):
        for aimed in _AIMED[table]:
            if aimed == "true" and template.startswith("MERGE") and "{key}" not in template:
                continue  # see STILL_TOLD in test_breakout.py
            words = {"table": table, "key": key, "column": column, "aimed": aimed, "mine": mine_sql}
            if aimed == "true":
                template = template.replace("o.{aimed}", "{aimed}")
            yield _statement(_replaced(template, words))


def inserts() -> Iterator[Operation]:
    """Every insert for every conflict clause, with and without RETURNING."""
    for template in _templates("inserts.sql"):
        table = template.split()[2]
        for conflict in _CONFLICTS:
            for returning in ("", f"RETURNING {_COLUMN[table]}"):
                words = {"key": TABLES[table], "constraint": _CONSTRAINTS[table], "table": table}
                yield _statement(f"{template} {_replaced(conflict, words)} {returning}".strip())


def _copy(name: str, run: Callable[[Any, Aim], Coroutine[Any, Any, Any]]) -> Operation:
    return Operation(f"COPY: {name}", lambda aim: run(client()._connection, aim))


async def _copied_out(connection: Any, query: str, *values: Any) -> bytes:
    chunks: list[bytes] = []

    async def collect(chunk: bytes) -> None:
        chunks.append(chunk)

    await connection.copy_from_query(query, *values, output=collect)
    return b"".join(chunks)


def copies() -> Iterator[Operation]:
    """COPY in both directions."""
    for table, key in TABLES.items():
        yield _copy(
            f"{table} to",
            lambda connection, aim, table=table, key=key: _copied_out(  # type: ignore[misc]
                connection, f"SELECT * FROM {table} ORDER BY {key}"
            ),
        )
        yield _copy(
            f"{table} aimed to",
            lambda connection, aim, table=table: _copied_out(  # type: ignore[misc]
                connection,
                f"SELECT * FROM {table} WHERE memory_id = $1"
                if table != "memory_relationships"
                else f"SELECT * FROM {table} WHERE source_memory_id = $1",
                aim.memory_id,
            ),
        )
    yield _copy(
        "memories from",
        lambda connection, aim: connection.copy_records_to_table(
            "memory_records",
            columns=["agent_id", "tenant_id", "source_type", "content_text", "content_hash"],
            records=[(aim.agent_id, aim.tenant_id, "document", aim.content_text, aim.content_hash)],
        ),
    )
    yield _copy(
        "memories with ids from",
        lambda connection, aim: connection.copy_records_to_table(
            "memory_records",
            columns=["memory_id", "agent_id", "tenant_id", "source_type", "content_text", "content_hash"],
            records=[(aim.memory_id, aim.agent_id, "bolt", "document", aim.content_text, aim.content_hash)],
        ),
    )
    yield _copy(
        "embeddings from",
        lambda connection, aim: connection.copy_records_to_table(
            "memory_embeddings",
            columns=["memory_id", "vector_id", "embedding_model"],
            records=[(aim.memory_id, "probe", aim.embedding_model)],
        ),
    )
    yield _copy(
        "edges from",
        lambda connection, aim: connection.copy_records_to_table(
            "memory_relationships",
            columns=["source_memory_id", "target_memory_id", "relationship_type"],
            records=[(OWN[0], aim.memory_id, "related")],
        ),
    )


def other_statements() -> Iterator[Operation]:
    """What stands alone."""
    yield from statements(_templates("once.sql"))
    yield from copies()
