-- The configurations of the text search that the server has: their names, and with their schemas.
SELECT
    CASE WHEN pg_ts_config_is_visible(config.oid) THEN cfgname::text END AS name,
    format('%I.%I', nspname, cfgname) AS qualified
FROM pg_ts_config AS config
INNER JOIN pg_namespace AS namespace ON namespace.oid = cfgnamespace
ORDER BY cfgname, nspname;
