-- What an index should have of the memories $3 by the models $2 of the tenants $1; no row where it should have nothing.
SELECT
    vector.tenant_id, vector.embedding_model, vector.memory_id,
    vector.embedding::text AS numbers,
    memory.agent_id, memory.source_type, memory.created_at,
    memory_guild_fingerprint(vector.embedding, memory.agent_id, memory.source_type, memory.created_at) AS fingerprint
FROM unnest($1::varchar[], $2::varchar[], $3::uuid[]) AS wanted (tenant_id, embedding_model, memory_id)
INNER JOIN memory_vectors AS vector USING (tenant_id, embedding_model, memory_id)
INNER JOIN memory_records AS memory USING (tenant_id, memory_id)
WHERE vector.is_current;
