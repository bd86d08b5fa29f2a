-- The statements that move all that the tenant $3 has from the schema $1 to the schema $2, in order, each with the
-- table that it is about. The triggers there make the words and the searched vectors anew. What an index outside
-- PostgreSQL is still to be told goes along, and is not due before the one who has claimed it is done: who is just
-- claiming it is waited for. $4 says, as a JSON object, which id a data source has in the schema $2 whose id in $1 is
-- the key; the first two statements need no such object, and make the sources that are lacking.
WITH steps (position, table_name, statement) AS (
    VALUES
    (1, 'memory_records', 'SELECT FROM %1$I.memory_records WHERE tenant_id = %3$L ORDER BY memory_id FOR UPDATE'),
    (
        2, 'data_sources',
        'INSERT INTO %2$I.data_sources (source_name, source_type, source_uri, is_active, created_at, metadata)
        SELECT source_name, source_type, source_uri, is_active, created_at, metadata FROM %1$I.data_sources
        WHERE source_id IN (SELECT source_id FROM %1$I.memory_sources WHERE tenant_id = %3$L)
        ON CONFLICT (source_name) DO NOTHING'
    ),
    (
        3, 'memory_vector_models',
        'INSERT INTO %2$I.memory_vector_models (%4$s)
        SELECT %4$s FROM %1$I.memory_vector_models WHERE tenant_id = %3$L ON CONFLICT DO NOTHING'
    ),
    (
        4, 'memory_records',
        'INSERT INTO %2$I.memory_records (%4$s) SELECT %4$s FROM %1$I.memory_records WHERE tenant_id = %3$L'
    ),
    (
        5, 'memory_embeddings',
        'INSERT INTO %2$I.memory_embeddings (%4$s) SELECT %4$s FROM %1$I.memory_embeddings
        WHERE memory_id IN (SELECT memory_id FROM %1$I.memory_records WHERE tenant_id = %3$L)'
    ),
    (
        6, 'memory_relationships',
        'INSERT INTO %2$I.memory_relationships (%4$s) SELECT %4$s FROM %1$I.memory_relationships
        WHERE source_memory_id IN (SELECT memory_id FROM %1$I.memory_records WHERE tenant_id = %3$L)'
    ),
    (
        7, 'memory_sources',
        'INSERT INTO %2$I.memory_sources (memory_id, tenant_id, source_id, is_held, stored_at)
        SELECT memory_id, tenant_id, (%5$L::jsonb ->> source_id::text)::uuid, is_held, stored_at
        FROM %1$I.memory_sources WHERE tenant_id = %3$L'
    ),
    (
        8, 'memory_own_vectors',
        'INSERT INTO %2$I.memory_own_vectors (%4$s) SELECT %4$s FROM %1$I.memory_own_vectors WHERE tenant_id = %3$L'
    ),
    (9, 'memory_word_counts', 'SELECT %2$I.memory_guild_recount_words(%3$L)'),
    (10, 'memory_vector_outbox', 'SELECT FROM %1$I.memory_vector_outbox WHERE tenant_id = %3$L FOR UPDATE'),
    (
        11, 'memory_vector_outbox',
        'INSERT INTO %2$I.memory_vector_outbox AS outbox
        (tenant_id, index_name, embedding_model, memory_id, attempts, due_at)
        SELECT tenant_id, index_name, embedding_model, memory_id, attempts, due_at FROM %1$I.memory_vector_outbox
        WHERE tenant_id = %3$L ON CONFLICT (tenant_id, index_name, embedding_model, memory_id)
        DO UPDATE SET attempts = EXCLUDED.attempts, due_at = greatest(outbox.due_at, EXCLUDED.due_at)'
    ),
    (12, 'memory_records', 'DELETE FROM %1$I.memory_records WHERE tenant_id = %3$L'),
    (13, 'memory_vector_models', 'DELETE FROM %1$I.memory_vector_models WHERE tenant_id = %3$L'),
    (14, 'memory_word_counts', 'DELETE FROM %1$I.memory_word_counts WHERE tenant_id = %3$L'),
    (15, 'memory_vector_outbox', 'DELETE FROM %1$I.memory_vector_outbox WHERE tenant_id = %3$L')
)

SELECT
    position,
    table_name,
    format(
        statement, $1::text, $2::text, $3::text,
        (
            SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
            FROM pg_attribute
            WHERE attrelid = home.table_id AND attnum > 0 AND NOT attisdropped
        ),
        $4::text
    ) AS statement
FROM steps
CROSS JOIN LATERAL to_regclass(quote_ident($1) || '.' || table_name) AS home (table_id)
WHERE home.table_id IS NOT NULL
ORDER BY position;
