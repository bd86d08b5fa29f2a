-- The memories of tenant $1 that answer the question $10 best, at most $12 of them, best first. If $11, only those that
-- match the conditions $2 to $9. lexical is 1 for the memory whose words answer best. Each row says which words of the
-- question its own text has, and which its neighbors have.
WITH question AS MATERIALIZED (
    SELECT
        tsvector_to_array(lexemes) AS asked,
        memory_guild_question($1::varchar, lexemes) AS words,
        memory_guild_asks_when($10) AS asks_when
    FROM memory_guild_asked($10::text) AS lexemes
),

worded AS MATERIALIZED (SELECT * FROM include.closest AS closest),

scored AS MATERIALIZED (
    SELECT *, lexical + question + beginning + time AS without_agent
    FROM (
        SELECT
            memory_id,
            closeness / max(closeness) OVER () AS lexical,
            CASE WHEN is_question THEN -0.15 ELSE 0 END AS question,
            CASE WHEN starts THEN 0.1 ELSE 0 END AS beginning,
            CASE WHEN names_time AND (SELECT asks_when FROM question) THEN 0.1 ELSE 0 END AS time
        FROM worded
        WHERE closeness > 0
    ) AS parts
),

known AS MATERIALIZED (
    SELECT scored.*, memory.agent_id
    FROM scored
    -- One by one, by key: the planner would rather read all memories of the tenant.
    CROSS JOIN LATERAL (
        SELECT agent_id FROM memory_records WHERE memory_records.memory_id = scored.memory_id OFFSET 0
    ) AS memory
    -- Not the many that would not be among the best even if the question named their agents alone.
    WHERE scored.without_agent >= (
        SELECT min(better.without_agent) - 0.11
        FROM (SELECT without_agent FROM scored ORDER BY without_agent DESC LIMIT $12) AS better
    )
),

named AS MATERIALIZED (
    SELECT agent_id
    FROM (SELECT DISTINCT agent_id FROM known OFFSET 0) AS agents  -- so that each is compared once
    WHERE $10 ~* ('\y' || regexp_replace(agent_id, '([^\w\s])', '\\\1', 'g') || '\y')
),

best AS MATERIALIZED (
    SELECT *, without_agent + agent AS score
    FROM (
        SELECT *, CASE WHEN agent_id IN (SELECT named.agent_id FROM named) THEN 0.1 ELSE 0 END AS agent
        FROM known
    ) AS flagged
    ORDER BY score DESC, memory_id
    LIMIT $12
),

reasons AS MATERIALIZED (SELECT * FROM include.reasons AS reasons)

SELECT
    best.score, best.lexical, best.agent, best.question, best.beginning, best.time,
    COALESCE(reasons.own, '{}') AS own_words,
    COALESCE(reasons.others, '{}') AS neighbor_words,
    COALESCE(reasons.neighbors, '{}') AS neighbors,
    memory.*
FROM best
INNER JOIN (SELECT * FROM include.memories.memories AS memory_records) AS memory USING (memory_id)
LEFT JOIN reasons ON reasons.receiver = best.memory_id
ORDER BY best.score DESC, best.memory_id;
