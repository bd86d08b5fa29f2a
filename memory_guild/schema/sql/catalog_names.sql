-- The names of all tables, indexes or functions in schema $1; $2 is 'table', 'index' or 'function'.
SELECT relname AS name
FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident($1::text))
    AND relkind = ANY (CASE $2::text WHEN 'table' THEN '{r,p}'::"char"[] WHEN 'index' THEN '{i,I}'::"char"[] END)
UNION
SELECT proname
FROM pg_proc
WHERE pronamespace = to_regnamespace(quote_ident($1::text)) AND $2::text = 'function'
ORDER BY name;
