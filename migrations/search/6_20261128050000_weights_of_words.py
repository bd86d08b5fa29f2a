"""Other weights of words, by which more answers are found, and less work for storing and recalling.

Of a memory's words, those of three memories that follow it count now, not of two, and those of what it references count
more. Of a question's words, those with a capital letter count more, and very rare ones a little less.
What was planned anew for each memory, or joined in a way that suits empty tables, is planned once, and by key alone.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
-- Whoever stores or relates runs the functions that are changed here: this waits for them, and they for it.
LOCK TABLE memory_records, memory_relationships IN SHARE ROW EXCLUSIVE MODE;
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

        -- As before, without settings and with qualified names, so that it becomes a part of the statements that use it.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_language(OUT months TEXT[], OUT names_time TEXT, OUT asks_when TEXT) RETURNS SETOF RECORD
        LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $body$
            SELECT built_in.months::pg_catalog.text[], built_in.names_time, built_in.asks_when
            FROM (VALUES
                (
                    'pg_catalog.english',
                    '{January,February,March,April,May,June,July,August,September,October,November,December}',
                    '\\y(yesterday|today|tonight|tomorrow|last|next|ago|week|weekend|month|year|monday|tuesday|wednesday|thursday'
                        '|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november'
                        '|december|since|recently|\\d{4})\\y',
                    '\\y(when|how long|what (date|time|month|year|day)|which (month|year|day))\\y'
                ),
                (
                    'pg_catalog.german',
                    '{Januar,Februar,März,April,Mai,Juni,Juli,August,September,Oktober,November,Dezember}',
                    -- Of words that begin with an umlaut the rest: in some locales it is no letter to regular expressions.
                    '\\y(gestern|vorgestern|heute|morgen|bermorgen|(letzt|vorig|n[äÄ]chst|kommend)e[mnrs]?|vor \\w+ (tag|woche|monat|jahr)(e|en|n)?'
                        '|wochen?|wochenendes?|monate?[ns]?|jahre?[ns]?|montags?|dienstags?|mittwochs?|donnerstags?|freitags?|samstags?'
                        '|sonnabends?|sonntags?|januar|februar|m[äÄ]rz|april|mai|juni|juli|august|september|oktober|november|dezember'
                        '|seit|k[üÜ]rzlich|neulich|\\d{4})\\y',
                    '\\y(wann|wie lange|wie sp[äÄ]t|(welche[mnrs]?|was f[üÜ]r eine?[mnrs]?) (datum|uhrzeit|zeit|monat|jahr|tag)|wie ?viel uhr)\\y'
                )
            ) AS built_in (text_search, months, names_time, asks_when)
            WHERE built_in.text_search::pg_catalog.regconfig OPERATOR(pg_catalog.=) %1$I.memory_guild_text_search()
        $body$;

        -- As before, and planned once, since it finds memories by their ids: to plan it takes longer than to run it.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_own_words(ids UUID[]) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, %2$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off AS $body$
        BEGIN
            INSERT INTO memory_words AS stored
                (tenant_id, memory_id, lexemes, pivot, is_question, names_time, is_forgotten, words, text_search)
            SELECT memory.tenant_id, memory.memory_id, own.lexemes, own.pivot,
                length(text) < 165 AND strpos(text, '?') > 0 AND (text ~ '\\?\\s*$' OR length(text) < 90),
                COALESCE(text ~* language.names_time, false),
                memory.is_deleted IS TRUE,
                baked.words,
                memory_guild_text_search()::text
            FROM unnest(ids) AS id
            -- One by one, by key: the planner would rather read all memories of the tenant.
            CROSS JOIN LATERAL (SELECT * FROM memory_records WHERE memory_id = id OFFSET 0) AS memory
            LEFT JOIN memory_guild_language() AS language ON true
            -- A tsvector has at most a megabyte.
            CROSS JOIN LATERAL (
                SELECT CASE WHEN memory.is_deleted THEN '' ELSE left(memory.content_text, 200000) END AS text
            ) AS read
            CROSS JOIN LATERAL (
                SELECT lexemes, 0.5 + (SELECT COALESCE(sum(cardinality(positions)), 0) FROM unnest(lexemes))::float / 30 AS pivot
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
                -- As memory_guild_saturated makes it, whose call takes longer.
                SELECT CASE WHEN count(*) <= 600 THEN
                    ('{' || COALESCE(string_agg(word || ':' || (f * 1.9 / (f + 0.9))::real, ',') FILTER (WHERE f > 0.002), '')
                        || '}/536870912')::sparsevec
                ELSE memory_guild_saturated(array_agg(word), array_agg(f)) END AS words
                FROM (
                    SELECT memory_guild_word(lexeme) AS word, sum(cardinality(positions)) / own.pivot AS f
                    FROM unnest(own.lexemes) GROUP BY 1
                ) AS frequencies
            ) AS baked
            ON CONFLICT (tenant_id, memory_id) DO UPDATE
            SET lexemes = EXCLUDED.lexemes, pivot = EXCLUDED.pivot, is_question = EXCLUDED.is_question,
                names_time = EXCLUDED.names_time, is_forgotten = EXCLUDED.is_forgotten, words = EXCLUDED.words,
                text_search = EXCLUDED.text_search;
        END $body$;

        -- As before, and soon done where a statement that could have updated memories updated none.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_vectors_updated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            changed UUID[];
        BEGIN
            IF NOT EXISTS (SELECT FROM new_rows) THEN
                RETURN NULL;
            ELSIF NOT EXISTS (SELECT FROM memory_vectors) THEN
                RETURN NULL;  -- the tenant has none
            END IF;
            FOR tenant, changed IN
                SELECT new_rows.tenant_id, array_agg(memory_id) FROM old_rows JOIN new_rows USING (memory_id)
                WHERE (old_rows.is_deleted IS TRUE) <> (new_rows.is_deleted IS TRUE)
                    OR old_rows.content_hash <> new_rows.content_hash
                GROUP BY 1
            LOOP
                UPDATE memory_vectors AS vector SET is_current = NOT is_current
                FROM memory_records AS memory
                WHERE vector.memory_id = ANY (changed) AND memory.memory_id = vector.memory_id
                    AND is_current <> (is_deleted IS NOT TRUE AND memory.content_hash = vector.content_hash);
                PERFORM memory_guild_refresh_vectors(tenant, changed, '{}');
            END LOOP;
            RETURN NULL;
        END $body$;

        -- Likewise for edges.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_words_related_anew() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            sources UUID[];
            targets UUID[];
        BEGIN
            IF NOT EXISTS (SELECT FROM new_rows) THEN
                RETURN NULL;
            END IF;
            FOR tenant, sources, targets IN
                SELECT tenant_id, array_agg(changed.source_memory_id), array_agg(changed.target_memory_id)
                FROM (
                    SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM old_rows
                    EXCEPT
                    SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM new_rows
                    UNION ALL (
                        SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM new_rows
                        EXCEPT
                        SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM old_rows
                    )
                ) AS changed
                JOIN memory_records ON memory_id = changed.source_memory_id
                GROUP BY 1
            LOOP
                PERFORM memory_guild_refresh_words(tenant, '{}', sources, targets);
            END LOOP;
            RETURN NULL;
        END $body$;

        -- As before, in a language whose plans stay for a connection, whatever the server's version.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_word_lenders(ids UUID[])
        RETURNS TABLE (receiver UUID, lender UUID, weight FLOAT, damped BOOLEAN)
        LANGUAGE plpgsql STABLE ROWS 100 SET search_path = %1$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET jit = off AS $body$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY
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
            ) AS referred;
        END $body$;

        -- As before, with fewer and shorter statements, and by key alone: no join reads other rows than those it needs,
        -- even if it was planned when the tables were empty. A lender's words are read once, not for each receiver.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_refresh_words(tenant VARCHAR, memories UUID[], sources UUID[], targets UUID[])
        RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, %2$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_nestloop = off SET jit = off AS $body$
        DECLARE
            wanted UUID[];
            locked UUID[] := '{}';
            before TEXT;
        BEGIN
            -- Two that change one neighborhood at once share a memory of it, maybe a forgotten one. They lock in one
            -- order, before they read any words, so the second one waits and then sees what the first has committed:
            -- new edges and memories too, which is why the receivers are looked for again. If nobody has committed
            -- anything meanwhile, there is nothing new.
            LOOP
                before := pg_current_snapshot();
                SELECT COALESCE(array_agg(memory_id), '{}') INTO wanted
                FROM (
                    SELECT memory_id FROM memory_words
                    -- The memories whose vectors have the words of the given ones: they see them three steps on along
                    -- `follows`, three steps back, and along `references`. Where an edge comes or goes, they are found
                    -- from its ends.
                    WHERE tenant_id = tenant AND memory_id = ANY (ARRAY(
                        WITH RECURSIVE later AS (
                            SELECT id, 3 AS steps FROM unnest(memories) AS id
                            UNION
                            SELECT id, 2 FROM unnest(sources) AS id
                            UNION
                            SELECT edge.source_memory_id, steps - 1 FROM later
                            CROSS JOIN LATERAL (
                                SELECT source_memory_id FROM memory_relationships
                                WHERE target_memory_id = later.id AND relationship_type = 'follows' OFFSET 0
                            ) AS edge
                            WHERE steps > 0
                        ),
                        earlier AS (
                            SELECT id, 3 AS steps FROM unnest(memories) AS id
                            UNION
                            SELECT id, 2 FROM unnest(targets) AS id
                            UNION
                            SELECT edge.target_memory_id, steps - 1 FROM earlier
                            CROSS JOIN LATERAL (
                                SELECT target_memory_id FROM memory_relationships
                                WHERE source_memory_id = earlier.id AND relationship_type = 'follows' OFFSET 0
                            ) AS edge
                            WHERE steps > 0
                        )
                        SELECT id FROM later
                        UNION
                        SELECT id FROM earlier
                        UNION
                        SELECT edge.target_memory_id FROM unnest(memories) AS id
                        CROSS JOIN LATERAL (
                            SELECT target_memory_id FROM memory_relationships
                            WHERE source_memory_id = id AND relationship_type = 'references' OFFSET 0
                        ) AS edge
                        UNION
                        SELECT edge.source_memory_id FROM unnest(memories) AS id
                        CROSS JOIN LATERAL (
                            SELECT source_memory_id FROM memory_relationships
                            WHERE target_memory_id = id AND relationship_type = 'references' OFFSET 0
                        ) AS edge
                    ))
                    ORDER BY memory_id FOR UPDATE
                ) AS receivers;
                EXIT WHEN wanted = locked OR before = pg_current_snapshot()::TEXT;
                locked := wanted;
            END LOOP;
            WITH near AS MATERIALIZED (SELECT * FROM memory_guild_word_lenders(wanted)),
            known AS MATERIALIZED (
                SELECT id, stored.lexemes, stored.pivot, stored.is_forgotten
                FROM (SELECT DISTINCT lender AS id FROM near) AS memory
                CROSS JOIN LATERAL (
                    SELECT lexemes, pivot, is_forgotten FROM memory_words
                    WHERE tenant_id = tenant AND memory_id = memory.id OFFSET 0
                ) AS stored
            ),
            said AS MATERIALIZED (
                SELECT id AS lender, memory_guild_word(lexeme) AS word, sum(cardinality(positions)) / pivot AS f
                FROM known CROSS JOIN unnest(lexemes)
                GROUP BY 1, 2, pivot
            )
            UPDATE memory_words AS refreshed SET words = baked.words, starts = baked.starts
            FROM (
                SELECT receiver,
                    -- As memory_guild_saturated makes it, whose call takes longer.
                    CASE WHEN count(*) <= 600 THEN
                        ('{' || COALESCE(string_agg(word || ':' || (f * 1.9 / (f + 0.9))::real, ',') FILTER (WHERE f > 0.002), '')
                            || '}/536870912')::sparsevec
                    ELSE memory_guild_saturated(array_agg(word), array_agg(f)) END AS words,
                    NOT EXISTS (
                        SELECT FROM memory_relationships AS edge
                        WHERE edge.source_memory_id = receiver AND edge.relationship_type = 'follows' OFFSET 0
                    ) AS starts
                FROM (
                    SELECT near.receiver, said.word, sum(
                        -- A long message takes less from others: they would drown its own words.
                        near.weight * CASE WHEN damped THEN least(1, 1 / greatest(receiving.pivot - 0.5, 0.1)) ELSE 1 END
                        * said.f
                    ) AS f
                    FROM near
                    JOIN known AS receiving ON receiving.id = near.receiver AND NOT receiving.is_forgotten
                    LEFT JOIN said ON said.lender = near.lender  -- a memory without any words keeps none of others'
                    GROUP BY 1, 2
                ) AS frequencies
                GROUP BY 1
            ) AS baked
            WHERE refreshed.tenant_id = tenant AND refreshed.memory_id = ANY (wanted) AND refreshed.memory_id = baked.receiver;
        END $body$;

        -- As before, and writes only what has changed.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_recount_words(tenant VARCHAR) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            total INT;
            step INT;
        BEGIN
            INSERT INTO memory_word_counts VALUES (tenant, 0, 0) ON CONFLICT DO NOTHING;
            PERFORM FROM memory_word_counts WHERE tenant_id = tenant AND word = 0 FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                RETURN;  -- somebody else is counting
            END IF;
            SELECT count(*) INTO total FROM memory_words WHERE tenant_id = tenant AND NOT is_forgotten;
            step := greatest(1, total / 5000);  -- of a large tenant, a sample
            WITH before AS MATERIALIZED (
                SELECT word, memories FROM memory_word_counts WHERE tenant_id = tenant
            ),
            counted AS MATERIALIZED (
                SELECT 0 AS word, total AS memories
                UNION ALL
                SELECT memory_guild_word(lexeme), count(*) * step FROM memory_words CROSS JOIN unnest(lexemes)
                WHERE tenant_id = tenant AND (step = 1 OR (hashtextextended(memory_id::text, 0) %% step) = 0)
                GROUP BY 1
            ),
            vanished AS (
                DELETE FROM memory_word_counts
                WHERE tenant_id = tenant AND word IN (SELECT word FROM before EXCEPT SELECT word FROM counted)
            )
            INSERT INTO memory_word_counts
            SELECT tenant, word, memories FROM counted
            WHERE NOT EXISTS (SELECT FROM before WHERE before.word = counted.word AND before.memories = counted.memories)
            ON CONFLICT (tenant_id, word) DO UPDATE SET memories = EXCLUDED.memories;
        END $body$;

        -- As before, for one memory with less work.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_words_inserted() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            ids UUID[] := ARRAY(SELECT memory_id FROM new_rows);
            tenant VARCHAR;
            stored INT;
        BEGIN
            PERFORM memory_guild_own_words(ids);
            -- One memory counts for ten, one time in ten: for most of them nothing is read.
            IF cardinality(ids) > 1 OR random() < 0.1 THEN
                FOR tenant, stored IN
                    SELECT tenant_id, count(*) * CASE cardinality(ids) WHEN 1 THEN 10 ELSE 1 END FROM new_rows GROUP BY 1
                LOOP
                    PERFORM memory_guild_recount_grown(tenant, stored);
                END LOOP;
            END IF;
            RETURN NULL;
        END $body$;

        -- The memories of a tenant whose words answer a question best, planned once for all tenants. Along the key, because
        -- the other tenants' rows of the partition may be many, and page by page, because the tenant's own are.
        CREATE FUNCTION %1$I.memory_guild_closest(tenant VARCHAR, question %2$I.SPARSEVEC, wanted INT)
        RETURNS TABLE (memory_id UUID, is_question BOOLEAN, names_time BOOLEAN, starts BOOLEAN, closeness FLOAT)
        LANGUAGE plpgsql STABLE ROWS 200 SET search_path = %1$I, %2$I, pg_catalog, pg_temp
        SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_indexscan = off
        SET max_parallel_workers_per_gather = 0 SET jit = off AS $body$
        BEGIN
            RETURN QUERY
            SELECT own.memory_id, own.is_question, own.names_time, own.starts, memory_guild_closeness(own.words, question) AS close
            FROM memory_words AS own
            WHERE own.tenant_id = tenant AND NOT own.is_forgotten
            ORDER BY close DESC, own.memory_id LIMIT wanted;
        END $body$;

        -- Likewise how well the words of given memories answer.
        CREATE FUNCTION %1$I.memory_guild_closeness_of(tenant VARCHAR, question %2$I.SPARSEVEC, memories UUID[])
        RETURNS TABLE (memory_id UUID, is_question BOOLEAN, names_time BOOLEAN, starts BOOLEAN, closeness FLOAT)
        LANGUAGE plpgsql STABLE ROWS 100 SET search_path = %1$I, %2$I, pg_catalog, pg_temp
        SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $body$
        BEGIN
            RETURN QUERY
            SELECT own.memory_id, own.is_question, own.names_time, own.starts, memory_guild_closeness(own.words, question)
            FROM memory_words AS own
            WHERE own.tenant_id = tenant AND own.memory_id = ANY (memories) AND NOT own.is_forgotten;
        END $body$;

        -- Which of the words that are asked for the given memories say themselves, which their neighbors say, and which
        -- neighbors.
        CREATE FUNCTION %1$I.memory_guild_word_reasons(tenant VARCHAR, asked TEXT[], memories UUID[])
        RETURNS TABLE (receiver UUID, own TEXT[], others TEXT[], neighbors UUID[])
        LANGUAGE plpgsql STABLE ROWS 10 SET search_path = %1$I, pg_catalog, pg_temp
        SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $body$
        BEGIN
            RETURN QUERY
            SELECT near.receiver,
                array_agg(said.lexeme ORDER BY said.lexeme) FILTER (WHERE near.lender = near.receiver),
                array_agg(said.lexeme ORDER BY near.lender, said.lexeme) FILTER (WHERE near.lender <> near.receiver),
                array_agg(near.lender ORDER BY near.lender, said.lexeme) FILTER (WHERE near.lender <> near.receiver)
            FROM (SELECT DISTINCT lent.receiver, lent.lender FROM memory_guild_word_lenders(memories) AS lent) AS near
            CROSS JOIN LATERAL (
                SELECT lexemes FROM memory_words AS lending
                WHERE lending.tenant_id = tenant AND lending.memory_id = near.lender OFFSET 0
            ) AS lending
            CROSS JOIN LATERAL unnest(tsvector_to_array(lending.lexemes)) AS said (lexeme)
            WHERE said.lexeme = ANY (asked)
            GROUP BY near.receiver;
        END $body$;

        -- Likewise the memories whose vectors by a model are most like a question's.
        CREATE FUNCTION %1$I.memory_guild_nearest_exactly(tenant VARCHAR, model VARCHAR, question %2$I.HALFVEC, wanted INT)
        RETURNS TABLE (memory_id UUID, likeness FLOAT)
        LANGUAGE plpgsql STABLE ROWS 100 SET search_path = %1$I, %2$I, pg_catalog, pg_temp
        SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_indexscan = off
        SET max_parallel_workers_per_gather = 0 SET jit = off AS $body$
        BEGIN
            RETURN QUERY
            SELECT vector.memory_id, memory_guild_likeness(vector.embedding, question) AS alike FROM memory_vectors AS vector
            WHERE vector.tenant_id = tenant AND vector.embedding_model = model AND vector.is_current
                AND memory_guild_dimensions(vector.embedding) = vector_dims(question)
            ORDER BY alike DESC, vector.memory_id LIMIT wanted;
        END $body$;

        -- As before, and exactly where there is no index, or where it does not pay.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_nearest(tenant VARCHAR, model VARCHAR, question %2$I.HALFVEC, wanted INT)
        RETURNS TABLE (memory_id UUID, likeness FLOAT)
        LANGUAGE plpgsql STABLE ROWS 100 SET search_path = %1$I, %2$I, pg_catalog, pg_temp AS $body$
        DECLARE
            before JSONB;
            found UUID[];
            distances FLOAT[];
        BEGIN
            -- For many, looking at every vector is better than following an index.
            IF wanted <= 500 AND memory_guild_has_vectors_index(tenant, model, vector_dims(question)) THEN
                SELECT jsonb_object_agg(name, current_setting(name)) INTO before
                FROM unnest('{hnsw.ef_search, hnsw.iterative_scan, hnsw.max_scan_tuples}'::TEXT[]) AS name;
                PERFORM set_config('hnsw.ef_search', greatest(400, least(2 * wanted, 1000))::TEXT, true),
                    set_config('hnsw.iterative_scan', 'strict_order', true),
                    set_config('hnsw.max_scan_tuples', '2147483647', true);
                -- The index is of vectors with a number of dimensions, which only the text of a statement can say.
                EXECUTE format($query$
                    SELECT array_agg(memory_id), array_agg(distance) FROM (
                        SELECT memory_id, embedding::halfvec(%%1$s) <#> $1 AS distance FROM memory_vectors
                        WHERE tenant_id = $2 AND embedding_model = $3 AND is_current AND memory_guild_dimensions(embedding) = %%1$s
                        ORDER BY embedding::halfvec(%%1$s) <#> $1 LIMIT $4
                    ) AS nearest
                $query$, vector_dims(question)) INTO found, distances USING question, tenant, model, wanted;
                PERFORM set_config(key, value, true) FROM jsonb_each_text(before);
                IF cardinality(found) = wanted THEN
                    RETURN QUERY SELECT id, -distance FROM unnest(found, distances) AS nearest (id, distance);
                    RETURN;
                END IF;
                -- There are no more, or the scan gave up among entries of rows that are gone: look at each row.
            END IF;
            RETURN QUERY SELECT * FROM memory_guild_nearest_exactly(tenant, model, question, wanted);
        END $body$;
    $functions$, home, vector_home);
END $migration$;
DROP FUNCTION memory_guild_word_receivers(UUID[], UUID[], UUID[]);
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
LOCK TABLE memory_records, memory_relationships IN SHARE ROW EXCLUSIVE MODE;
DROP FUNCTION memory_guild_nearest_exactly;
DROP FUNCTION memory_guild_word_reasons;
DROP FUNCTION memory_guild_closeness_of;
DROP FUNCTION memory_guild_closest;
DROP FUNCTION memory_guild_word_lenders(UUID[]);
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

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_refresh_words(tenant VARCHAR, memories UUID[], sources UUID[], targets UUID[]) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, %2$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $body$
        DECLARE
            wanted UUID[];
            locked UUID[] := '{}';
        BEGIN
            -- Two that change one neighbourhood at once share a memory of it, maybe a forgotten one. They lock in one
            -- order, before they read any words, so the second one waits and then sees what the first has committed:
            -- new edges and memories too, which is why the receivers are looked for again.
            LOOP
                wanted := ARRAY(
                    SELECT memory_id FROM memory_words
                    WHERE tenant_id = tenant
                        AND memory_id = ANY (ARRAY(SELECT memory_guild_word_receivers(memories, sources, targets)))
                );
                EXIT WHEN NOT EXISTS (SELECT unnest(wanted) EXCEPT SELECT unnest(locked));
                PERFORM FROM memory_words WHERE tenant_id = tenant AND memory_id = ANY (wanted) ORDER BY memory_id FOR UPDATE;
                locked := locked || wanted;
            END LOOP;
            UPDATE memory_words AS refreshed SET words = baked.words, starts = baked.starts
            FROM (
                SELECT receiver, memory_guild_saturated(array_agg(word), array_agg(f)) AS words,
                    NOT EXISTS (
                        SELECT FROM memory_relationships AS edge
                        WHERE edge.source_memory_id = receiver AND edge.relationship_type = 'follows'
                    ) AS starts
                FROM (
                    SELECT near.receiver, memory_guild_word(lexeme) AS word, sum(
                        -- A long message takes less from others: they would drown its own words.
                        near.weight * CASE WHEN damped THEN least(1, 1 / greatest(receiving.pivot - 0.5, 0.1)) ELSE 1 END
                        * cardinality(positions) / lending.pivot
                    ) AS f
                    FROM memory_guild_word_lenders(wanted) AS near
                    JOIN memory_words AS lending ON lending.tenant_id = tenant AND lending.memory_id = near.lender
                    JOIN memory_words AS receiving
                        ON receiving.tenant_id = tenant AND receiving.memory_id = near.receiver AND NOT receiving.is_forgotten
                    CROSS JOIN unnest(lending.lexemes)
                    GROUP BY 1, 2
                ) AS frequencies
                GROUP BY receiver
            ) AS baked
            WHERE refreshed.tenant_id = tenant AND refreshed.memory_id = baked.receiver;
        END $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_recount_words(tenant VARCHAR) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            total INT;
            step INT;
        BEGIN
            INSERT INTO memory_word_counts VALUES (tenant, 0, 0) ON CONFLICT DO NOTHING;
            PERFORM FROM memory_word_counts WHERE tenant_id = tenant AND word = 0 FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                RETURN;  -- somebody else is counting
            END IF;
            SELECT count(*) INTO total FROM memory_words WHERE tenant_id = tenant AND NOT is_forgotten;
            step := greatest(1, total / 5000);  -- of a large tenant, a sample
            DELETE FROM memory_word_counts WHERE tenant_id = tenant AND word <> 0;
            INSERT INTO memory_word_counts
            SELECT tenant, memory_guild_word(lexeme), count(*) * step FROM memory_words CROSS JOIN unnest(lexemes)
            WHERE tenant_id = tenant AND (step = 1 OR (hashtextextended(memory_id::text, 0) %% step) = 0)
            GROUP BY 2;
            UPDATE memory_word_counts SET memories = total WHERE tenant_id = tenant AND word = 0;
        END $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_words_inserted() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            stored INT;
        BEGIN
            PERFORM memory_guild_own_words(ARRAY(SELECT memory_id FROM new_rows));
            FOR tenant, stored IN SELECT tenant_id, count(*) FROM new_rows GROUP BY 1 LOOP
                PERFORM memory_guild_recount_grown(tenant, stored);
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_language(OUT months TEXT[], OUT names_time TEXT, OUT asks_when TEXT) RETURNS SETOF RECORD
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

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_words_related_anew() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            sources UUID[];
            targets UUID[];
        BEGIN
            FOR tenant, sources, targets IN
                SELECT tenant_id, array_agg(changed.source_memory_id), array_agg(changed.target_memory_id)
                FROM (
                    SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM old_rows
                    EXCEPT
                    SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM new_rows
                    UNION ALL (
                        SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM new_rows
                        EXCEPT
                        SELECT relationship_id, source_memory_id, target_memory_id, relationship_type FROM old_rows
                    )
                ) AS changed
                JOIN memory_records ON memory_id = changed.source_memory_id
                GROUP BY 1
            LOOP
                PERFORM memory_guild_refresh_words(tenant, '{}', sources, targets);
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_vectors_updated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            changed UUID[];
        BEGIN
            IF NOT EXISTS (SELECT FROM memory_vectors) THEN
                RETURN NULL;  -- the tenant has none
            END IF;
            FOR tenant, changed IN
                SELECT new_rows.tenant_id, array_agg(memory_id) FROM old_rows JOIN new_rows USING (memory_id)
                WHERE (old_rows.is_deleted IS TRUE) <> (new_rows.is_deleted IS TRUE)
                    OR old_rows.content_hash <> new_rows.content_hash
                GROUP BY 1
            LOOP
                UPDATE memory_vectors AS vector SET is_current = NOT is_current
                FROM memory_records AS memory
                WHERE vector.memory_id = ANY (changed) AND memory.memory_id = vector.memory_id
                    AND is_current <> (is_deleted IS NOT TRUE AND memory.content_hash = vector.content_hash);
                PERFORM memory_guild_refresh_vectors(tenant, changed, '{}');
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE OR REPLACE FUNCTION %1$I.memory_guild_nearest(tenant VARCHAR, model VARCHAR, question %2$I.HALFVEC, wanted INT)
        RETURNS TABLE (memory_id UUID, likeness FLOAT)
        LANGUAGE plpgsql STABLE ROWS 100 SET search_path = %1$I, %2$I, pg_catalog, pg_temp AS $body$
        DECLARE
            before JSONB;
            found UUID[];
            distances FLOAT[];
        BEGIN
            SELECT jsonb_object_agg(name, current_setting(name)) INTO before
            FROM unnest('{hnsw.ef_search, hnsw.iterative_scan, hnsw.max_scan_tuples}'::TEXT[]) AS name;
            PERFORM set_config('hnsw.ef_search', greatest(400, least(2 * wanted, 1000))::TEXT, true),
                set_config('hnsw.iterative_scan', 'strict_order', true),
                set_config('hnsw.max_scan_tuples', '2147483647', true);
            -- The index is of vectors with a number of dimensions, which only the text of a statement can say.
            EXECUTE format($query$
                SELECT array_agg(memory_id), array_agg(distance) FROM (
                    SELECT memory_id, embedding::halfvec(%%1$s) <#> $1 AS distance FROM memory_vectors
                    WHERE tenant_id = $2 AND embedding_model = $3 AND is_current AND memory_guild_dimensions(embedding) = %%1$s
                    ORDER BY embedding::halfvec(%%1$s) <#> $1 LIMIT $4
                ) AS nearest
            $query$, vector_dims(question)) INTO found, distances USING question, tenant, model, wanted;
            PERFORM set_config(key, value, true) FROM jsonb_each_text(before);
            IF cardinality(found) = wanted THEN
                RETURN QUERY SELECT id, -distance FROM unnest(found, distances) AS nearest (id, distance);
                RETURN;
            END IF;
            -- There are no more, or the scan gave up among entries of rows that are gone: look at each row.
            RETURN QUERY
            SELECT vector.memory_id, memory_guild_likeness(vector.embedding, question) AS alike FROM memory_vectors AS vector
            WHERE vector.tenant_id = tenant AND vector.embedding_model = model AND vector.is_current
                AND memory_guild_dimensions(vector.embedding) = vector_dims(question)
            ORDER BY alike DESC, vector.memory_id LIMIT wanted;
        END $body$;
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
