-- All sources, by name.
SELECT
    source_id,
    source_name,
    source_type,
    source_uri,
    is_active,
    created_at,
    last_ingestion_at,
    metadata
FROM data_sources
ORDER BY source_name COLLATE "C";
