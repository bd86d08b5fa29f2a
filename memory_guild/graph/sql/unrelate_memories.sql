-- Deletes the edges from $1 to $2 of type $3 (NULL: of all types). Returns their ids.
DELETE FROM memory_relationships
WHERE
    source_memory_id = $1::uuid AND target_memory_id = $2::uuid
    AND ($3::varchar IS NULL OR relationship_type = $3)
RETURNING relationship_id;
