-- The memories of tenant $1 that match the conditions $2 to $9. Other statements include this one as a subquery, which
-- the planner merges into them: their plans are those of one statement.
SELECT *
FROM include.memories AS memory_records
WHERE
    tenant_id = $1::varchar
    AND ($2::varchar IS NULL OR agent_id = $2)
    AND ($3::varchar[] IS NULL OR source_type = ANY ($3))
    AND ($4::timestamptz IS NULL OR created_at >= $4)
    AND ($5::timestamptz IS NULL OR created_at < $5)
    AND ($9::boolean OR is_deleted IS NOT TRUE)
    AND (cardinality($6::text[]) = 0 OR NOT EXISTS (
        SELECT FROM unnest($6, $7::text[], $8::jsonb[]) AS wanted (key, operator, value)
        WHERE CASE operator
            WHEN '$eq' THEN metadata -> key = value
            WHEN '$in' THEN CASE
                WHEN jsonb_typeof(metadata -> key) IN ('object', 'array')
                    THEN metadata -> key IN (SELECT jsonb_array_elements(value))
                ELSE value @> (metadata -> key)
            END
            WHEN '$exists' THEN (metadata -> key IS NOT NULL) = value::boolean
            WHEN '$gt' THEN jsonb_typeof(metadata -> key) = 'number' AND metadata -> key > value
            WHEN '$gte' THEN jsonb_typeof(metadata -> key) = 'number' AND metadata -> key >= value
            WHEN '$lt' THEN jsonb_typeof(metadata -> key) = 'number' AND metadata -> key < value
            WHEN '$lte' THEN jsonb_typeof(metadata -> key) = 'number' AND metadata -> key <= value
            ELSE jsonb_path_exists_tz(
                -- A jsonpath cannot read times without seconds, nanoseconds, offsets without a colon and, before
                -- PostgreSQL 17, a Z. A text that is no date and time matches nothing.
                to_jsonb(regexp_replace(regexp_replace(regexp_replace(regexp_replace(metadata ->> key,
                    '(?<=^[^ T]{10}[ T][0-9]{2}:[0-9]{2})(?=$|[-+Zz])', ':00'),
                    '(?<=[.][0-9]{6})[0-9]+', ''),
                    '[Zz]$', '+00:00'),
                    '(:[0-9.]+[-+][0-9]{2})([0-9]{2})$', '\1:\2')),
                CASE operator
                    WHEN 'time $gt' THEN '$ ? (@.datetime() > $than.datetime())'
                    WHEN 'time $gte' THEN '$ ? (@.datetime() >= $than.datetime())'
                    WHEN 'time $lt' THEN '$ ? (@.datetime() < $than.datetime())'
                    WHEN 'time $lte' THEN '$ ? (@.datetime() <= $than.datetime())'
                END::jsonpath,
                jsonb_build_object('than', value),
                silent => true
            )
        END IS NOT TRUE
    ));
