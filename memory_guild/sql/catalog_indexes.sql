-- The indexes on the tables of schema $1 that are named in $2, without the ones that somebody added on purpose.
-- Added on purpose is an index that is not named in $2, refuses no row and whose comment starts with "deliberate:".
SELECT
    'index' AS kind,
    tables.relname AS table_name,
    indexes.relname AS name,
    concat_ws(
        '; ',
        pg_get_indexdef(indexrelid, 0, true),
        CASE WHEN NOT indisvalid THEN 'not valid' END,
        CASE WHEN NOT indisready THEN 'not ready' END
    ) AS definition
FROM pg_class AS tables
JOIN pg_index ON indrelid = tables.oid
JOIN pg_class AS indexes ON indexes.oid = indexrelid
WHERE tables.relnamespace = to_regnamespace(quote_ident($1::text)) AND tables.relname = ANY ($2::text[])
    AND (
        indexes.relname = ANY ($2::text[])
        OR indisunique
        OR indisexclusion
        OR obj_description(indexrelid, 'pg_class') IS NULL
        OR NOT starts_with(obj_description(indexrelid, 'pg_class'), 'deliberate:')
    )
ORDER BY tables.relname, indexes.relname;
