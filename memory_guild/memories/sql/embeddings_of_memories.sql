-- The embeddings of the memories $1, by the name of the model that made them.
SELECT * FROM memory_embeddings WHERE memory_id = ANY ($1::uuid[]) ORDER BY embedding_model;
