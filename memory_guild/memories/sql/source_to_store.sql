-- The source with the name $1, and what decides whether and how something is stored that comes from it.
SELECT
    source_id,
    is_active IS TRUE AS is_active,
    COALESCE(metadata -> 'quarantine' = 'true', false) AS is_quarantined
FROM data_sources
WHERE source_name = $1::varchar;
