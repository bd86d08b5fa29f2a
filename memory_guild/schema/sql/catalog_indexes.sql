-- The indexes on the tables of schema $1 that are named in $2. One that somebody added on purpose has its own kind: it
-- is not named in $2, is not unique and excludes no row, and its comment starts with "deliberate:".
SELECT
    CASE
        WHEN indexes.relname = ANY ($2::text[]) OR indisunique OR indisexclusion THEN 'index'
        WHEN starts_with(obj_description(indexrelid, 'pg_class'), 'deliberate:') THEN 'deliberate index'
        ELSE 'index'
    END AS kind,
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
ORDER BY tables.relname, indexes.relname;
