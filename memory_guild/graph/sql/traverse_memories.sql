-- Walks from the memories $2 of tenant $1 up to $3 hops along edges: forwards if $4, backwards if $5, of the types $6
-- (NULL: all), with a confidence of at least $7 (NULL: any; an unspecified one counts as 1). Returns each memory once,
-- at its smallest depth, by the path with the highest product of confidences. Forgotten memories are skipped. At most
-- $8 memories are reached. With $9, the walk ends at the level that has that memory, even if the level is cut, and the
-- rows have no columns of the memories.
-- Rows of memories with long texts have none either: these would be copied from level to level.
-- A level is one row of arrays, so that a level knows all that was seen before, and none is walked twice. The client
-- sorts by depth: without ORDER BY, a level is sent while the next one is walked. A level that was cut and is empty is
-- a row without a memory.
-- OFFSET 0: memories are looked up one by one. The planner cannot know how few there are, and might read the table.
-- stored::memory_records: the columns of a subquery, put together only where CASE wants them. The name of the table
-- would be the whole row, which PostgreSQL reads below the policy, long texts included.
WITH RECURSIVE level (depth, memory_ids, parent_ids, confidences, memories, seen_ids, is_cut) AS (
    SELECT
        0,
        array_agg(memory_id),
        array_agg(NULL::uuid),
        array_agg(1::float8),
        array_agg(memory),
        array_agg(memory_id),
        false
    FROM (
        SELECT
            memory_id,
            CASE
                WHEN $9::uuid IS NULL AND pg_column_size(content_text) + COALESCE(pg_column_size(metadata), 0) < 4000
                    THEN stored::memory_records
            END AS memory
        FROM (SELECT * FROM memory_records) AS stored
        WHERE memory_id = ANY ($2::uuid[]) AND tenant_id = $1::varchar AND is_deleted IS NOT TRUE
        ORDER BY memory_id
    ) AS start
    HAVING count(*) > 0
    UNION ALL
    SELECT
        level.depth + 1,
        following.memory_ids[1:budget.remaining],
        following.parent_ids[1:budget.remaining],
        following.confidences[1:budget.remaining],
        following.memories[1:budget.remaining],
        level.seen_ids || following.memory_ids[1:budget.remaining],
        following.is_cut
        OR (cardinality(following.memory_ids) > budget.remaining
            AND NOT COALESCE($9 = ANY (following.memory_ids[1:budget.remaining]), false))
    FROM level
    CROSS JOIN LATERAL (SELECT $8::int + cardinality($2) - cardinality(level.seen_ids) AS remaining) AS budget
    CROSS JOIN LATERAL (
        WITH edge AS MATERIALIZED (
            -- A hub can have very many edges: a multiple of the limit is enough.
            SELECT
                ends.memory_id,
                origin.memory_id AS parent_id,
                -- PostgreSQL raises an error when a product is too small for a float; here it is 0.
                CASE
                    WHEN origin.confidence < 5e-324 / NULLIF(ends.confidence, 0) THEN 0
                    ELSE origin.confidence * ends.confidence
                END AS confidence
            FROM unnest(level.memory_ids, level.confidences) AS origin (memory_id, confidence)
            CROSS JOIN LATERAL (
                SELECT target_memory_id AS memory_id, COALESCE(confidence_score, 1) AS confidence, relationship_type
                FROM memory_relationships
                WHERE $4::boolean AND source_memory_id = origin.memory_id
                UNION ALL
                SELECT source_memory_id, COALESCE(confidence_score, 1), relationship_type
                FROM memory_relationships
                WHERE $5::boolean AND target_memory_id = origin.memory_id
            ) AS ends
            WHERE
                ($6::varchar[] IS NULL OR ends.relationship_type = ANY ($6))
                AND ($7::float8 IS NULL OR ends.confidence >= $7)
            LIMIT $8 * 50 + 1
        ),

        unseen AS (
            SELECT DISTINCT ON (memory_id) *
            FROM edge
            WHERE NOT EXISTS (
                SELECT FROM unnest(level.seen_ids) AS seen (memory_id) WHERE seen.memory_id = edge.memory_id
            )
            ORDER BY memory_id, confidence DESC, parent_id
        ),

        reached AS (
            SELECT unseen.*, live.memory
            FROM unseen
            CROSS JOIN LATERAL (
                SELECT
                    CASE
                        WHEN $9 IS NULL AND pg_column_size(content_text) + COALESCE(pg_column_size(metadata), 0) < 4000
                            THEN stored::memory_records
                    END AS memory
                FROM (SELECT * FROM memory_records) AS stored
                WHERE memory_id = unseen.memory_id AND tenant_id = $1 AND is_deleted IS NOT TRUE
                OFFSET 0
            ) AS live
            ORDER BY confidence DESC, memory_id
            LIMIT budget.remaining + 1
        )

        -- In the order of reached, highest confidence first: what exceeds the budget is the least sure.
        SELECT
            array_agg(memory_id) AS memory_ids,
            array_agg(parent_id) AS parent_ids,
            array_agg(confidence) AS confidences,
            array_agg(memory) AS memories,
            (SELECT count(*) FROM edge) > $8 * 50 AS is_cut
        FROM reached
    ) AS following
    WHERE
        level.depth < $3::int
        AND NOT level.is_cut
        AND ($9::uuid IS NULL OR NOT $9 = ANY (level.memory_ids))
        AND (following.memory_ids IS NOT NULL OR following.is_cut)
)

SELECT
    level.depth AS step_depth,
    level.is_cut,
    step.step_memory_id,
    step.step_parent_id,
    step.step_confidence,
    step.memory_id,
    step.agent_id,
    step.tenant_id,
    step.source_type,
    step.content_text,
    step.content_hash,
    step.metadata,
    step.created_at,
    step.updated_at,
    step.is_deleted,
    step.deleted_at
FROM level
LEFT JOIN LATERAL unnest(level.memory_ids, level.parent_ids, level.confidences, level.memories)
    AS step (step_memory_id, step_parent_id, step_confidence) ON true;
