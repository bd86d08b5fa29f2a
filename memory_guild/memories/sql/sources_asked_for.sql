-- The sources that the condition on sources among $7 and $8 is about; none is known for memories without a stamp.
SELECT source_id
FROM data_sources
CROSS JOIN (
    SELECT value FROM unnest($7::text[], $8::jsonb[]) AS condition (operator, value) WHERE operator = 'sources'
) AS asked
WHERE
    (value -> 'names' = 'null' OR value -> 'names' ? source_name)
    AND (
        value -> 'min_trust' = 'null'
        OR CASE WHEN jsonb_typeof(metadata -> 'trust') = 'number' THEN metadata -> 'trust' >= value -> 'min_trust' END
    );
