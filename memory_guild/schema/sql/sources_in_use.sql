-- How many data sources there are, of all tenants together.
SELECT
    count(*) AS sources,
    count(*) FILTER (WHERE is_active IS NOT TRUE) AS inactive,
    count(*) FILTER (WHERE metadata -> 'quarantine' = 'true') AS quarantined
FROM data_sources;
