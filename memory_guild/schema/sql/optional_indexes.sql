-- The indexes that an operator may add to the tables of schema $1: what each is for, its state, and the statements that
-- complete it. The definition is written as the server prints it, so that the two can be compared: without quotes,
-- because quote_all_identifiers decides where the server prints them.
WITH optional (position, name, columns, purpose) AS (
    VALUES
        (
            1,
            'memory_guild_newest_of_tenant',
            'tenant_id, created_at DESC, memory_id DESC',
            'the newest memories of a tenant, page by page, also where all of them are old'
        ),
        (
            2,
            'memory_guild_newest_of_agent',
            'tenant_id, agent_id, created_at DESC, memory_id DESC',
            'the newest memories of one agent of a tenant, page by page'
        )
), described AS (
    SELECT
        *,
        format('%I ON %I.memory_records', name, $1::text)
            || format(' USING btree (%s) WHERE (is_deleted IS NOT TRUE)', columns) AS definition,
        format('%I.%I', $1::text, name) AS qualified_name
    FROM optional
), compared AS (
    SELECT
        described.*,
        CASE
            WHEN relations.oid IS NULL THEN 'missing'
            WHEN (
                replace(pg_get_indexdef(relations.oid), '"', '')
                IS DISTINCT FROM replace('CREATE INDEX ' || definition, '"', '')
            ) THEN 'different'
            WHEN NOT (indisvalid AND indisready) THEN 'invalid'
            WHEN starts_with(obj_description(relations.oid, 'pg_class'), 'deliberate:') THEN 'valid'
            ELSE 'unmarked'
        END AS state
    FROM described
    LEFT JOIN pg_class AS relations
        ON relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = name
    LEFT JOIN pg_index ON indexrelid = relations.oid
), statements AS (
    SELECT
        *,
        format('CREATE INDEX CONCURRENTLY IF NOT EXISTS %s', definition) AS create_index,
        format('COMMENT ON INDEX %s IS %L', qualified_name, 'deliberate: ' || purpose) AS mark,
        format('DROP INDEX CONCURRENTLY IF EXISTS %s', qualified_name) AS drop_index
    FROM compared
)
SELECT
    name,
    purpose,
    state,
    CASE state
        WHEN 'missing' THEN ARRAY[create_index, mark]
        WHEN 'invalid' THEN ARRAY[drop_index, create_index, mark]
        WHEN 'unmarked' THEN ARRAY[mark]
        ELSE '{}'
    END AS statements,
    drop_index AS drop_statement
FROM statements
ORDER BY position;
