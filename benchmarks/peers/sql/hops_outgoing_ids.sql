-- The memories that three edges or fewer lead to, each once at its depth, at most $3: by hand, with unrolled levels.
-- Every hop forgets what was visited before it asks whose a memory is and whether it is live.
WITH
start AS MATERIALIZED (
    SELECT memory_id FROM memory_records WHERE memory_id = $1 AND tenant_id = $2 AND is_deleted IS NOT TRUE
),
first AS MATERIALIZED (
    SELECT memory_id
    FROM (
        SELECT DISTINCT edge.target_memory_id AS memory_id
        FROM start JOIN memory_relationships AS edge ON edge.source_memory_id = start.memory_id
    ) AS reached
    JOIN memory_records USING (memory_id)
    WHERE tenant_id = $2 AND is_deleted IS NOT TRUE
    LIMIT $3
),
second AS MATERIALIZED (
    SELECT memory_id
    FROM (
        SELECT edge.target_memory_id AS memory_id
        FROM first JOIN memory_relationships AS edge ON edge.source_memory_id = first.memory_id
        EXCEPT (SELECT memory_id FROM start UNION ALL SELECT memory_id FROM first)
    ) AS reached
    JOIN memory_records USING (memory_id)
    WHERE tenant_id = $2 AND is_deleted IS NOT TRUE
    LIMIT $3 - (SELECT count(*) FROM first)
),
third AS MATERIALIZED (
    SELECT memory_id
    FROM (
        SELECT edge.target_memory_id AS memory_id
        FROM second JOIN memory_relationships AS edge ON edge.source_memory_id = second.memory_id
        EXCEPT (
            SELECT memory_id FROM start UNION ALL SELECT memory_id FROM first UNION ALL SELECT memory_id FROM second
        )
    ) AS reached
    JOIN memory_records USING (memory_id)
    WHERE tenant_id = $2 AND is_deleted IS NOT TRUE
    LIMIT $3 - (SELECT count(*) FROM first) - (SELECT count(*) FROM second)
)
SELECT memory_id, 1 AS depth FROM first
UNION ALL
SELECT memory_id, 2 FROM second
UNION ALL
SELECT memory_id, 3 FROM third;
