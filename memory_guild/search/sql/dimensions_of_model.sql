-- How many numbers the vectors of tenant $1 by the model $2 have; no row where there are none.
SELECT dimensions
FROM memory_vector_models
WHERE tenant_id = $1::varchar AND embedding_model = $2::varchar;
