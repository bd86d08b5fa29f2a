-- For every table and every way to aim. One statement a paragraph; a second one that needs the first follows after ;; and
-- {word} stands for a value of the aim, or of the table.

SELECT * FROM {table} WHERE {aimed} ORDER BY {key}

SELECT count(*), min(created_at), max(created_at), count(DISTINCT {column}) FROM {table} WHERE {aimed}

SELECT {column}, count(*) FROM {table} WHERE {aimed} OR true GROUP BY ROLLUP (1) ORDER BY 1

SELECT tableoid::regclass, {key} FROM ONLY {table} WHERE {aimed} ORDER BY 2

SELECT row_number() OVER (ORDER BY {key}), lag({key}) OVER (ORDER BY {key}) FROM {table} WHERE {aimed} ORDER BY
    1

SELECT count(*) FROM {table} TABLESAMPLE SYSTEM (100) WHERE {aimed}

SELECT exists(SELECT FROM {table} WHERE {aimed}), (SELECT {column} FROM {table} WHERE {aimed} ORDER BY {key}
    LIMIT 1)

SELECT {key} FROM {table} WHERE {aimed} ORDER BY {key} FOR UPDATE

SELECT {key} FROM {table} WHERE {aimed} ORDER BY {key} FOR NO KEY UPDATE NOWAIT

SELECT {key} FROM {table} WHERE {aimed} ORDER BY {key} FOR SHARE SKIP LOCKED

SELECT {key} FROM {table} WHERE {aimed} ORDER BY {key} FOR KEY SHARE

WITH found AS MATERIALIZED (SELECT * FROM {table} WHERE {aimed}) SELECT count(*) FROM found

WITH RECURSIVE found AS (SELECT {key} FROM {table} WHERE {aimed} UNION SELECT t.{key} FROM {table} t JOIN found
    USING ({key})) SELECT count(*) FROM found

WITH gone AS (DELETE FROM {table} WHERE {aimed} RETURNING {key}) SELECT count(*) FROM gone

UPDATE {table} SET created_at = created_at WHERE {aimed} RETURNING {key}

UPDATE {table} SET created_at = now() WHERE {aimed} AND 1 / (length({column}::text) - length({column}::text)) =
    0 RETURNING {key}

UPDATE {table} t SET created_at = o.created_at FROM {table} o WHERE o.{aimed} AND t.{key} <> o.{key} RETURNING
    t.{key}

DELETE FROM {table} WHERE {aimed} RETURNING {key}

DELETE FROM {table} t USING {table} o WHERE o.{aimed} AND t.{key} <> o.{key} RETURNING t.{key}

DECLARE found SCROLL CURSOR FOR SELECT {key} FROM {table} WHERE {aimed} ORDER BY 1;;
FETCH ALL FROM found;;
FETCH FIRST FROM found

DECLARE found CURSOR FOR SELECT 1 FROM {table} WHERE {aimed} FOR UPDATE;;
FETCH found;;
DELETE FROM {table} WHERE CURRENT OF found

DECLARE kept CURSOR WITH HOLD FOR SELECT {key} FROM {table} WHERE {aimed};;
FETCH ALL FROM kept

CREATE TEMP VIEW seen AS SELECT * FROM {table} WHERE {aimed};;
SELECT count(*) FROM seen

CREATE TEMP VIEW seen WITH (security_barrier) AS SELECT * FROM {table};;
DELETE FROM seen WHERE {aimed} RETURNING {key}

CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE {aimed};;
SELECT count(*) FROM kept

CREATE TEMP TABLE kept (LIKE {table} INCLUDING ALL);;
INSERT INTO kept SELECT * FROM {table} WHERE {aimed};;
SELECT count(*) FROM kept

CREATE TEMP TABLE heir () INHERITS ({table})

CREATE TEMP TABLE pointing (id uuid REFERENCES {table})

PREPARE asking AS SELECT count(*) FROM {table} WHERE {aimed};;
EXECUTE asking;;
DEALLOCATE asking

DO $do$ BEGIN IF EXISTS (SELECT FROM {table} WHERE {aimed} AND NOT {mine}) THEN RAISE EXCEPTION 'there'; END IF;
    END $do$

CREATE FUNCTION pg_temp.tell(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $body$ BEGIN RAISE
    EXCEPTION 'there: %', value; END $body$;;
SELECT {key} FROM {table} WHERE pg_temp.tell({column}::text) AND {aimed} AND NOT {mine}

CREATE FUNCTION pg_temp.tell(value text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true';;
SELECT count(*) FROM {table} WHERE pg_temp.tell({column}::text) AND {aimed}

CREATE FUNCTION pg_temp.count_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $body$ SELECT count(*) FROM
    {table} WHERE {aimed} $body$;;
SELECT pg_temp.count_all()

SELECT {key} FROM {table} WHERE {aimed} AND NOT {mine} AND 1 / (length({column}::text) - length({column}::text))
    = 0

SELECT {key} FROM {table} WHERE {aimed} AND NOT {mine} AND {column}::text::uuid IS NULL

SELECT {key} FROM {table} WHERE {aimed} AND NOT {mine} AND ('[' || {column} || ']')::jsonb IS NULL

SELECT count(*) FROM {table} t WHERE {aimed} AND {column}::text LIKE '%ordfish%'

SELECT table_to_xml('{table}', true, false, '')::text LIKE '%{memory_id}%'

SELECT query_to_xml($q$SELECT {key} FROM {table} WHERE {aimed} ORDER BY 1$q$, true, false, '')::text

SELECT count(*) FROM {table} WHERE ctid >= '(0,0)' AND ({aimed} OR true)

LOCK TABLE {table} IN SHARE MODE;;
SELECT count(*) FROM {table} WHERE {aimed}

TRUNCATE {table} CASCADE

SET LOCAL row_security = off;;
SELECT count(*) FROM {table} WHERE {aimed}

ALTER TABLE {table} DISABLE ROW LEVEL SECURITY

ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY

CREATE POLICY open ON {table} USING (true)

DROP POLICY tenant_isolation ON {table}

ALTER TABLE {table} DISABLE TRIGGER ALL

CREATE TRIGGER spy AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION memory_guild_touch()

CREATE RULE spy AS ON INSERT TO {table} DO ALSO SELECT 1

CREATE STATISTICS pg_temp.spy ON created_at, {column} FROM {table}

CREATE INDEX spy ON {table} ({column})

ANALYZE {table};;
SELECT count(*) FROM {table} WHERE {aimed}

SET LOCAL session_replication_role = replica;;
DELETE FROM {table} WHERE {aimed} RETURNING {key}

SELECT count(*) FROM pg_stats WHERE tablename = '{table}'

SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = '{table}' ORDER BY attname

SELECT count(*) FROM pg_statistic WHERE starelid = '{table}'::regclass

SELECT count(*) FROM pg_statistic_ext_data

MERGE INTO {table} t USING (SELECT 1) AS one ON {aimed} WHEN MATCHED THEN DELETE

MERGE INTO {table} t USING (SELECT 1) AS one ON {aimed} WHEN MATCHED THEN UPDATE SET created_at = now()

MERGE INTO {table} t USING (SELECT 1) AS one ON {aimed} WHEN MATCHED THEN DELETE RETURNING t.{key}

MERGE INTO {table} t USING (SELECT * FROM {table} WHERE {aimed}) AS o ON t.{key} <> o.{key} WHEN MATCHED THEN
    DELETE
