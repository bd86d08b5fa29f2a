-- Walks the edges that leave memory $1, up to $2 hops: each live memory of its tenant once, at its smallest depth.
-- From every memory only the $3 surest edges to other memories are followed, so that no hub floods the walk.
WITH RECURSIVE walk (depth, via_memory_id, via_subject, confidence_score, tenant_id, memory_id, subject) AS (
    SELECT 0, NULL::uuid, NULL::text, NULL::float8, tenant_id, memory_id, metadata ->> 'subject'
    FROM memory_records
    WHERE memory_id = $1::uuid AND NOT is_deleted
    UNION
    SELECT
        walk.depth + 1,
        walk.memory_id,
        walk.subject,
        hop.confidence_score,
        walk.tenant_id,
        hop.memory_id,
        hop.subject
    FROM walk
    CROSS JOIN LATERAL (
        SELECT
            target.memory_id,
            target.metadata ->> 'subject' AS subject,
            max(edge.confidence_score) AS confidence_score
        FROM memory_relationships AS edge
        JOIN memory_records AS target ON target.memory_id = edge.target_memory_id
        WHERE edge.source_memory_id = walk.memory_id AND target.tenant_id = walk.tenant_id AND NOT target.is_deleted
        GROUP BY target.memory_id
        ORDER BY confidence_score DESC NULLS LAST, subject, target.memory_id
        LIMIT $3::int
    ) AS hop
    WHERE walk.depth < $2::int
),
shortest AS (
    SELECT DISTINCT ON (memory_id) *
    FROM walk
    ORDER BY memory_id, depth, confidence_score DESC NULLS LAST, via_subject, via_memory_id
)
SELECT depth, via_memory_id, confidence_score, memory_id, subject
FROM shortest
ORDER BY depth, confidence_score DESC NULLS LAST, subject, memory_id;
