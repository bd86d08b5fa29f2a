-- The statements that give the new group with the schema $2 what all tenants of the group with the schema $1 share: its
-- data sources, its access policies, and the indexes outside PostgreSQL that mirror vectors.
WITH steps (table_name, left_out) AS (
    VALUES
    ('data_sources', '{source_id, last_ingestion_at}'::text[]),
    ('memory_access_policies', '{policy_id}'),
    ('memory_vector_indexes', '{}')
)

SELECT
    format(
        'INSERT INTO %2$I.%3$I (%4$s) SELECT %4$s FROM %1$I.%3$I ON CONFLICT DO NOTHING',
        $1::text, $2::text, table_name,
        (
            SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
            FROM pg_attribute
            WHERE attrelid = home.table_id AND attnum > 0 AND NOT attisdropped AND NOT attname = ANY (left_out)
        )
    ) AS statement
FROM steps
CROSS JOIN LATERAL to_regclass(quote_ident($1) || '.' || table_name) AS home (table_id)
WHERE home.table_id IS NOT NULL;
