-- As locked_source.sql, on the worker that has the source.
SELECT locked.source_id, locked.is_active, locked.is_quarantined
FROM data_sources
CROSS JOIN LATERAL memory_guild_locked_source(data_sources.source_name) AS locked
WHERE data_sources.source_name = $1::varchar;
