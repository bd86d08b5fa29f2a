-- Sets the text $2 with its hash $3, the source type $4 and the metadata $5 of the memory $1; NULL changes nothing.
-- The memory must have the version $6, unless that is NULL. No row is returned if it has another version, is forgotten
-- or does not exist.
UPDATE memory_records
SET
    content_text = COALESCE($2::text, content_text),
    content_hash = COALESCE($3::varchar, content_hash),
    source_type = COALESCE($4::varchar, source_type),
    metadata = COALESCE($5::jsonb, metadata),
    -- Always later than before, so that no two versions are equal.
    updated_at = GREATEST(
        statement_timestamp(),
        -- At the end of time no later version would be left: versions begin anew.
        CASE
            WHEN updated_at < '9999-12-31 00:00:00+00'
                THEN (updated_at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'
        END
    )
WHERE
    memory_id = $1::uuid AND is_deleted IS NOT TRUE
    AND ($6::timestamptz IS NULL OR updated_at = $6)
RETURNING
    memory_id,
    agent_id,
    tenant_id,
    source_type,
    content_text,
    content_hash,
    metadata,
    created_at,
    updated_at,
    is_deleted,
    deleted_at;
