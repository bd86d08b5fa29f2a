-- The source $1, and whether it has the type $2, the URI $3 and the metadata $4.
SELECT
    source_type = $2::varchar
    AND (source_uri IS NOT DISTINCT FROM $3::text)
    AND COALESCE(metadata, '{}') = $4::jsonb AS is_same,
    source_id,
    source_name,
    source_type,
    source_uri,
    is_active,
    created_at,
    last_ingestion_at,
    metadata
FROM data_sources
WHERE source_name = $1::varchar;
