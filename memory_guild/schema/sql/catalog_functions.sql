-- The functions of schema $1 that are named in $2, whole: arguments, SECURITY DEFINER, settings and body.
-- Aggregates are left out: pg_get_functiondef does not take them.
SELECT
    'function' AS kind,
    '' AS table_name,
    format('%I(%s)', proname, pg_get_function_identity_arguments(oid)) AS name,
    pg_get_functiondef(oid) AS definition
FROM pg_proc
WHERE pronamespace = to_regnamespace(quote_ident($1::text)) AND proname = ANY ($2::text[]) AND prokind <> 'a'
ORDER BY name;
