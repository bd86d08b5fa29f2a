-- The names of all sources.
SELECT source_name FROM data_sources;
