-- As recall_memories.sql, and the vectors count: $14 is the question's, made by the model $13, and has $15 dimensions.
-- lexical is at most 0.7, for the memory whose words answer best, and vector at most 0.3, for the memory whose vector
-- is most like the question's; it is 0 for the hundred and fiftieth. Where there are no vectors, lexical is at most 1.
-- $16 has the memories whose vectors are compared, as an index outside PostgreSQL found them; NULL for all.
WITH question AS MATERIALIZED (
    SELECT
        tsvector_to_array(lexemes) AS asked,
        memory_guild_question($1::varchar, lexemes) AS words,
        memory_guild_asks_when($10) AS asks_when,
        memory_guild_vector($14::text) AS embedding
    FROM memory_guild_asked($10::text) AS lexemes
),

worded AS MATERIALIZED (SELECT * FROM include.closest AS closest),

alike AS MATERIALIZED (SELECT * FROM include.nearest AS nearest),

scale AS MATERIALIZED (
    SELECT min(likeness) AS lowest, max(likeness) AS highest
    FROM (SELECT likeness FROM alike ORDER BY likeness DESC LIMIT 150) AS compared
),

candidates AS MATERIALIZED (
    SELECT memory_id, is_question, names_time, starts, closeness, likeness
    FROM worded LEFT JOIN alike USING (memory_id)
    WHERE closeness > 0
    UNION ALL
    -- What is found by its vector alone.
    SELECT
        own.memory_id, own.is_question, own.names_time, own.starts, own.closeness, vectors.likeness
    FROM question
    CROSS JOIN LATERAL memory_guild_closeness_of($1, question.words, ARRAY(
        SELECT memory_id FROM alike
        EXCEPT
        SELECT memory_id FROM worded WHERE closeness > 0
    )) AS own
    INNER JOIN alike AS vectors USING (memory_id)
),

scored AS MATERIALIZED (
    SELECT *, lexical + vector + question + beginning + time AS without_agent
    FROM (
        SELECT
            memory_id,
            CASE WHEN lowest IS NULL THEN 1 ELSE 0.7 END
                * COALESCE(closeness / nullif(max(closeness) OVER (), 0), 0) AS lexical,
            CASE
                WHEN likeness IS NULL OR likeness < lowest THEN 0
                WHEN lowest = highest THEN 0.3
                ELSE 0.3 * (likeness - lowest) / (highest - lowest)
            END AS vector,
            CASE WHEN is_question THEN -0.15 ELSE 0 END AS question,
            CASE WHEN starts THEN 0.1 ELSE 0 END AS beginning,
            CASE WHEN names_time AND (SELECT asks_when FROM question) THEN 0.1 ELSE 0 END AS time
        FROM candidates CROSS JOIN scale
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
    best.score, best.lexical, best.vector, best.agent, best.question, best.beginning, best.time,
    COALESCE(reasons.own, '{}') AS own_words,
    COALESCE(reasons.others, '{}') AS neighbor_words,
    COALESCE(reasons.neighbors, '{}') AS neighbors,
    memory.*
FROM best
INNER JOIN (SELECT * FROM include.memories.memories AS memory_records) AS memory USING (memory_id)
LEFT JOIN reasons ON reasons.receiver = best.memory_id
ORDER BY best.score DESC, best.memory_id;
