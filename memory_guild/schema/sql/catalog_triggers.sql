-- The triggers on the tables of schema $1 that are named in $2, without internal ones, and whether they fire.
SELECT
    'trigger' AS kind,
    relname AS table_name,
    tgname AS name,
    concat_ws(
        '; ',
        pg_get_triggerdef(pg_trigger.oid, true),
        CASE tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas only' WHEN 'A' THEN 'always on' END
    ) AS definition
FROM pg_class
JOIN pg_trigger ON tgrelid = pg_class.oid AND NOT tgisinternal
WHERE relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = ANY ($2::text[])
ORDER BY relname, tgname;
