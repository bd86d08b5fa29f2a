"""What an error on a shard is about. Citus hands on its text and its SQLSTATE, and not the fields with the names.

A name of PostgreSQL's stands in double quotes, in every language that has no quotes of its own. On a shard the names of
tables, indexes and most constraints end with the shard's number.
"""

from __future__ import annotations

import re
from typing import Any

_NAME = re.compile(r'"([^"]+)"')
_NUMBER = re.compile(r"_\d{6,}$")

_TABLE_OF_UNIQUE = {
    "unique_content_hash": "memory_records",
    "unique_memory_embedding": "memory_embeddings",
    "unique_relationship": "memory_relationships",
    "data_sources_source_name_key": "data_sources",
    "memory_access_policies_policy_name_key": "memory_access_policies",
}

WORKER_LOST = "failure on connection marked as essential"
"""How Citus begins the text of an internal error, XX000, where a worker has gone."""


def name_fields(error: Any) -> None:
    """Give an error of the class 23 the names that it lacks, if its text has them."""
    if error.constraint_name is not None or error.table_name is not None:
        return
    names = [_NUMBER.sub("", name) for name in _NAME.findall(str(error.args[0]))]
    match error.sqlstate, names:
        case "23502", [column, table]:
            error.column_name, error.table_name = column, table
        case "23505", [constraint]:
            error.constraint_name = constraint
            of_key = constraint.removesuffix("_pkey") if constraint.endswith("_pkey") else None
            error.table_name = _TABLE_OF_UNIQUE.get(constraint, of_key)
        case _, [table, constraint]:
            error.table_name, error.constraint_name = table, constraint
        case _, [_, constraint, table]:  # of the table that refers to the one that is named first
            error.table_name, error.constraint_name = table, constraint
        case _:
            pass
