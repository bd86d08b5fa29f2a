-- The whole memories that three edges or fewer lead to, along them or against them, each once, at most $3: by hand,
-- with unrolled levels.
-- The answer of the package's walk: each at its smallest depth, with its parent on the surest path and that path's
-- confidence. Every hop forgets what was visited before it asks whose a memory is and whether it is live.
WITH
start AS MATERIALIZED (
    SELECT memory_id, 1::float8 AS confidence
    FROM memory_records
    WHERE memory_id = $1 AND tenant_id = $2 AND is_deleted IS NOT TRUE
),
first_edges AS MATERIALIZED (
        SELECT edge.target_memory_id AS memory_id, start.memory_id AS parent_id,
            start.confidence * COALESCE(edge.confidence_score, 1) AS confidence
        FROM start JOIN memory_relationships AS edge ON edge.source_memory_id = start.memory_id
        UNION ALL
        SELECT edge.source_memory_id, start.memory_id, start.confidence * COALESCE(edge.confidence_score, 1)
        FROM start JOIN memory_relationships AS edge ON edge.target_memory_id = start.memory_id
),
first AS MATERIALIZED (
    SELECT reached.parent_id, reached.confidence, memory_records.*
    FROM (
        SELECT DISTINCT ON (memory_id) *
        FROM first_edges
        WHERE memory_id NOT IN (SELECT memory_id FROM start)
        ORDER BY memory_id, confidence DESC, parent_id
    ) AS reached
    JOIN memory_records USING (memory_id)
    WHERE tenant_id = $2 AND is_deleted IS NOT TRUE
    ORDER BY confidence DESC, memory_id
    LIMIT $3
),
second_edges AS MATERIALIZED (
        SELECT edge.target_memory_id AS memory_id, first.memory_id AS parent_id,
            first.confidence * COALESCE(edge.confidence_score, 1) AS confidence
        FROM first JOIN memory_relationships AS edge ON edge.source_memory_id = first.memory_id
        UNION ALL
        SELECT edge.source_memory_id, first.memory_id, first.confidence * COALESCE(edge.confidence_score, 1)
        FROM first JOIN memory_relationships AS edge ON edge.target_memory_id = first.memory_id
),
second AS MATERIALIZED (
    SELECT reached.parent_id, reached.confidence, memory_records.*
    FROM (
        SELECT DISTINCT ON (memory_id) *
        FROM second_edges
        WHERE memory_id NOT IN (SELECT memory_id FROM start UNION ALL SELECT memory_id FROM first)
        ORDER BY memory_id, confidence DESC, parent_id
    ) AS reached
    JOIN memory_records USING (memory_id)
    WHERE tenant_id = $2 AND is_deleted IS NOT TRUE
    ORDER BY confidence DESC, memory_id
    LIMIT $3 - (SELECT count(*) FROM first)
),
third_edges AS MATERIALIZED (
        SELECT edge.target_memory_id AS memory_id, second.memory_id AS parent_id,
            second.confidence * COALESCE(edge.confidence_score, 1) AS confidence
        FROM second JOIN memory_relationships AS edge ON edge.source_memory_id = second.memory_id
        UNION ALL
        SELECT edge.source_memory_id, second.memory_id, second.confidence * COALESCE(edge.confidence_score, 1)
        FROM second JOIN memory_relationships AS edge ON edge.target_memory_id = second.memory_id
),
third AS MATERIALIZED (
    SELECT reached.parent_id, reached.confidence, memory_records.*
    FROM (
        SELECT DISTINCT ON (memory_id) *
        FROM third_edges
        WHERE memory_id NOT IN (
            SELECT memory_id FROM start UNION ALL SELECT memory_id FROM first UNION ALL SELECT memory_id FROM second
        )
        ORDER BY memory_id, confidence DESC, parent_id
    ) AS reached
    JOIN memory_records USING (memory_id)
    WHERE tenant_id = $2 AND is_deleted IS NOT TRUE
    ORDER BY confidence DESC, memory_id
    LIMIT $3 - (SELECT count(*) FROM first) - (SELECT count(*) FROM second)
)
SELECT 1 AS depth, first.* FROM first
UNION ALL
SELECT 2, second.* FROM second
UNION ALL
SELECT 3, third.* FROM third;
