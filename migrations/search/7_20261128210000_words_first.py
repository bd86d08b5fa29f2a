"""What recall reads of each memory lies first in its row, and what it skips lies last.

To compare all words of a tenant the server walks each row up to its vector. That lay behind the tsvector, whose length
differs from row to row, and each row had a hole of a column that was dropped. So the partitions are written anew with their
columns in another order. The table itself stays, with the order that it had, its policies and what depends on it.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
-- The copied rows are new to everybody, also to a statement that began before and reads the words in a function. So whoever
-- recalls waits at the memories, before its statement looks at what there is.
LOCK TABLE memory_records, memory_words IN ACCESS EXCLUSIVE MODE;
-- To copy takes as long as it takes, and should rows be hidden from it, that is an error.
SET LOCAL statement_timeout = 0;
SET LOCAL row_security = off;
DO $migration$
DECLARE
    home TEXT := current_schema();
    vector_home TEXT := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector');
    kept TEXT;
BEGIN
    FOR number IN 0..7 LOOP
        EXECUTE format($ddl$
            CREATE TABLE %1$I.memory_words_%3$s_reordered (
                -- Of fixed length, so they are at the same place in each row.
                memory_id UUID NOT NULL,
                is_question BOOLEAN NOT NULL,
                names_time BOOLEAN NOT NULL,
                starts BOOLEAN NOT NULL DEFAULT true,
                is_forgotten BOOLEAN NOT NULL,
                -- What a question is compared with.
                tenant_id VARCHAR(255) NOT NULL,
                words %2$I.SPARSEVEC(536870912) NOT NULL,
                -- What only storing and explaining need.
                pivot REAL NOT NULL,
                is_complete BOOLEAN NOT NULL DEFAULT true,
                lexemes TSVECTOR NOT NULL,
                text_search TEXT NOT NULL DEFAULT 'english'
            );
            ALTER TABLE %1$I.memory_words_%3$s_reordered ALTER COLUMN words SET STORAGE main;
            ALTER TABLE %1$I.memory_words_%3$s NO FORCE ROW LEVEL SECURITY;
        $ddl$, home, vector_home, number);

        -- What somebody may have changed of the partition: its owner, where and how it is stored, and who may read it
        -- past the table, as for a backup.
        FOR kept IN
            SELECT format(change, format('%I.memory_words_%s_reordered', home, number))
            FROM pg_class AS partition
            CROSS JOIN LATERAL (
                SELECT 1 AS turn, format('ALTER TABLE %%s OWNER TO %I', pg_get_userbyid(relowner)) AS change
                UNION ALL
                SELECT 2, format('ALTER TABLE %%s SET TABLESPACE %I', spcname) FROM pg_tablespace AS t WHERE t.oid = reltablespace
                UNION ALL
                SELECT 3, format('ALTER TABLE %%s SET (%s)', array_to_string(reloptions, ', ')) WHERE reloptions IS NOT NULL
                UNION ALL
                SELECT 4, format(
                    'GRANT %s ON %%s TO %s%s', privilege_type,
                    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                )
                FROM aclexplode(relacl) WHERE grantee <> relowner
            ) AS changes
            WHERE partition.oid = format('%I.memory_words_%s', home, number)::regclass
            ORDER BY turn
        LOOP
            EXECUTE kept;
        END LOOP;

        EXECUTE format($ddl$
            INSERT INTO %1$I.memory_words_%2$s_reordered
            SELECT
                memory_id, is_question, names_time, starts, is_forgotten, tenant_id,
                words, pivot, is_complete, lexemes, text_search
            FROM %1$I.memory_words_%2$s;
            DROP TABLE %1$I.memory_words_%2$s;
            ALTER TABLE %1$I.memory_words_%2$s_reordered RENAME TO memory_words_%2$s;
            ALTER TABLE %1$I.memory_words_%2$s ADD PRIMARY KEY (tenant_id, memory_id);
            ALTER TABLE %1$I.memory_words_%2$s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            ALTER TABLE %1$I.memory_words ATTACH PARTITION %1$I.memory_words_%2$s FOR VALUES WITH (MODULUS 8, REMAINDER %2$s);
            ANALYZE %1$I.memory_words_%2$s;
        $ddl$, home, number);
    END LOOP;

    EXECUTE format($function$
        -- As before, bit by bit. The product has a step for each word of what stands first, and a question has fewer.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_closeness(words %2$I.SPARSEVEC, question %2$I.SPARSEVEC) RETURNS FLOAT
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT -(question OPERATOR(%2$I.<#>) words) $body$;
    $function$, home, vector_home);
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
LOCK TABLE memory_records, memory_words IN ACCESS EXCLUSIVE MODE;
-- To copy takes as long as it takes, and should rows be hidden from it, that is an error.
SET LOCAL statement_timeout = 0;
SET LOCAL row_security = off;
DO $migration$
DECLARE
    home TEXT := current_schema();
    vector_home TEXT := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector');
    kept TEXT;
BEGIN
    FOR number IN 0..7 LOOP
        EXECUTE format($ddl$
            CREATE TABLE %1$I.memory_words_%3$s_reordered (
                tenant_id VARCHAR(255) NOT NULL,
                memory_id UUID NOT NULL,
                lexemes TSVECTOR NOT NULL,
                pivot REAL NOT NULL,
                is_question BOOLEAN NOT NULL,
                names_time BOOLEAN NOT NULL,
                starts BOOLEAN NOT NULL DEFAULT true,
                is_forgotten BOOLEAN NOT NULL,
                words %2$I.SPARSEVEC(536870912) NOT NULL,
                text_search TEXT NOT NULL DEFAULT 'english',
                is_complete BOOLEAN NOT NULL DEFAULT true
            );
            ALTER TABLE %1$I.memory_words_%3$s_reordered ALTER COLUMN words SET STORAGE main;
            ALTER TABLE %1$I.memory_words_%3$s NO FORCE ROW LEVEL SECURITY;
        $ddl$, home, vector_home, number);

        -- What somebody may have changed of the partition: its owner, where and how it is stored, and who may read it
        -- past the table, as for a backup.
        FOR kept IN
            SELECT format(change, format('%I.memory_words_%s_reordered', home, number))
            FROM pg_class AS partition
            CROSS JOIN LATERAL (
                SELECT 1 AS turn, format('ALTER TABLE %%s OWNER TO %I', pg_get_userbyid(relowner)) AS change
                UNION ALL
                SELECT 2, format('ALTER TABLE %%s SET TABLESPACE %I', spcname) FROM pg_tablespace AS t WHERE t.oid = reltablespace
                UNION ALL
                SELECT 3, format('ALTER TABLE %%s SET (%s)', array_to_string(reloptions, ', ')) WHERE reloptions IS NOT NULL
                UNION ALL
                SELECT 4, format(
                    'GRANT %s ON %%s TO %s%s', privilege_type,
                    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                )
                FROM aclexplode(relacl) WHERE grantee <> relowner
            ) AS changes
            WHERE partition.oid = format('%I.memory_words_%s', home, number)::regclass
            ORDER BY turn
        LOOP
            EXECUTE kept;
        END LOOP;

        EXECUTE format($ddl$
            INSERT INTO %1$I.memory_words_%2$s_reordered
            SELECT
                tenant_id, memory_id, lexemes, pivot, is_question, names_time,
                starts, is_forgotten, words, text_search, is_complete
            FROM %1$I.memory_words_%2$s;
            DROP TABLE %1$I.memory_words_%2$s;
            ALTER TABLE %1$I.memory_words_%2$s_reordered RENAME TO memory_words_%2$s;
            ALTER TABLE %1$I.memory_words_%2$s ADD PRIMARY KEY (tenant_id, memory_id);
            ALTER TABLE %1$I.memory_words_%2$s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            ALTER TABLE %1$I.memory_words ATTACH PARTITION %1$I.memory_words_%2$s FOR VALUES WITH (MODULUS 8, REMAINDER %2$s);
            ANALYZE %1$I.memory_words_%2$s;
        $ddl$, home, number);
    END LOOP;

    EXECUTE format($function$
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_closeness(words %2$I.SPARSEVEC, question %2$I.SPARSEVEC) RETURNS FLOAT
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT -(words OPERATOR(%2$I.<#>) question) $body$;
    $function$, home, vector_home);
END $migration$;
"""


MODELS_STATE = (
    "eJztm2tv4jgUhv+KxZfpSGzVUkq7F60ELTNF4tJt6cxoVqvIJIZYTWwaO6VV1f8+tnMhCQ"
    "GSUiiw+dIS28d2HjvHr4+TlxJD0NHNwwsTkhEyviGdU6f0B3gpEWgj8SO9QBmU4Hg8zZYJ"
    "HA4sZWEjmzrP2qMqqlGXD+iTshgw7kCdizJDaDEkkgzEdAePOaZEWtaBZwS4CTnQvSYBw0"
    "RHABKAiYGegKiQYQOBa8r4yEG3/7TBBDJgQ5GGHlxoAU4B5oeySYPqok1MRmup3SX4wUUa"
    "pyPETSSx/fufSFYVIRZcju+1IUaWEaPqM8KGrEdla/x5rLLu7lqXX5SBvIGBplPLtcmM0f"
    "iZm5SEVq6LjUNpKvNGiCAHcmREUBPXsvwRCpK8/osE7rgo7LgxTTDQELqWHLDSX0OX6HKc"
    "gGpJ/qn+7fcwUkzTur2+dtvsa1ppZnxlFxKD4ifplMi5gQmX2F5evXqnXFRqSTZwcVW/OT"
    "ipfVYIvDFiAbXSqzKEHHqmagimzDkikPBU5mJ2O+nMY0YJ5qLLb6EdJExxTx+HAGSAag1w"
    "SzZ80ixERtwUl5XT0wW0v9VvFHBRShGn4vn1HvKun1Xx8iT5KWl1Z5q6yoE6blWwzsYa2Q"
    "NkGKITmk0NZOUBnmK6h9SPj44yUBel5lJXeXHqj8hhslcztBt41CI8nXfEKMFZ9HxdnI/X"
    "BXkke/Db75XKyclZ5eikdn5aPTs7PT86F2VVd2ezzhYMRKP1tdXtx4dAJsS5Q86RPRY9mA"
    "E/l3rUZHPYj9aLvXJcPauen9SqIe0wZRHkWaCGEDCQz+K8FDw4tlE606lVgqjhmx0GP3bQ"
    "fSzg1291mrf9eudaVm8z9mApVvV+U+ZUVOpzIvWglnAsYSXge6t/BeQl+NnrNpOSJizX/1"
    "mSfYIupxqhEw0aUSZBcpAUG17dgtjOozFDgxX0pa8ed2A8l6hJKd+H9xExKRMGUL+fQMfQ"
    "ZnJohc4rO5tlV+xkCiRwpPDI+5C99vdeHaX7exMyf3uWLFLOsEGjE+Jv0li27VnfRLEtlN"
    "g0hRICKAnh7ZPoEFCCgNfMJwY4ekrZjq1cW7H92roHplxsv4otwfZTX8uWQLQoZivXTMjM"
    "PMiTdnvIu1bNgLtWnUtbZsVhi7VrlnFfrAzpjP3ie4F2kTxt/ujHlGmA8KBT//E5pk7bve"
    "7XoHgE+UW719g24bNM9eSOSb9R7mAGvJqRIZZoMyJJxPSSGqUsNIwBLMSYFC2YM0AQHpkD"
    "0eInmc+Wi6B3aqOQRoU02j3PVkijj6deSKNdl0aYabrrOIikRPUalFoIkjnnLzHDBOuBsN"
    "xB2IsCzr1eOyaWGq2kGrrrNJpisiv4ohDmc6LSoWvIo0ljRnsxs/93yvQ7dQw2X5h62Vl0"
    "6SQsmUmVquLxwJinC/l8OfknILL0UGRB+XdEufCtsoZ0VbqGNgpVWqjS3fNqG1CllrgvG6"
    "Ucas5fPSIme0F5E2tHFPkYP9IUgfTFonAO8dAiwXsoTfaL+GXvrtFuguub5kXrttXrxs81"
    "VWZcEt006+1ZGSpuk/H0tySW6NCoZSFEswtR+Z9pwbl7DuZxwwJ5duSMQyftfZSFuKdGG0"
    "QdiJSdRS0cQygq8/uUmGkxw3Nh16k9thDP61USlsVczw493BFmFYShQSEH3yAH5Usl2nR/"
    "nhV6wmxz6EtiP2JhLyq6q/y3JZSDHYdKGC3Ju5QWzYmXKGf/+CUIbZQzff2y4BsUFWmxVT"
    "9YJAKTcqL45lpWiM7kfdP/fd/xXx6N2cXowPy4jNQy2LJQSlxmqQYK7Ta4FocpO7UYb4l3"
    "8l5u6KgTxxTXFM3O4ZfUCWZGt3RFJ0B071n0zB6guOOQ8WHov6xpwkdhjVW4F3hhwFnvtG"
    "plKzipbTz63SLX9Y4Hv0VI+eNDyga2EZFfG+X5VCZutLmPZdaJ+h2+l9mSpUAeJ15Ql/C0"
    "hWCamWUZkJtFMe4u4RkXgRYBZuC6VR0Y+f7aezrFD1knwCmKNKftCi5eVpNjugfFl0903y"
    "1vryt/l6/CCr/98X47eEByTOOoSeGzt8Fnv/4CrminYw=="
)
