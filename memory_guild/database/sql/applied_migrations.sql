-- What Aerich has recorded under the label $1, in order, with the tables of the models that each
-- migration describes, unless it is one of those that $2 names. Another application may use the same label.
SELECT
    version,
    ARRAY(
        SELECT model ->> 'table'
        FROM jsonb_each(
            CASE
                WHEN version = ANY ($2::text[]) THEN '{}'
                WHEN jsonb_typeof(content) = 'object' THEN content
                ELSE '{}'
            END
        ) AS described (name, model)
    ) AS tables
FROM aerich
WHERE app = $1
ORDER BY id;
