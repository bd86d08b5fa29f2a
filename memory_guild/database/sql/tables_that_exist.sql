-- Which of the package's tables the connection's schema has, by whomever they were made.
SELECT name
FROM unnest(
    ARRAY['memory_records', 'memory_embeddings', 'memory_relationships', 'data_sources', 'memory_access_policies']
) AS wanted (name)
WHERE to_regclass(quote_ident(current_schema()) || '.' || name) IS NOT NULL;
