-- Whether the roles of the scopes lack something that the migrations gave them in the connection's schema, as after a
-- restore on a server that had no such roles. Of a table that is not there, nothing can be lacking: the search's.
SELECT EXISTS (
    SELECT
    FROM (VALUES ('memory_guild_app'), ('memory_guild_admin')) AS role (name)
    CROSS JOIN (
        VALUES ('memory_records', true),
        ('memory_embeddings', true),
        ('memory_relationships', true),
        ('data_sources', false),
        ('memory_access_policies', false),
        ('memory_sources', false),
        ('memory_words', true),
        ('memory_word_counts', true),
        ('memory_vectors', true),
        ('memory_own_vectors', true),
        ('memory_vector_models', true),
        ('memory_vector_outbox', true),
        ('memory_vector_indexes', false)
    ) AS wanted (table_name, is_written)
    CROSS JOIN LATERAL (
        SELECT to_regrole(name) AS id, to_regclass(quote_ident(current_schema()) || '.' || table_name) AS table_id
    ) AS found
    WHERE (
        id IS NULL
        OR NOT has_schema_privilege(id, current_schema(), 'USAGE')
        OR NOT has_table_privilege(id, table_id, 'SELECT')
        OR is_written
        AND NOT (
            has_table_privilege(id, table_id, 'DELETE')
            AND has_any_column_privilege(id, table_id, 'INSERT')
            AND has_any_column_privilege(id, table_id, 'UPDATE')
        )
        OR NOT has_any_column_privilege(
            id, to_regclass(quote_ident(current_schema()) || '.memory_audit'), 'INSERT'
        )
        OR NOT EXISTS (
            SELECT
            FROM pg_policy
            WHERE polname = 'maintenance'
                AND polrelid = to_regclass(quote_ident(current_schema()) || '.memory_records')
        )
    )
) AS rights_are_lacking;
