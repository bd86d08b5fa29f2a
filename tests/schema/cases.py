"""What ``test_schema.py`` does to the five tables, and exactly which differences validate must then report.

A case is what was done, the statement, and the differences in the order of the report: problem, kind, table, name,
expected, found.
"""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet

Row = tuple[str, str, str, str, str | None, str | None]

RECORDS, EMBEDDINGS, EDGES, SOURCES = "memory_records", "memory_embeddings", "memory_relationships", "data_sources"

TIME = "timestamp with time zone"
CONFIDENCE = "memory_relationships_confidence_score_check"
CONFIDENCE_CHECK = "CHECK (confidence_score >= 0::double precision AND confidence_score <= 1::double precision)"
NO_SELF_CHECK = "CHECK (source_memory_id <> target_memory_id)"
FKEY = "memory_embeddings_memory_id_fkey"
SOURCE_FKEY = "memory_relationships_source_memory_id_fkey"
TARGET_FKEY = "memory_relationships_target_memory_id_fkey"
REFERENCE = "REFERENCES memory_records(memory_id) ON DELETE CASCADE"
DELETE_DISABLED = "; RI_FKey_cascade_del on memory_records disabled, RI_FKey_noaction_upd on memory_records disabled"
INSERT_DISABLED = "; RI_FKey_check_ins on memory_embeddings disabled, RI_FKey_check_upd on memory_embeddings disabled"
UNIQUE = "unique_memory_embedding"
UNIQUE_INDEX = "CREATE UNIQUE INDEX {} ON memory_embeddings USING btree (memory_id, embedding_model)"
HASH_INDEX = "CREATE INDEX idx_memory_hash ON memory_records USING btree (content_hash)"
CREATED_INDEX = "CREATE INDEX idx_memory_created ON memory_records USING btree (created_at{})"
ACTIVE_INDEX = "CREATE INDEX idx_memory_active ON memory_records USING btree (is_deleted) WHERE {}"
AGENT_INDEX = "CREATE INDEX idx_memory_agent ON memory_records USING btree ({})"
EXTRA_INDEX = "CREATE {}INDEX extra ON memory_records USING btree (tenant_id, agent_id)"


def case(what: str, statement: str, *differences: Row) -> ParameterSet:
    return pytest.param(statement, list(differences), id=what)


def missing(kind: str, table: str, name: str, expected: str) -> Row:
    return ("missing", kind, table, name, expected, None)


def unexpected(kind: str, table: str, name: str, found: str) -> Row:
    return ("unexpected", kind, table, name, None, found)


def different(kind: str, table: str, name: str, expected: str, found: str) -> Row:
    return ("different", kind, table, name, expected, found)


def switched_off(table: str, name: str, column: str, triggers: str) -> Row:
    key = f"FOREIGN KEY ({column}) {REFERENCE}"
    return different("constraint", table, name, key, key + triggers)


TABLES = [
    case("nothing", "SELECT 1"),
    case("another table", "CREATE TABLE memory_guild_own (id int PRIMARY KEY)"),
    case("a temporary table hides one", "CREATE TEMPORARY TABLE memory_records (id int)"),
    case("table dropped", "DROP TABLE data_sources", missing("table", SOURCES, SOURCES, "table")),
    case(
        "table dropped with the foreign keys to it",
        "DROP TABLE memory_records CASCADE",
        missing("constraint", EMBEDDINGS, FKEY, f"FOREIGN KEY (memory_id) {REFERENCE}"),
        missing("table", RECORDS, RECORDS, "table"),
        missing("constraint", EDGES, SOURCE_FKEY, f"FOREIGN KEY (source_memory_id) {REFERENCE}"),
        missing("constraint", EDGES, TARGET_FKEY, f"FOREIGN KEY (target_memory_id) {REFERENCE}"),
    ),
    case(
        "table unlogged",
        "ALTER TABLE data_sources SET UNLOGGED",
        different("table", SOURCES, SOURCES, "table", "unlogged table"),
    ),
    case(
        "table inherits",
        "CREATE TABLE parent (); ALTER TABLE data_sources INHERIT parent",
        different("table", SOURCES, SOURCES, "table", "table that inherits from parent"),
    ),
    case(
        "table inherited",
        "CREATE TABLE child () INHERITS (data_sources)",
        different("table", SOURCES, SOURCES, "table", "table inherited by child"),
    ),
    case(
        "rule loses writes",
        "CREATE RULE lose AS ON INSERT TO data_sources DO INSTEAD NOTHING",
        unexpected("rule", SOURCES, "lose", "CREATE RULE lose AS\n    ON INSERT TO data_sources DO INSTEAD NOTHING;"),
    ),
]

COLUMNS = [
    case("dropped", "ALTER TABLE data_sources DROP source_uri", missing("column", SOURCES, "source_uri", "text")),
    case(
        "added",
        "ALTER TABLE data_sources ADD note text COLLATE \"C\" DEFAULT 'x'",
        unexpected("column", SOURCES, "note", "text COLLATE \"C\" DEFAULT 'x'::text"),
    ),
    case(
        "added with identity",
        "ALTER TABLE data_sources ADD n int GENERATED ALWAYS AS IDENTITY",
        unexpected("column", SOURCES, "n", "integer NOT NULL GENERATED ALWAYS AS IDENTITY"),
    ),
    case(
        "added as generated",
        "ALTER TABLE data_sources ADD idle boolean GENERATED ALWAYS AS (NOT is_active) STORED",
        unexpected("column", SOURCES, "idle", "boolean GENERATED ALWAYS AS (NOT is_active) STORED"),
    ),
    case(
        "moved to the end",
        "ALTER TABLE memory_embeddings DROP vector_id, ADD vector_id varchar(255) NOT NULL;"
        "CREATE INDEX idx_embeddings_vector ON memory_embeddings (vector_id)",
        different(
            "table",
            EMBEDDINGS,
            "column order",
            "embedding_id, memory_id, vector_id, embedding_model, created_at",
            "embedding_id, memory_id, embedding_model, created_at, vector_id",
        ),
    ),
    case(
        "renamed",
        "ALTER TABLE data_sources RENAME source_uri TO uri",
        missing("column", SOURCES, "source_uri", "text"),
        unexpected("column", SOURCES, "uri", "text"),
    ),
    case(
        "varchar(255) to text",
        "ALTER TABLE memory_records ALTER agent_id TYPE text",
        different("column", RECORDS, "agent_id", "character varying(255) NOT NULL", "text NOT NULL"),
    ),
    case(
        "varchar(64) to varchar(32)",
        "ALTER TABLE memory_records ALTER content_hash TYPE varchar(32)",
        different(
            "column", RECORDS, "content_hash", "character varying(64) NOT NULL", "character varying(32) NOT NULL"
        ),
    ),
    case(
        "collation",
        'ALTER TABLE memory_records ALTER content_text TYPE text COLLATE "C"',
        different("column", RECORDS, "content_text", "text NOT NULL", 'text COLLATE "C" NOT NULL'),
    ),
    case(
        "not null dropped",
        "ALTER TABLE memory_records ALTER content_text DROP NOT NULL",
        different("column", RECORDS, "content_text", "text NOT NULL", "text"),
    ),
    case(
        "not null added",
        "ALTER TABLE memory_records ALTER deleted_at SET NOT NULL",
        different("column", RECORDS, "deleted_at", TIME, f"{TIME} NOT NULL"),
    ),
    case(
        "default changed",
        "ALTER TABLE memory_records ALTER created_at SET DEFAULT clock_timestamp()",
        different("column", RECORDS, "created_at", f"{TIME} DEFAULT now()", f"{TIME} DEFAULT clock_timestamp()"),
    ),
    case(
        "default dropped",
        "ALTER TABLE memory_records ALTER metadata DROP DEFAULT",
        different("column", RECORDS, "metadata", "jsonb DEFAULT '{}'::jsonb", "jsonb"),
    ),
    case(
        "default added",
        "ALTER TABLE memory_records ALTER deleted_at SET DEFAULT now()",
        different("column", RECORDS, "deleted_at", TIME, f"{TIME} DEFAULT now()"),
    ),
]

CONSTRAINTS = [
    case(
        "check dropped",
        f"ALTER TABLE memory_relationships DROP CONSTRAINT {CONFIDENCE}",
        missing("constraint", EDGES, CONFIDENCE, CONFIDENCE_CHECK),
    ),
    case(
        "check changed",
        f"ALTER TABLE memory_relationships DROP CONSTRAINT {CONFIDENCE}, ADD CHECK (confidence_score <= 1)",
        different("constraint", EDGES, CONFIDENCE, CONFIDENCE_CHECK, "CHECK (confidence_score <= 1::double precision)"),
    ),
    case(
        "check not validated",
        "ALTER TABLE memory_relationships DROP CONSTRAINT no_self_reference,"
        " ADD CONSTRAINT no_self_reference CHECK (source_memory_id <> target_memory_id) NOT VALID",
        different("constraint", EDGES, "no_self_reference", NO_SELF_CHECK, f"{NO_SELF_CHECK} NOT VALID"),
    ),
    case(
        "unique constraint replaced by an index",
        f"ALTER TABLE memory_embeddings DROP CONSTRAINT {UNIQUE}; {UNIQUE_INDEX.format(UNIQUE)}",
        missing("constraint", EMBEDDINGS, UNIQUE, "UNIQUE (memory_id, embedding_model)"),
    ),
    case(
        "unique constraint renamed",
        f"ALTER TABLE memory_embeddings RENAME CONSTRAINT {UNIQUE} TO other",
        unexpected("constraint", EMBEDDINGS, "other", "UNIQUE (memory_id, embedding_model)"),
        missing("constraint", EMBEDDINGS, UNIQUE, "UNIQUE (memory_id, embedding_model)"),
        unexpected("index", EMBEDDINGS, "other", UNIQUE_INDEX.format("other")),
        missing("index", EMBEDDINGS, UNIQUE, UNIQUE_INDEX.format(UNIQUE)),
    ),
    case(
        "foreign key without cascade",
        f"ALTER TABLE memory_embeddings DROP CONSTRAINT {FKEY}, ADD FOREIGN KEY (memory_id) REFERENCES memory_records",
        different(
            "constraint",
            EMBEDDINGS,
            FKEY,
            f"FOREIGN KEY (memory_id) {REFERENCE}",
            "FOREIGN KEY (memory_id) REFERENCES memory_records(memory_id)",
        ),
    ),
    case(
        "foreign key deferred",
        f"ALTER TABLE memory_embeddings ALTER CONSTRAINT {FKEY} DEFERRABLE INITIALLY DEFERRED",
        different(
            "constraint",
            EMBEDDINGS,
            FKEY,
            f"FOREIGN KEY (memory_id) {REFERENCE}",
            f"FOREIGN KEY (memory_id) {REFERENCE} DEFERRABLE INITIALLY DEFERRED",
        ),
    ),
    case(
        "foreign key switched off where it points from",
        "ALTER TABLE memory_embeddings DISABLE TRIGGER ALL",
        switched_off(EMBEDDINGS, FKEY, "memory_id", INSERT_DISABLED),
    ),
    case(
        "foreign keys switched off where they point to",
        "ALTER TABLE memory_records DISABLE TRIGGER ALL",
        switched_off(EMBEDDINGS, FKEY, "memory_id", DELETE_DISABLED),
        switched_off(EDGES, SOURCE_FKEY, "source_memory_id", DELETE_DISABLED),
        switched_off(EDGES, TARGET_FKEY, "target_memory_id", DELETE_DISABLED),
    ),
]

INDEXES = [
    case("dropped", "DROP INDEX idx_memory_hash", missing("index", RECORDS, "idx_memory_hash", HASH_INDEX)),
    case(
        "other columns",
        "DROP INDEX idx_memory_agent; CREATE INDEX idx_memory_agent ON memory_records (tenant_id, agent_id)",
        different(
            "index",
            RECORDS,
            "idx_memory_agent",
            AGENT_INDEX.format("agent_id"),
            AGENT_INDEX.format("tenant_id, agent_id"),
        ),
    ),
    case(
        "ascending",
        "DROP INDEX idx_memory_created; CREATE INDEX idx_memory_created ON memory_records (created_at)",
        different("index", RECORDS, "idx_memory_created", CREATED_INDEX.format(" DESC"), CREATED_INDEX.format("")),
    ),
    case(
        "other predicate",
        "DROP INDEX idx_memory_active; CREATE INDEX idx_memory_active ON memory_records (is_deleted) WHERE is_deleted",
        different(
            "index",
            RECORDS,
            "idx_memory_active",
            ACTIVE_INDEX.format("is_deleted = false"),
            ACTIVE_INDEX.format("is_deleted"),
        ),
    ),
    case(
        "left invalid by CREATE INDEX CONCURRENTLY",
        "UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = 'idx_memory_hash'::regclass",
        different("index", RECORDS, "idx_memory_hash", HASH_INDEX, f"{HASH_INDEX}; not valid; not ready"),
    ),
    case("extra", EXTRA_INDEX.format(""), unexpected("index", RECORDS, "extra", EXTRA_INDEX.format(""))),
    case(
        "extra on purpose",
        f"{EXTRA_INDEX.format('')}; COMMENT ON INDEX extra IS 'deliberate: the report reads by tenant'",
    ),
    case(
        "extra on purpose, but unique",
        f"{EXTRA_INDEX.format('UNIQUE ')}; COMMENT ON INDEX extra IS 'deliberate: the report reads by tenant'",
        unexpected("index", RECORDS, "extra", EXTRA_INDEX.format("UNIQUE ")),
    ),
    case("the comment hides nothing of the specification", "COMMENT ON INDEX idx_memory_hash IS 'deliberate: no'"),
]
