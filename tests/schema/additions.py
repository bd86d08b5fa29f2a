"""A script such as a later migration runs, and the differences with it, without it and on PostgreSQL 18 only."""

from __future__ import annotations

from tests.schema.cases import (
    EDGES,
    EMBEDDINGS,
    NO_SELF_CHECK,
    RECORDS,
    TIME,
    case,
    different,
    missing,
    unexpected,
)

# As a migration would add them: written against current_schema(), which the function's body then holds literally.
# pg_monitor stands for the application role: every server has it, so no test leaves a role behind.
ADDITIONS = """
CREATE TABLE memory_guild_own (id int PRIMARY KEY);
DO $do$ BEGIN EXECUTE format($format$
    CREATE FUNCTION %1$I.guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, %1$I
    AS $body$ BEGIN /* the public, a publication */ PERFORM %1$L FROM %1$I.memory_records; RETURN NEW; END $body$
$format$, current_schema()); END $do$;
CREATE TRIGGER guard BEFORE UPDATE ON memory_records FOR EACH ROW
    WHEN (OLD.tenant_id IS DISTINCT FROM NEW.tenant_id) EXECUTE FUNCTION guard();
ALTER TABLE memory_embeddings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON memory_embeddings FOR SELECT TO pg_monitor
    USING (EXISTS (SELECT FROM memory_records AS m WHERE m.memory_id = memory_embeddings.memory_id));
GRANT SELECT, UPDATE (vector_id) ON memory_embeddings TO pg_monitor;
"""

TRIGGER = "CREATE TRIGGER {} BEFORE UPDATE ON memory_records FOR EACH ROW {}EXECUTE FUNCTION guard()"
GUARD = TRIGGER.format("guard", "WHEN (old.tenant_id::text IS DISTINCT FROM new.tenant_id::text) ")
POLICY = """PERMISSIVE FOR SELECT TO pg_monitor USING ((EXISTS ( SELECT
   FROM memory_records m
  WHERE m.memory_id = memory_embeddings.memory_id)))"""
MINE = "RESTRICTIVE FOR UPDATE TO PUBLIC USING (agent_id::text = 'x'::text) WITH CHECK (true)"
FUNCTION = """CREATE OR REPLACE FUNCTION live.guard()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'live'
AS $function$ BEGIN /* the public, a publication */ PERFORM 'live' FROM live.memory_records; RETURN NEW; END $function$
"""

WITHOUT_ADDITIONS = [
    case(
        "row security enabled",
        "ALTER TABLE memory_records ENABLE ROW LEVEL SECURITY",
        different("row security", RECORDS, RECORDS, "disabled", "enabled"),
    ),
    case(
        "policy added",
        "CREATE POLICY mine ON memory_records AS RESTRICTIVE FOR UPDATE USING (agent_id = 'x') WITH CHECK (true)",
        unexpected("policy", RECORDS, "mine", MINE),
    ),
    case(
        "trigger added",
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        + TRIGGER.format("touch", ""),
        unexpected("trigger", RECORDS, "touch", TRIGGER.format("touch", "")),
    ),
    case("grants are the operator's own", "GRANT ALL ON memory_records TO PUBLIC"),
]

WITH_ADDITIONS = [
    case("nothing", "SELECT 1"),
    case("trigger dropped", "DROP TRIGGER guard ON memory_records", missing("trigger", RECORDS, "guard", GUARD)),
    case(
        "trigger disabled",
        "ALTER TABLE memory_records DISABLE TRIGGER guard",
        different("trigger", RECORDS, "guard", GUARD, f"{GUARD}; disabled"),
    ),
    case(
        "trigger without its condition",
        "DROP TRIGGER guard ON memory_records;" + TRIGGER.format("guard", ""),
        different("trigger", RECORDS, "guard", GUARD, TRIGGER.format("guard", "")),
    ),
    case(
        "row security disabled",
        "ALTER TABLE memory_embeddings DISABLE ROW LEVEL SECURITY",
        different("row security", EMBEDDINGS, EMBEDDINGS, "enabled, forced", "disabled, forced"),
    ),
    case(
        "row security not forced",
        "ALTER TABLE memory_embeddings NO FORCE ROW LEVEL SECURITY",
        different("row security", EMBEDDINGS, EMBEDDINGS, "enabled, forced", "enabled"),
    ),
    case("policy dropped", "DROP POLICY tenant ON memory_embeddings", missing("policy", EMBEDDINGS, "tenant", POLICY)),
    case(
        "policy lets everybody in",
        "ALTER POLICY tenant ON memory_embeddings TO PUBLIC USING (true)",
        different("policy", EMBEDDINGS, "tenant", POLICY, "PERMISSIVE FOR SELECT TO PUBLIC USING (true)"),
    ),
    case(
        "function dropped",
        "DROP FUNCTION guard CASCADE",
        missing("function", "", "guard()", FUNCTION),
        missing("trigger", RECORDS, "guard", GUARD),
    ),
    case(
        "function as invoker",
        "ALTER FUNCTION guard SECURITY INVOKER",
        different("function", "", "guard()", FUNCTION, FUNCTION.replace(" SECURITY DEFINER\n", "")),
    ),
    case(
        "function without its search_path",
        "ALTER FUNCTION guard RESET ALL",
        different(
            "function", "", "guard()", FUNCTION, FUNCTION.replace(" SET search_path TO 'pg_catalog', 'live'\n", "")
        ),
    ),
    case(
        "function body",
        FUNCTION.replace("RETURN NEW", "RETURN OLD"),
        different("function", "", "guard()", FUNCTION, FUNCTION.replace("RETURN NEW", "RETURN OLD")),
    ),
    case("another function", "CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    case(
        "grant revoked",
        "REVOKE SELECT ON memory_embeddings FROM pg_monitor",
        missing("grant", EMBEDDINGS, "SELECT TO pg_monitor", "SELECT TO pg_monitor"),
    ),
    case(
        "grant of a column revoked",
        "REVOKE UPDATE (vector_id) ON memory_embeddings FROM pg_monitor",
        missing("grant", EMBEDDINGS, "UPDATE (vector_id) TO pg_monitor", "UPDATE (vector_id) TO pg_monitor"),
    ),
    case(
        "grant with the option to grant",
        "GRANT SELECT ON memory_embeddings TO pg_monitor WITH GRANT OPTION",
        different(
            "grant",
            EMBEDDINGS,
            "SELECT TO pg_monitor",
            "SELECT TO pg_monitor",
            "SELECT TO pg_monitor WITH GRANT OPTION",
        ),
    ),
    case(
        "grant to everybody",
        "GRANT TRUNCATE ON memory_records TO PUBLIC",
        unexpected("grant", RECORDS, "TRUNCATE TO PUBLIC", "TRUNCATE TO PUBLIC"),
    ),
]

SINCE_18 = [
    case(
        "not null that old rows may break",
        "ALTER TABLE memory_records ADD CONSTRAINT anything NOT NULL deleted_at NOT VALID",
        different("column", RECORDS, "deleted_at", TIME, f"{TIME} NOT NULL NOT VALID"),
    ),
    case(
        "check not enforced",
        "ALTER TABLE memory_relationships DROP CONSTRAINT no_self_reference,"
        " ADD CONSTRAINT no_self_reference CHECK (source_memory_id <> target_memory_id) NOT ENFORCED",
        different("constraint", EDGES, "no_self_reference", NO_SELF_CHECK, f"{NO_SELF_CHECK} NOT ENFORCED"),
    ),
    case(
        "not null of another name", "ALTER TABLE memory_records RENAME CONSTRAINT memory_records_agent_id_not_null TO a"
    ),
]
