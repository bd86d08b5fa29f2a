-- The tenant's ($1) memories that were forgotten before $2, in the order in which they are deleted.
SELECT memory_id
FROM memory_records
WHERE tenant_id = $1::varchar AND is_deleted AND COALESCE(deleted_at, updated_at, '-infinity') < $2::timestamptz
ORDER BY memory_id;
