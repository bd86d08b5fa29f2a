-- Statements that do to each CHECK of the tables of schema $1 what dump and restore do: add it again from its own text.
-- That changes once how it prints: 'a'::character varying in an IN list on a varchar column comes back with ::text.
SELECT
    format(
        'ALTER TABLE %1$I.%2$I DROP CONSTRAINT %3$I, ADD CONSTRAINT %3$I %4$s',
        $1::text,
        relname,
        conname,
        pg_get_constraintdef(pg_constraint.oid)
    ) AS statement
FROM pg_class
JOIN pg_constraint ON conrelid = pg_class.oid AND contype = 'c'
WHERE relnamespace = to_regnamespace(quote_ident($1::text));
