-- Whether the connection's schema has Aerich's table, that is, whether any migration ever ran there.
SELECT to_regclass(quote_ident(current_schema()) || '.aerich') IS NOT NULL AS history_exists;
