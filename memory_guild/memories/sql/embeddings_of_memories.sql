-- The embeddings of the memories $1, by the name of the model that made them.
SELECT embedding_id, memory_id, vector_id, embedding_model, created_at
FROM memory_embeddings
WHERE memory_id = ANY ($1::uuid[])
ORDER BY embedding_model;
