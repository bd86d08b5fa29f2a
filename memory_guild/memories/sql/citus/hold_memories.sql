-- Forgets the memories $2, which this transaction has just stored, if $1: they are about to be held in quarantine.
-- Returns their new versions. What is held was never live, also where its created_at is in the past: see as_of.
UPDATE memory_records
SET
    is_deleted = true,
    deleted_at = LEAST(created_at, statement_timestamp()),
    updated_at = GREATEST(
        statement_timestamp(),
        -- At the end of time no later version would be left: versions begin anew.
        CASE
            WHEN updated_at < '9999-12-31 00:00:00+00'
                THEN (updated_at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'
        END
    )
WHERE $1::boolean AND memory_id = ANY ($2::uuid[])
RETURNING memory_id, is_deleted, deleted_at, updated_at;
