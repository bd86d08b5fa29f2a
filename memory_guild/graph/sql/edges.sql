-- The columns of edges, for the statements that include this one.
-- They are named, so that a statement that is prepared stays valid when a later version adds a column to the table.
SELECT
    relationship_id,
    source_memory_id,
    target_memory_id,
    relationship_type,
    confidence_score,
    created_at
FROM memory_relationships;
