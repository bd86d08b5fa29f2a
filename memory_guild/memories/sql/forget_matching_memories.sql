-- Forgets the memories that match the conditions $1 to $9; returns the id of each.
UPDATE memory_records
SET
    is_deleted = true,
    deleted_at = statement_timestamp(),
    updated_at = GREATEST(
        statement_timestamp(),
        -- At the end of time no later version would be left: versions begin anew.
        CASE
            WHEN updated_at < '9999-12-31 00:00:00+00'
                THEN (updated_at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'
        END
    )
WHERE
    memory_id IN (
        -- Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
        SELECT memory_id FROM include.matching_memories AS memory_records ORDER BY memory_id FOR UPDATE
    )
    AND is_deleted IS NOT TRUE
RETURNING memory_id;
