-- The memories of tenant $1 that are held in quarantine, of the source $2 (NULL: any) and among $3 (NULL: all).
SELECT memory_id
FROM memory_sources
WHERE
    tenant_id = $1::varchar AND is_held
    AND ($2::uuid IS NULL OR source_id = $2)
    AND ($3::uuid[] IS NULL OR memory_id = ANY ($3))
ORDER BY memory_id;
