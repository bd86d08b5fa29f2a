-- Sets text $2 with its hash $3, source type $4 and metadata $5 of the live memory $1, each where it is not NULL, if its
-- version is $6, or whichever it is where that is NULL. No row: it is of another version, forgotten or not there.
UPDATE memory_records
SET
    content_text = COALESCE($2::text, content_text),
    content_hash = COALESCE($3::varchar, content_hash),
    source_type = COALESCE($4::varchar, source_type),
    metadata = COALESCE($5::jsonb, metadata),
    -- Later than before in every case, so that no two versions are the same.
    updated_at = GREATEST(statement_timestamp(), updated_at + interval '1 microsecond')
WHERE
    memory_id = $1::uuid AND is_deleted IS NOT TRUE
    AND ($6::timestamptz IS NULL OR updated_at = $6)
RETURNING *;
