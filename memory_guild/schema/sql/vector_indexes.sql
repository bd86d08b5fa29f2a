-- The indexes for the vectors of large tenants in schema $1: one for each tenant and model with at least $2 vectors,
-- and those that exist. One index has one tenant's vectors by one model, so that its scan meets no others. As
-- optional_indexes.sql, with two more columns: what the index is of, and how many vectors that are now, NULL for none.
WITH counted AS (
    SELECT tenant_id, embedding_model, count(*) AS vectors
    FROM memory_vectors
    GROUP BY tenant_id, embedding_model
), named AS (
    SELECT
        counted.*,
        sample.part,
        sample.dimensions,
        memory_guild_vectors_index(counted.tenant_id, embedding_model, sample.dimensions) AS name,
        -- As JSON: a name may have line breaks, and what is printed is a script.
        to_json(counted.tenant_id)::text || ' by the model ' || to_json(embedding_model)::text AS content
    FROM counted
    CROSS JOIN LATERAL (
        SELECT tableoid AS part, memory_guild_dimensions(embedding) AS dimensions
        FROM memory_vectors AS vector
        WHERE vector.tenant_id = counted.tenant_id AND vector.embedding_model = counted.embedding_model
        LIMIT 1
    ) AS sample
), existing AS (
    SELECT
        relations.oid,
        relations.relname AS name,
        indisvalid AND indisready AS is_valid,
        obj_description(relations.oid, 'pg_class') AS comment
    FROM pg_inherits
    JOIN pg_index ON indrelid = inhrelid
    JOIN pg_class AS relations ON relations.oid = indexrelid
    JOIN pg_am ON pg_am.oid = relations.relam
    WHERE inhparent = 'memory_vectors'::regclass AND amname = 'hnsw' AND starts_with(relname, 'memory_guild_vectors_')
), compared AS (
    SELECT
        name,
        tenant_id,
        embedding_model,
        vectors,
        part,
        dimensions,
        content,
        format('%I.%I', $1::text, name) AS qualified_name,
        CASE
            WHEN existing.oid IS NULL AND to_regclass(format('%I.%I', $1::text, name)) IS NOT NULL THEN 'different'
            WHEN existing.oid IS NULL THEN 'missing'
            WHEN vectors IS NULL THEN 'leftover'
            WHEN NOT is_valid THEN 'invalid'
            WHEN starts_with(comment, 'deliberate:') THEN 'valid'
            ELSE 'unmarked'
        END AS state,
        COALESCE('the vectors of ' || content || ', for recall', substring(comment FROM 'deliberate: (.*)'), 'vectors')
            AS purpose
    FROM (
        SELECT *
        FROM named
        -- What an index can have, and a pgvector that can go on scanning one until there are enough rows.
        WHERE dimensions <= 4000 AND (
            vectors >= $2::bigint
            AND (SELECT string_to_array(extversion, '.')::int[] >= '{0,8}' FROM pg_extension WHERE extname = 'vector')
            OR name IN (SELECT existing.name FROM existing)
        )
    ) AS named (tenant_id, embedding_model, vectors, part, dimensions, name, content)
    FULL JOIN existing USING (name)
), statements AS (
    SELECT
        *,
        format(
            'CREATE INDEX CONCURRENTLY IF NOT EXISTS %1$I ON %2$s'
            || ' USING hnsw ((embedding::%3$I.halfvec(%4$s)) %3$I.halfvec_ip_ops)'
            || ' WHERE tenant_id = %5$L AND embedding_model = %6$L AND is_current'
            || ' AND %7$I.memory_guild_dimensions(embedding) = %4$s',
            name,
            (
                SELECT format('%I.%I', nspname, relname)
                FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                WHERE pg_class.oid = part
            ),
            (
                SELECT nspname
                FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
                WHERE extname = 'vector'
            ),
            dimensions,
            tenant_id,
            embedding_model,
            $1::text
        ) AS create_index,
        format('COMMENT ON INDEX %s IS %L', qualified_name, 'deliberate: ' || purpose) AS mark,
        format('DROP INDEX CONCURRENTLY IF EXISTS %s', qualified_name) AS drop_index,
        -- What it takes to build it in memory, which is many times as fast; not in parallel, which would need as much
        -- shared memory, and containers have little.
        format('SET maintenance_work_mem = ''%sMB''', least(2048, 64 + vectors * (2 * dimensions + 1024) / 1000000))
            AS more_memory,
        'SET max_parallel_maintenance_workers = 0' AS no_workers
    FROM compared
)
SELECT
    name,
    purpose,
    state,
    CASE state
        WHEN 'missing' THEN ARRAY[more_memory, no_workers, create_index, mark]
        WHEN 'invalid' THEN ARRAY[drop_index, more_memory, no_workers, create_index, mark]
        WHEN 'unmarked' THEN ARRAY[mark]
        ELSE '{}'
    END AS statements,
    drop_index AS drop_statement,
    content,
    vectors
FROM statements
ORDER BY vectors DESC NULLS LAST, name;
