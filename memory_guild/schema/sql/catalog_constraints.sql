-- The constraints of the tables of schema $1 that are named in $2, with their internal triggers that are not in their
-- usual state: DISABLE TRIGGER ALL on either table switches a foreign key off. pg_get_constraintdef prints what each
-- server knows of NOT VALID, DEFERRABLE and NOT ENFORCED. The rows for NOT NULL ('n', PostgreSQL 18) are read with the
-- columns.
SELECT
    'constraint' AS kind,
    relname AS table_name,
    conname AS name,
    concat_ws(
        '; ',
        pg_get_constraintdef(pg_constraint.oid, true),
        (
            SELECT string_agg(
                format(
                    '%s on %s %s',
                    proname,
                    tgrelid::regclass,
                    CASE tgenabled
                        WHEN 'D' THEN 'disabled'
                        WHEN 'R' THEN 'on replicas only'
                        WHEN 'A' THEN 'always on'
                    END
                ),
                ', '
                ORDER BY proname, tgrelid::regclass::text
            )
            FROM pg_trigger
            JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE tgconstraint = pg_constraint.oid AND tgisinternal AND tgenabled <> 'O'
        )
    ) AS definition
FROM pg_class
JOIN pg_constraint ON conrelid = pg_class.oid AND contype <> 'n'
WHERE relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = ANY ($2::text[])
ORDER BY relname, conname;
