-- The configuration of the text search that the database has chosen, with its schema.
SELECT format('%I.%I', nspname, cfgname)
FROM pg_ts_config AS config
INNER JOIN pg_namespace AS namespace ON namespace.oid = cfgnamespace
WHERE config.oid = memory_guild_text_search();
