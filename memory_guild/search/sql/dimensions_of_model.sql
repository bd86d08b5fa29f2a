-- How many numbers the vectors of tenant $1 by the model $2 have; no row where there are none.
SELECT memory_guild_dimensions(embedding) AS dimensions
FROM memory_vectors
WHERE tenant_id = $1::varchar AND embedding_model = $2::varchar
LIMIT 1;
