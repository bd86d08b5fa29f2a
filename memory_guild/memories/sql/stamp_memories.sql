-- Stamps the memories $4 of tenant $1, which this transaction has just stored, as coming from the source $2. If $3,
-- they are held in quarantine, and this returns their new versions. The database checks all of it once more.
-- What is held was never live, also where its created_at is in the past: see as_of.
WITH held AS (
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
    WHERE $3::boolean AND memory_id = ANY ($4::uuid[])
    RETURNING memory_id, is_deleted, deleted_at, updated_at
),

stamped AS (
    INSERT INTO memory_sources (memory_id, tenant_id, source_id, is_held)
    SELECT
        memory_id,
        $1::varchar,
        $2::uuid,
        $3
    FROM unnest($4) AS given (memory_id)
    -- One that was forgotten and is restored may have a stamp already.
    ON CONFLICT (memory_id, tenant_id) DO UPDATE SET source_id = EXCLUDED.source_id
)

SELECT * FROM held;
