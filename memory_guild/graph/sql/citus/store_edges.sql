-- The same as store_edges.sql; why it reads the table and names no id is said in memories/sql/citus/store_memories.sql.
INSERT INTO memory_relationships
(relationship_id, source_memory_id, target_memory_id, relationship_type, confidence_score, created_at)
SELECT
    NULL::uuid,
    given.source_memory_id,
    given.target_memory_id,
    given.relationship_type,
    given.confidence_score,
    memory_guild_now(given.source_memory_id)
FROM
    unnest($1::uuid[], $2::uuid[], $3::varchar[], $4::float8[])
    AS given (source_memory_id, target_memory_id, relationship_type, confidence_score)
WHERE NOT EXISTS (
    SELECT FROM memory_relationships AS nobodys
    WHERE nobodys.relationship_id = '00000000-0000-0000-0000-000000000000' AND nobodys.relationship_type = ''
)
ORDER BY given.source_memory_id, given.target_memory_id, given.relationship_type
ON CONFLICT (source_memory_id, target_memory_id, relationship_type) DO NOTHING
RETURNING relationship_id, source_memory_id, target_memory_id, relationship_type;
