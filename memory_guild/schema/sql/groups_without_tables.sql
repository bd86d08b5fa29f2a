-- The groups of the catalogue whose schemas have no memories' table.
SELECT group_name
FROM memory_groups
WHERE to_regclass(quote_ident(group_name) || '.memory_records') IS NULL;
