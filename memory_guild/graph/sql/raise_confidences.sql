-- Raises the confidence of each edge $1 to the one at the same place in $2, if that is higher or the edge has none.
-- Returns the ids of the edges that it changed.
UPDATE memory_relationships AS edge
SET confidence_score = given.confidence_score
FROM (
    -- In the order of the ids: calls that overlap wait for each other instead of deadlocking.
    SELECT relationship_id, pair.confidence_score
    FROM unnest($1::uuid[], $2::float8[]) AS pair (relationship_id, confidence_score)
    JOIN memory_relationships USING (relationship_id)
    ORDER BY relationship_id
    FOR UPDATE OF memory_relationships
) AS given
WHERE
    edge.relationship_id = given.relationship_id
    AND given.confidence_score > COALESCE(edge.confidence_score, -1)
RETURNING edge.relationship_id;
