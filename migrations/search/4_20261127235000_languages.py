"""The language of the words: a configuration of PostgreSQL's text search that is part of the database.

`memory-guild upgrade --text-search` replaces the function that says it. Each memory's words say how they were made, so
that those of another configuration are found and made anew.
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
    EXECUTE format($ddl$ALTER TABLE %1$I.memory_words ADD COLUMN text_search TEXT NOT NULL DEFAULT 'english'$ddl$, home);

    EXECUTE format($functions$
        -- The configuration of the text search.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_text_search() RETURNS REGCONFIG LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS $body$SELECT 'pg_catalog.english'::pg_catalog.regconfig$body$;

        -- What a language needs beside its words: the names of the months, and regular expressions for texts that name a
        -- time and for questions that ask for one. Other configurations of the text search have none.
        CREATE FUNCTION %1$I.memory_guild_language(OUT months TEXT[], OUT names_time TEXT, OUT asks_when TEXT) RETURNS SETOF RECORD
        LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 SET search_path = %1$I, pg_catalog, pg_temp AS $body$
            SELECT built_in.months::text[], built_in.names_time, built_in.asks_when
            FROM (VALUES
                (
                    'pg_catalog.english',
                    '{January,February,March,April,May,June,July,August,September,October,November,December}',
                    '\\y(yesterday|today|tonight|tomorrow|last|next|ago|week|weekend|month|year|monday|tuesday|wednesday|thursday'
                        || '|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november'
                        || '|december|since|recently|\\d{4})\\y',
                    '\\y(when|how long|what (date|time|month|year|day)|which (month|year|day))\\y'
                ),
                (
                    'pg_catalog.german',
                    '{Januar,Februar,März,April,Mai,Juni,Juli,August,September,Oktober,November,Dezember}',
                    -- Of words that begin with an umlaut the rest: in some locales it is no letter to regular expressions.
                    '\\y(gestern|vorgestern|heute|morgen|bermorgen|(letzt|vorig|n[äÄ]chst|kommend)e[mnrs]?|vor \\w+ (tag|woche|monat|jahr)(e|en|n)?'
                        || '|wochen?|wochenendes?|monate?[ns]?|jahre?[ns]?|montags?|dienstags?|mittwochs?|donnerstags?|freitags?|samstags?'
                        || '|sonnabends?|sonntags?|januar|februar|m[äÄ]rz|april|mai|juni|juli|august|september|oktober|november|dezember'
                        || '|seit|k[üÜ]rzlich|neulich|\\d{4})\\y',
                    '\\y(wann|wie lange|wie sp[äÄ]t|(welche[mnrs]?|was f[üÜ]r eine?[mnrs]?) (datum|uhrzeit|zeit|monat|jahr|tag)|wie ?viel uhr)\\y'
                )
            ) AS built_in (text_search, months, names_time, asks_when)
            WHERE built_in.text_search::regconfig = memory_guild_text_search()
        $body$;

        -- Whether a question asks for a time.
        CREATE FUNCTION %1$I.memory_guild_asks_when(question TEXT) RETURNS BOOLEAN
        LANGUAGE sql STABLE PARALLEL SAFE SET search_path = %1$I, pg_catalog, pg_temp AS $body$
            SELECT COALESCE((SELECT question ~* language.asks_when FROM memory_guild_language() AS language), false)
        $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_own_words(ids UUID[]) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, %2$I, pg_catalog, pg_temp AS $body$
        BEGIN
            INSERT INTO memory_words AS stored
                (tenant_id, memory_id, lexemes, pivot, is_question, names_time, is_forgotten, words, text_search)
            SELECT memory.tenant_id, memory.memory_id, own.lexemes, own.pivot,
                length(text) < 165 AND strpos(text, '?') > 0 AND (text ~ '\\?\\s*$' OR length(text) < 90),
                COALESCE(text ~* language.names_time, false),
                memory.is_deleted IS TRUE,
                baked.words,
                memory_guild_text_search()::text
            FROM memory_records AS memory
            LEFT JOIN memory_guild_language() AS language ON true
            -- A tsvector has at most a megabyte.
            CROSS JOIN LATERAL (
                SELECT CASE WHEN memory.is_deleted THEN '' ELSE left(memory.content_text, 200000) END AS text
            ) AS read
            CROSS JOIN LATERAL (
                SELECT lexemes, 0.5 + 0.5 * (SELECT COALESCE(sum(cardinality(positions)), 0) FROM unnest(lexemes)) / 15 AS pivot
                FROM (
                    SELECT to_tsvector(memory_guild_text_search(), text || COALESCE(
                        ' ' || CASE WHEN isfinite(created_at) AND is_deleted IS NOT TRUE THEN concat_ws(
                            ' ',
                            language.months[extract(month FROM created_at AT TIME ZONE 'UTC')::int],
                            to_char(created_at AT TIME ZONE 'UTC', 'YYYY DD')
                        ) END, ''
                    )) AS lexemes
                    OFFSET 0
                ) AS made
                OFFSET 0
            ) AS own
            CROSS JOIN LATERAL (
                SELECT memory_guild_saturated(array_agg(word), array_agg(f)) AS words
                FROM (
                    SELECT memory_guild_word(lexeme) AS word, sum(cardinality(positions)) / own.pivot AS f
                    FROM unnest(own.lexemes) GROUP BY 1
                ) AS frequencies
            ) AS baked
            WHERE memory.memory_id = ANY (ids)
            ON CONFLICT (tenant_id, memory_id) DO UPDATE
            SET lexemes = EXCLUDED.lexemes, pivot = EXCLUDED.pivot, is_question = EXCLUDED.is_question,
                names_time = EXCLUDED.names_time, is_forgotten = EXCLUDED.is_forgotten, words = EXCLUDED.words,
                text_search = EXCLUDED.text_search;
        END $body$;

        -- Gives a row with their own words to memories that have none, or whose words were made with another configuration.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_index_words(after UUID, OUT looked_at INT, OUT last UUID)
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            missing UUID[];
            batch UUID[];
        BEGIN
            batch := ARRAY(SELECT memory_id FROM memory_records WHERE memory_id > after ORDER BY memory_id LIMIT 500);
            -- Locked, so that nobody changes or forgets one of them before its words are there.
            FOR tenant, missing IN
                SELECT tenant_id, array_agg(memory_id) FROM (
                    SELECT tenant_id, memory_id FROM memory_records AS memory
                    WHERE memory_id = ANY (batch) AND NOT EXISTS (
                        SELECT FROM memory_words AS words
                        WHERE words.tenant_id = memory.tenant_id AND words.memory_id = memory.memory_id
                            AND words.text_search = memory_guild_text_search()::text
                    )
                    ORDER BY memory_id FOR SHARE
                ) AS locked
                GROUP BY 1
            LOOP
                -- In the order in which others lock them, too.
                PERFORM FROM memory_words
                WHERE tenant_id = tenant AND memory_id = ANY (missing) ORDER BY memory_id FOR UPDATE;
                PERFORM memory_guild_own_words(missing);
                UPDATE memory_words SET is_complete = false WHERE tenant_id = tenant AND memory_id = ANY (missing);
                PERFORM memory_guild_recount_grown(tenant, cardinality(missing));
            END LOOP;
            looked_at := cardinality(batch);
            last := batch[looked_at];
        END $body$;
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
    EXECUTE format($functions$
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_text_search() RETURNS REGCONFIG LANGUAGE sql STABLE PARALLEL SAFE AS $body$
            SELECT COALESCE(NULLIF(pg_catalog.current_setting('memory_guild.text_search', true), ''), 'english')::pg_catalog.regconfig
        $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_own_words(ids UUID[]) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, %2$I, pg_catalog, pg_temp AS $body$
        BEGIN
            INSERT INTO memory_words AS stored
                (tenant_id, memory_id, lexemes, pivot, is_question, names_time, is_forgotten, words)
            SELECT memory.tenant_id, memory.memory_id, own.lexemes, own.pivot,
                length(text) < 165 AND strpos(text, '?') > 0 AND (text ~ '\\?\\s*$' OR length(text) < 90),
                text ~* ('\\y(yesterday|today|tonight|tomorrow|last|next|ago|week|weekend|month|year|monday|tuesday|wednesday|thursday'
                    || '|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november'
                    || '|december|since|recently|\\d{4})\\y'),
                memory.is_deleted IS TRUE,
                baked.words
            FROM memory_records AS memory
            -- A tsvector has at most a megabyte.
            CROSS JOIN LATERAL (
                SELECT CASE WHEN memory.is_deleted THEN '' ELSE left(memory.content_text, 200000) END AS text
            ) AS read
            CROSS JOIN LATERAL (
                SELECT lexemes, 0.5 + 0.5 * (SELECT COALESCE(sum(cardinality(positions)), 0) FROM unnest(lexemes)) / 15 AS pivot
                FROM (
                    SELECT to_tsvector(memory_guild_text_search(), text || COALESCE(
                        ' ' || CASE WHEN isfinite(created_at) AND is_deleted IS NOT TRUE THEN to_char(created_at AT TIME ZONE 'UTC', 'FMMonth YYYY DD') END, ''
                    )) AS lexemes
                    OFFSET 0
                ) AS made
                OFFSET 0
            ) AS own
            CROSS JOIN LATERAL (
                SELECT memory_guild_saturated(array_agg(word), array_agg(f)) AS words
                FROM (
                    SELECT memory_guild_word(lexeme) AS word, sum(cardinality(positions)) / own.pivot AS f
                    FROM unnest(own.lexemes) GROUP BY 1
                ) AS frequencies
            ) AS baked
            WHERE memory.memory_id = ANY (ids)
            ON CONFLICT (tenant_id, memory_id) DO UPDATE
            SET lexemes = EXCLUDED.lexemes, pivot = EXCLUDED.pivot, is_question = EXCLUDED.is_question,
                names_time = EXCLUDED.names_time, is_forgotten = EXCLUDED.is_forgotten, words = EXCLUDED.words;
        END $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_index_words(after UUID, OUT looked_at INT, OUT last UUID)
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            missing UUID[];
            batch UUID[];
        BEGIN
            batch := ARRAY(SELECT memory_id FROM memory_records WHERE memory_id > after ORDER BY memory_id LIMIT 500);
            -- Locked, so that nobody changes or forgets one of them before its words are there.
            FOR tenant, missing IN
                SELECT tenant_id, array_agg(memory_id) FROM (
                    SELECT tenant_id, memory_id FROM memory_records AS memory
                    WHERE memory_id = ANY (batch) AND NOT EXISTS (
                        SELECT FROM memory_words AS words
                        WHERE words.tenant_id = memory.tenant_id AND words.memory_id = memory.memory_id
                    )
                    ORDER BY memory_id FOR SHARE
                ) AS locked
                GROUP BY 1
            LOOP
                PERFORM memory_guild_own_words(missing);
                UPDATE memory_words SET is_complete = false WHERE tenant_id = tenant AND memory_id = ANY (missing);
                PERFORM memory_guild_recount_grown(tenant, cardinality(missing));
            END LOOP;
            looked_at := cardinality(batch);
            last := batch[looked_at];
        END $body$;
    $functions$, home, vector_home);
END $migration$;
DROP FUNCTION memory_guild_asks_when(TEXT);
DROP FUNCTION memory_guild_language();
ALTER TABLE memory_words DROP COLUMN text_search;
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
