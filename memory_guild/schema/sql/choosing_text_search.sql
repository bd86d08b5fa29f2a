-- The statement that makes $1, a configuration with its schema, that of the database. The function reads as the
-- migration's.
SELECT format(
    'CREATE OR REPLACE FUNCTION memory_guild_text_search() RETURNS REGCONFIG'
    ' LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
    format('SELECT %L::pg_catalog.regconfig', $1::text)
);
