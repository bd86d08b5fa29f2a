-- The memories of tenant $1 that have a current vector by the model $2, after the one with the id $3, at most $4.
SELECT memory_id
FROM memory_vectors
WHERE tenant_id = $1::varchar AND embedding_model = $2::varchar AND memory_id > $3::uuid AND is_current
ORDER BY memory_id
LIMIT $4;
