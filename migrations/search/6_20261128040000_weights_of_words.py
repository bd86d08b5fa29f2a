"""Other weights of words, by which more answers are found, in conversations of long messages and among documents, too.

Of a memory's words, those of three memories that follow it count now, not of two, and those of what it references count
more. Of a question's words, those with a capital letter count more, and very rare ones a little less.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
DECLARE
    home TEXT := current_schema();
    vector_home TEXT := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector');
BEGIN
    -- All words are to be made anew. A column with a default is added at once, while to update it would rewrite the table.
    EXECUTE format($ddl$
        ALTER TABLE %1$I.memory_words DROP COLUMN is_complete;
        ALTER TABLE %1$I.memory_words ADD COLUMN is_complete BOOLEAN NOT NULL DEFAULT false;
        ALTER TABLE %1$I.memory_words ALTER COLUMN is_complete SET DEFAULT true;
    $ddl$, home);

    EXECUTE format($functions$
        -- The memories whose vectors have the words of the given ones: they see them three steps on along `follows`, three
        -- steps back, and along `references`. Where an edge comes or goes, they are found from its ends.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_word_receivers(memories UUID[], sources UUID[], targets UUID[]) RETURNS SETOF UUID
        LANGUAGE sql STABLE SET search_path = %1$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $body$
            WITH RECURSIVE later AS (
                SELECT id, 3 AS steps FROM unnest(memories) AS id
                UNION
                SELECT id, 2 FROM unnest(sources) AS id
                UNION
                SELECT edge.source_memory_id, steps - 1 FROM later
                JOIN memory_relationships AS edge ON edge.target_memory_id = later.id AND edge.relationship_type = 'follows'
                WHERE steps > 0
            ),
            earlier AS (
                SELECT id, 3 AS steps FROM unnest(memories) AS id
                UNION
                SELECT id, 2 FROM unnest(targets) AS id
                UNION
                SELECT edge.target_memory_id, steps - 1 FROM earlier
                JOIN memory_relationships AS edge ON edge.source_memory_id = earlier.id AND edge.relationship_type = 'follows'
                WHERE steps > 0
            )
            SELECT id FROM later
            UNION
            SELECT id FROM earlier
            UNION
            SELECT target_memory_id FROM memory_relationships
            WHERE source_memory_id = ANY (memories) AND relationship_type = 'references'
            UNION
            SELECT source_memory_id FROM memory_relationships
            WHERE target_memory_id = ANY (memories) AND relationship_type = 'references'
        $body$;

        -- What lends its words to the given memories, and with what weight. At most 64 of one kind lend to one memory.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_word_lenders(ids UUID[]) RETURNS TABLE (receiver UUID, lender UUID, weight FLOAT, damped BOOLEAN)
        LANGUAGE sql STABLE SET search_path = %1$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $body$
            WITH RECURSIVE earlier AS (
                SELECT id AS receiver, id AS lender, 0 AS distance FROM unnest(ids) AS id
                UNION ALL
                SELECT earlier.receiver, edge.target_memory_id, distance + 1 FROM earlier
                CROSS JOIN LATERAL (
                    SELECT target_memory_id FROM memory_relationships
                    WHERE source_memory_id = earlier.lender AND relationship_type = 'follows' ORDER BY target_memory_id LIMIT 64
                ) AS edge
                WHERE distance < 3
            ),
            later AS (
                SELECT id AS receiver, id AS lender, 0 AS distance FROM unnest(ids) AS id
                UNION ALL
                SELECT later.receiver, edge.source_memory_id, distance + 1 FROM later
                CROSS JOIN LATERAL (
                    SELECT source_memory_id FROM memory_relationships
                    WHERE target_memory_id = later.lender AND relationship_type = 'follows' ORDER BY source_memory_id LIMIT 64
                ) AS edge
                WHERE distance < 3
            )
            SELECT id, id, 1.0::float, false FROM unnest(ids) AS id
            UNION ALL
            SELECT receiver, lender, (ARRAY[0.6, 0.4, 0.2])[distance], true FROM earlier WHERE distance > 0
            UNION ALL
            SELECT receiver, lender, (ARRAY[0.5, 0.25, 0.1])[distance], true FROM later WHERE distance > 0
            UNION ALL
            SELECT id, referred.lender, 0.7 / sqrt(count(*) OVER (PARTITION BY id)), false FROM unnest(ids) AS id
            CROSS JOIN LATERAL (
                SELECT target_memory_id AS lender FROM memory_relationships
                WHERE source_memory_id = id AND relationship_type = 'references'
                UNION
                SELECT source_memory_id FROM memory_relationships
                WHERE target_memory_id = id AND relationship_type = 'references'
                ORDER BY lender LIMIT 64
            ) AS referred
        $body$;

        -- A question's words. Those that it writes with a capital letter have the label A, but not for the letter that
        -- it begins with: they are names, more often than others.
        CREATE FUNCTION %1$I.memory_guild_asked(question TEXT) RETURNS TSVECTOR
        LANGUAGE sql STABLE PARALLEL SAFE SET search_path = %1$I, pg_catalog, pg_temp AS $body$
            SELECT setweight(to_tsvector(memory_guild_text_search(), question), 'A', tsvector_to_array(to_tsvector(
                memory_guild_text_search(), regexp_replace(question, '^\\W*\\w+|\\m[^[:upper:]]\\w*', ' ', 'g')
            )))
        $body$;

        -- A question as a vector: each of its words with its rarity among the tenant's memories; those with the label A
        -- count half more.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_question(tenant VARCHAR, lexemes TSVECTOR) RETURNS %2$I.SPARSEVEC
        LANGUAGE sql STABLE SET search_path = %1$I, %2$I, pg_catalog, pg_temp AS $body$
            SELECT ('{' || COALESCE(string_agg(number || ':' || (
                    weight * ln(1 + (total - least(df, total) + 0.5) / (least(df, total) + 0.5)) ^ 0.85
                )::real, ','), '') || '}/536870912')::sparsevec
            FROM (
                SELECT memory_guild_word(lexeme) AS number, max(CASE WHEN 'A' = ANY (weights) THEN 1.5 ELSE 1 END) AS weight
                FROM unnest(lexemes) GROUP BY 1
            ) AS asked
            CROSS JOIN (
                SELECT COALESCE((SELECT memories FROM memory_word_counts WHERE tenant_id = tenant AND word = 0), 0) + 2.0 AS total
            ) AS size
            CROSS JOIN LATERAL (
                SELECT COALESCE((
                    SELECT memories FROM memory_word_counts WHERE tenant_id = tenant AND word = asked.number
                ), 0)::float AS df
            ) AS counted
        $body$;
    $functions$, home, vector_home);
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
DECLARE
    home TEXT := current_schema();
    vector_home TEXT := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector');
BEGIN
    -- All words are to be made anew. A column with a default is added at once, while to update it would rewrite the table.
    EXECUTE format($ddl$
        ALTER TABLE %1$I.memory_words DROP COLUMN is_complete;
        ALTER TABLE %1$I.memory_words ADD COLUMN is_complete BOOLEAN NOT NULL DEFAULT false;
        ALTER TABLE %1$I.memory_words ALTER COLUMN is_complete SET DEFAULT true;
    $ddl$, home);

    EXECUTE format($functions$
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_word_receivers(memories UUID[], sources UUID[], targets UUID[]) RETURNS SETOF UUID
        LANGUAGE sql STABLE SET search_path = %1$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $body$
            WITH RECURSIVE later AS (
                SELECT id, 3 AS steps FROM unnest(memories) AS id
                UNION
                SELECT id, 2 FROM unnest(sources) AS id
                UNION
                SELECT edge.source_memory_id, steps - 1 FROM later
                JOIN memory_relationships AS edge ON edge.target_memory_id = later.id AND edge.relationship_type = 'follows'
                WHERE steps > 0
            ),
            earlier AS (
                SELECT id, 2 AS steps FROM unnest(memories) AS id
                UNION
                SELECT id, 1 FROM unnest(targets) AS id
                UNION
                SELECT edge.target_memory_id, steps - 1 FROM earlier
                JOIN memory_relationships AS edge ON edge.source_memory_id = earlier.id AND edge.relationship_type = 'follows'
                WHERE steps > 0
            )
            SELECT id FROM later
            UNION
            SELECT id FROM earlier
            UNION
            SELECT target_memory_id FROM memory_relationships
            WHERE source_memory_id = ANY (memories) AND relationship_type = 'references'
            UNION
            SELECT source_memory_id FROM memory_relationships
            WHERE target_memory_id = ANY (memories) AND relationship_type = 'references'
        $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_word_lenders(ids UUID[]) RETURNS TABLE (receiver UUID, lender UUID, weight FLOAT, damped BOOLEAN)
        LANGUAGE sql STABLE SET search_path = %1$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $body$
            WITH RECURSIVE earlier AS (
                SELECT id AS receiver, id AS lender, 0 AS distance FROM unnest(ids) AS id
                UNION ALL
                SELECT earlier.receiver, edge.target_memory_id, distance + 1 FROM earlier
                CROSS JOIN LATERAL (
                    SELECT target_memory_id FROM memory_relationships
                    WHERE source_memory_id = earlier.lender AND relationship_type = 'follows' ORDER BY target_memory_id LIMIT 64
                ) AS edge
                WHERE distance < 3
            ),
            later AS (
                SELECT id AS receiver, id AS lender, 0 AS distance FROM unnest(ids) AS id
                UNION ALL
                SELECT later.receiver, edge.source_memory_id, distance + 1 FROM later
                CROSS JOIN LATERAL (
                    SELECT source_memory_id FROM memory_relationships
                    WHERE target_memory_id = later.lender AND relationship_type = 'follows' ORDER BY source_memory_id LIMIT 64
                ) AS edge
                WHERE distance < 2
            )
            SELECT id, id, 1.0::float, false FROM unnest(ids) AS id
            UNION ALL
            SELECT receiver, lender, (ARRAY[0.6, 0.4, 0.2])[distance], true FROM earlier WHERE distance > 0
            UNION ALL
            SELECT receiver, lender, (ARRAY[0.4, 0.2])[distance], true FROM later WHERE distance > 0
            UNION ALL
            SELECT id, referred.lender, 0.5 / sqrt(count(*) OVER (PARTITION BY id)), false FROM unnest(ids) AS id
            CROSS JOIN LATERAL (
                SELECT target_memory_id AS lender FROM memory_relationships
                WHERE source_memory_id = id AND relationship_type = 'references'
                UNION
                SELECT source_memory_id FROM memory_relationships
                WHERE target_memory_id = id AND relationship_type = 'references'
                ORDER BY lender LIMIT 64
            ) AS referred
        $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_question(tenant VARCHAR, lexemes TSVECTOR) RETURNS %2$I.SPARSEVEC
        LANGUAGE sql STABLE SET search_path = %1$I, %2$I, pg_catalog, pg_temp AS $body$
            SELECT ('{' || COALESCE(string_agg(number || ':' || ln(1 + (total - least(df, total) + 0.5) / (least(df, total) + 0.5))::real, ','), '')
                || '}/536870912')::sparsevec
            FROM (SELECT DISTINCT memory_guild_word(lexeme) AS number FROM unnest(lexemes)) AS asked
            CROSS JOIN (
                SELECT COALESCE((SELECT memories FROM memory_word_counts WHERE tenant_id = tenant AND word = 0), 0) + 2.0 AS total
            ) AS size
            CROSS JOIN LATERAL (
                SELECT COALESCE((
                    SELECT memories FROM memory_word_counts WHERE tenant_id = tenant AND word = asked.number
                ), 0)::float AS df
            ) AS counted
        $body$;
    $functions$, home, vector_home);
END $migration$;
DROP FUNCTION memory_guild_asked(TEXT);
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
