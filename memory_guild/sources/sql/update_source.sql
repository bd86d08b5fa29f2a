-- Gives the source $1 the metadata $2.
UPDATE data_sources SET metadata = $2::jsonb
WHERE source_name = $1::varchar
RETURNING
    source_id,
    source_name,
    source_type,
    source_uri,
    is_active,
    created_at,
    last_ingestion_at,
    metadata;
