-- The memories of tenant $1 that match the conditions $2 to $9. Other statements include this one as a subquery, which
-- the planner merges into them: their plans are those of one statement. Where one of the conditions is on words,
-- worded_memories.sql takes its place, and where one is on sources, sourced_memories.sql.
SELECT *
FROM include.memories AS memory_records
WHERE
    tenant_id = $1::varchar
    -- One agent is compared with =: an index of each agent's newest memories has the order for that only.
    AND ($2::varchar[] IS NULL OR CASE WHEN cardinality($2) = 1 THEN agent_id = $2[1] ELSE agent_id = ANY ($2) END)
    AND ($3::varchar[] IS NULL OR source_type = ANY ($3))
    AND ($4::timestamptz IS NULL OR created_at >= $4)
    AND ($5::timestamptz IS NULL OR created_at < $5)
    AND ($9::boolean OR is_deleted IS NOT TRUE)
    AND (cardinality($6::text[]) = 0 OR NOT EXISTS (
        SELECT
        FROM unnest($6, $7::text[], $8::jsonb[]) AS wanted (key, operator, value)
        CROSS JOIN LATERAL (
            -- The key itself, or else the path that its dots make: a.b is b in the object a.
            SELECT COALESCE(
                metadata -> key,
                CASE WHEN strpos(key, '.') > 0 THEN metadata #> string_to_array(key, '.') END
            ) AS found
        ) AS there
        WHERE operator NOT IN ('words', 'sources') AND CASE
            WHEN operator IN ('$eq', '$ne') THEN COALESCE(found = value, false) = (operator = '$eq')
            WHEN operator IN ('$in', '$nin') THEN (operator = '$in') = COALESCE(CASE
                WHEN jsonb_typeof(found) IN ('object', 'array') THEN found IN (SELECT jsonb_array_elements(value))
                ELSE value @> found
            END, false)
            WHEN operator = '$exists' THEN (found IS NOT NULL) = value::boolean
            WHEN operator = '$gt' THEN jsonb_typeof(found) = 'number' AND found > value
            WHEN operator = '$gte' THEN jsonb_typeof(found) = 'number' AND found >= value
            WHEN operator = '$lt' THEN jsonb_typeof(found) = 'number' AND found < value
            WHEN operator = '$lte' THEN jsonb_typeof(found) = 'number' AND found <= value
            WHEN starts_with(operator, '$contains') THEN CASE WHEN jsonb_typeof(found) = 'array' THEN
                CASE
                    WHEN operator = '$contains' THEN value IN (SELECT jsonb_array_elements(found))
                    WHEN operator = '$contains_any' THEN EXISTS (
                        SELECT jsonb_array_elements(value) INTERSECT SELECT jsonb_array_elements(found)
                    )
                    WHEN operator = '$contains_all' THEN NOT EXISTS (
                        SELECT jsonb_array_elements(value) EXCEPT SELECT jsonb_array_elements(found)
                    )
                END
            END
            ELSE jsonb_path_exists_tz(
                -- A jsonpath cannot read times without seconds, nanoseconds, offsets without a colon and, before
                -- PostgreSQL 17, a Z. A text that is no date and time matches nothing.
                to_jsonb(regexp_replace(regexp_replace(regexp_replace(regexp_replace(found #>> '{}',
                    '(?<=^[^ T]{10}[ T][0-9]{2}:[0-9]{2})(?=$|[-+Zz])', ':00'),
                    '(?<=[.][0-9]{6})[0-9]+', ''),
                    '[Zz]$', '+00:00'),
                    '(:[0-9.]+[-+][0-9]{2})([0-9]{2})$', '\1:\2')),
                CASE
                    WHEN operator = 'time $gt' THEN '$ ? (@.datetime() > $than.datetime())'
                    WHEN operator = 'time $gte' THEN '$ ? (@.datetime() >= $than.datetime())'
                    WHEN operator = 'time $lt' THEN '$ ? (@.datetime() < $than.datetime())'
                    WHEN operator = 'time $lte' THEN '$ ? (@.datetime() <= $than.datetime())'
                END::jsonpath,
                jsonb_build_object('than', value),
                silent => true
            )
        END IS NOT TRUE
    ));
