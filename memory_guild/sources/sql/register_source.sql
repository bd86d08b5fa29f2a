-- Registers the source $1 of type $2 at $3, active if $4, with the metadata $5. No row where the name is taken.
INSERT INTO data_sources (source_name, source_type, source_uri, is_active, metadata)
VALUES ($1::varchar, $2::varchar, $3::text, $4::boolean, $5::jsonb)
ON CONFLICT (source_name) DO NOTHING
RETURNING
    true AS is_same,
    source_id,
    source_name,
    source_type,
    source_uri,
    is_active,
    created_at,
    last_ingestion_at,
    metadata;
