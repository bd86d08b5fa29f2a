"""The table of operations, fourth part: what the search can be asked, and its tables in plain SQL.

A name that contains ``own`` is that of an operation that also needs a row of the attacker's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import memory_guild as guild
from memory_guild.memories.arguments import MemoryArgument
from tests.tenancy.operations import Operation
from tests.tenancy.raw_operations import statements
from tests.tenancy.verb_operations import WAYS, Verb
from tests.tenancy.worlds import OTHERS_ROWS, OWN, OWN_ROWS, SECRET, STRANGERS_ROWS, Aim, Witness

_VECTOR, _OTHER_DIMENSIONS = (0.6, 0.8), (0.36, 0.48, 0.8)
_INDEX = "INSERT INTO memory_vector_indexes VALUES ('elsewhere') ON CONFLICT DO NOTHING;"
_OWN_VECTORS = f"""
INSERT INTO memory_own_vectors SELECT tenant_id, memory_id, 'small', content_hash, '[0.6,0.8]' FROM memory_records
WHERE memory_id IN ('{OWN[0]}', '{OWN[1]}');
SELECT memory_guild_recount_words('bolt');  -- storing recounts now and then
DELETE FROM memory_vector_outbox WHERE tenant_id = 'bolt';  -- it counts how often these rows were stored
INSERT INTO memory_vector_outbox (tenant_id, index_name, embedding_model, memory_id, due_at)
VALUES ('bolt', 'elsewhere', 'small', '{OWN[0]}', '2003-03-03');
"""
_OTHERS_VECTORS = f"""
INSERT INTO memory_own_vectors
SELECT tenant_id, memory_id, '{STRANGERS_ROWS.embedding_model}', content_hash, '[0.8,0.6]' FROM memory_records
WHERE memory_id IN ('{STRANGERS_ROWS.memory_id}', '{STRANGERS_ROWS.other_memory_id}');
INSERT INTO memory_own_vectors
SELECT tenant_id, memory_id, 'small', content_hash, '[0.8,0.36,0.48]' FROM memory_records
WHERE tenant_id <> 'bolt';
UPDATE memory_vectors SET content_hash = 'of an older text' WHERE memory_id = '{STRANGERS_ROWS.other_memory_id}';
"""


class SearchWitness(Witness):
    """Looks at the search's tables, too."""

    others_rows = _INDEX + OTHERS_ROWS + _OTHERS_VECTORS
    own_rows = _INDEX + OWN_ROWS + _OWN_VECTORS
    more_rows = """
    UNION ALL SELECT tenant_id = 'bolt', w::text || w.xmin || w.xmax || w.ctid FROM memory_words w
    UNION ALL SELECT tenant_id = 'bolt', c::text || c.xmin || c.xmax || c.ctid FROM memory_word_counts c
    UNION ALL SELECT tenant_id = 'bolt', v::text || v.xmin || v.xmax || v.ctid FROM memory_vectors v
    UNION ALL SELECT tenant_id = 'bolt', o::text || o.xmin || o.xmax || o.ctid FROM memory_own_vectors o
    UNION ALL SELECT tenant_id = 'bolt', m::text || m.xmin || m.xmax || m.ctid FROM memory_vector_models m
    UNION ALL SELECT tenant_id = 'bolt', b::text || b.xmin || b.xmax || b.ctid FROM memory_vector_outbox b
    UNION ALL SELECT false, i::text || i.xmin || i.xmax || i.ctid FROM memory_vector_indexes i
    """


VERBS: dict[str, Verb] = {
    "recall its text": lambda aim: guild.recall(aim.content_text),
    "recall its tenant's secret": lambda aim: guild.recall(SECRET),
    "recall its agent's": lambda aim: guild.recall(SECRET, agent_id=aim.agent_id),
    "recall with its metadata": lambda aim: guild.recall(SECRET, metadata={"note": SECRET}, limit=100),
    "recall by a vector of its model": lambda aim: guild.recall("anything", vector=_VECTOR, model=aim.embedding_model),
    "recall own by a vector of another size": lambda aim: guild.recall(
        "own text", vector=_OTHER_DIMENSIONS, model=aim.embedding_model
    ),
    "recall own beside it": lambda aim: guild.recall(f"own text, {aim.content_text}", limit=2),
    "find by its words": lambda aim: guild.find(text=aim.content_text),
    "find by the secret": lambda aim: guild.find(text=SECRET, limit=100),
    "count by its words": lambda aim: guild.count(text=f'"{aim.content_text}"'),
    "forget by its words": lambda aim: guild.forget_where(text=aim.content_text),
    "attach to own a vector of another size by its model": lambda aim: guild.embeddings.attach(
        [(OWN[0], _OTHER_DIMENSIONS)], model=aim.embedding_model
    ),
    "attach to a forgotten one": lambda aim: guild.embeddings.attach(
        [(aim.forgotten_memory_id, _VECTOR)], model=aim.embedding_model
    ),
    "pending": lambda aim: guild.embeddings.pending(aim.embedding_model),
    "pending of a model that all use": lambda aim: guild.embeddings.pending("small"),
    "stale": lambda aim: guild.embeddings.stale(aim.embedding_model),
    "stale of a model that all use": lambda aim: guild.embeddings.stale("small"),
    "retire": lambda aim: guild.embeddings.retire(aim.embedding_model),
    "retire own of a model that all use": lambda aim: guild.embeddings.retire("small"),
}


_TABLES = (
    *("memory_words", "memory_word_counts", "memory_vectors", "memory_own_vectors", "memory_vector_models"),
    "memory_vector_outbox",
)
_WITHOUT_MEMORY = ("memory_word_counts", "memory_vector_models")
_AIMS = ("tenant_id = '{tenant_id}'", "memory_id = '{memory_id}'", "true")
_EVERYWHERE = (
    "SELECT * FROM {table} WHERE {aimed} ORDER BY {table}::text",
    "SELECT count(*) FROM {table} WHERE {aimed}",
    "SELECT 1 AS found FROM {table} WHERE {aimed} FOR UPDATE",
    "UPDATE {table} SET tenant_id = tenant_id WHERE {aimed} RETURNING tenant_id",
    "UPDATE {table} SET tenant_id = 'bolt' WHERE {aimed} RETURNING tenant_id",
    "UPDATE {table} SET tenant_id = '{tenant_id}'",
    "DELETE FROM {table} WHERE {aimed} RETURNING tenant_id",
    "TRUNCATE {table}",
)
_COLUMNS = "tenant_id, memory_id, lexemes, pivot, is_question, names_time, starts, is_forgotten, is_complete, words"
_WORDS = f"memory_words ({_COLUMNS})"
_INSERTS = (
    "INSERT INTO memory_word_counts SELECT '{tenant_id}', word, 1 FROM memory_word_counts",
    f"INSERT INTO {_WORDS}"
    " SELECT '{tenant_id}', '{memory_id}', '', 1, false, false, true, false, true, words"
    " FROM memory_words LIMIT 1",
    f"INSERT INTO {_WORDS}"
    " SELECT 'bolt', '{memory_id}', '', 1, false, false, true, false, true, words"
    " FROM memory_words WHERE memory_id = '{own_1}' RETURNING 1",
    *(
        "INSERT INTO memory_own_vectors SELECT '{tenant}', '{memory_id}', '{embedding_model}', '{content_hash}', own"
        " FROM memory_own_vectors WHERE memory_id = '{own_1}'".replace("{tenant}", tenant)
        for tenant in ("bolt", "{tenant_id}")
    ),
    "INSERT INTO memory_vector_models VALUES ('{tenant_id}', '{embedding_model}', 5) ON CONFLICT DO NOTHING",
    "INSERT INTO memory_vector_outbox (tenant_id, index_name, embedding_model, memory_id)"
    " VALUES ('{tenant_id}', 'elsewhere', 'small', '{memory_id}') ON CONFLICT DO NOTHING RETURNING 1",
    "INSERT INTO memory_vector_indexes VALUES ('another')",
    "UPDATE memory_vector_indexes SET is_filled = true",
    "DELETE FROM memory_vector_indexes",
    *(
        "INSERT INTO memory_vectors SELECT '{tenant}', '{memory_id}', '{embedding_model}', '{content_hash}', true,"
        " embedding FROM memory_vectors WHERE memory_id = '{own_1}' {conflict}".replace("{tenant}", tenant).replace(
            "{conflict}", conflict
        )
        for tenant in ("bolt", "{tenant_id}")
        for conflict in (
            "RETURNING is_current",
            "ON CONFLICT DO NOTHING RETURNING is_current",
            "ON CONFLICT (tenant_id, embedding_model, memory_id) DO UPDATE SET is_current = true RETURNING is_current",
        )
    ),
)
_FUNCTIONS = (
    "SELECT memory_guild_own_words(ARRAY['{memory_id}'::uuid])",
    "SELECT memory_guild_refresh_words('{tenant_id}', ARRAY['{memory_id}'::uuid], '{}', '{}')",
    "SELECT memory_guild_refresh_words('bolt', ARRAY['{memory_id}'::uuid], '{}', '{}')",
    "SELECT memory_guild_recount_words('{tenant_id}')",
    "SELECT memory_guild_refresh_vectors('{tenant_id}', ARRAY['{memory_id}'::uuid], '{}')",
    "SELECT memory_guild_refresh_vectors('bolt', ARRAY['{memory_id}'::uuid], '{}')",
    "SELECT memory_guild_queue_vectors(ARRAY['{tenant_id}'], ARRAY['small'], ARRAY['{memory_id}'::uuid])",
    "SELECT memory_guild_register_index('another')",
    "SELECT * FROM memory_guild_nearest('{tenant_id}', '{embedding_model}', memory_guild_vector('[0.6,0.8]'), 5)",
    "SELECT * FROM memory_guild_nearest_exactly('{tenant_id}', 'small', memory_guild_vector('[0.6,0.8]'), 5)",
    "SELECT * FROM memory_guild_closest('{tenant_id}', memory_guild_question('{tenant_id}', 'door'::tsvector), 5)",
    "SELECT * FROM memory_guild_closeness_of("
    "'{tenant_id}', memory_guild_question('{tenant_id}', 'door'::tsvector), ARRAY['{memory_id}'::uuid])",
    "SELECT * FROM memory_guild_word_reasons('{tenant_id}', ARRAY['door'], ARRAY['{memory_id}'::uuid])",
)


def _attaching(way: str, named: Callable[[Aim], MemoryArgument]) -> Iterator[Operation]:
    yield Operation(
        f"search: attach by {way}",
        lambda aim: guild.embeddings.attach([(named(aim), _VECTOR)], model=aim.embedding_model),
    )
    yield Operation(
        f"search: attach beside own by {way}",
        lambda aim: guild.embeddings.attach([(OWN[2], _VECTOR), (named(aim), _VECTOR)], model="small"),
    )


def search_verbs() -> Iterator[Operation]:
    """What the search can be asked."""
    for name, run in VERBS.items():
        yield Operation(f"search: {name}", run)
    for way, named in WAYS.items():
        yield from _attaching(way, named)


def search_statements() -> Iterator[Operation]:
    """Plain SQL on its tables and functions."""
    templates = dict.fromkeys(
        template.replace("{table}", table).replace("{aimed}", aimed)
        for table in _TABLES
        for template in _EVERYWHERE
        for aimed in _AIMS
        if table not in _WITHOUT_MEMORY or "memory_id" not in aimed
    )
    return statements([*templates, *_INSERTS, *_FUNCTIONS])
