-- Which of the tables $1 the connection's schema has, whoever created them.
SELECT name
FROM unnest($1::text[]) AS wanted (name)
WHERE to_regclass(quote_ident(current_schema()) || '.' || name) IS NOT NULL;
