-- Gives the memories $1 the metadata $2, merged with their own if $3; returns the id of each.
UPDATE memory_records
SET
    metadata = CASE
        WHEN $3::boolean AND jsonb_typeof(memory_records.metadata) = 'object'
            THEN memory_records.metadata || given.metadata
        ELSE given.metadata
    END,
    updated_at = GREATEST(
        statement_timestamp(),
        -- At the end of time no later version would be left: versions begin anew.
        CASE
            WHEN memory_records.updated_at < '9999-12-31 00:00:00+00'
                THEN (memory_records.updated_at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'
        END
    )
FROM unnest($1::uuid[], $2::jsonb[]) AS given (memory_id, metadata)
WHERE memory_records.memory_id = given.memory_id
RETURNING memory_records.memory_id;
