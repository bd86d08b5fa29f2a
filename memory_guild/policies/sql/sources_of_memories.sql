-- The sources that the memories $2 of tenant $1 came from, and those with the names $3, as policies see them.
SELECT
    stamp.memory_id,
    source.source_name,
    source.source_type,
    CASE WHEN jsonb_typeof(source.metadata -> 'trust') = 'number' THEN (source.metadata -> 'trust')::float END AS trust,
    source.is_active IS TRUE AS is_active
FROM data_sources AS source
LEFT JOIN memory_sources AS stamp
    ON
        stamp.source_id = source.source_id AND stamp.tenant_id = $1::varchar
        AND stamp.memory_id = ANY ($2::uuid[])
WHERE stamp.memory_id IS NOT NULL OR source.source_name = ANY ($3::varchar[]);
