"""The words of memories, as vectors that `recall` searches; triggers keep them true in the transaction that changes them.

A memory's vector has the BM25 weights of its own words and, before saturation, of its neighbours' words: of what it
follows (one to three back), what follows it (one or two on), and what it references or is referenced by. So a question
finds a memory by words that only its neighbour has, with one inner product and no walk of the graph.

Nothing is added to the five tables but triggers. Needs pgvector 0.7 (sparsevec). All functions run with the rights of the
caller, under the caller's policies.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
CREATE EXTENSION IF NOT EXISTS vector;

DO $migration$
DECLARE
    home TEXT := current_schema();
    vector_home TEXT := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector');
    same_tenant TEXT := (
        SELECT pg_get_expr(polqual, polrelid) FROM pg_policy
        WHERE polrelid = 'memory_records'::regclass AND polname = 'tenant_isolation');
BEGIN
    EXECUTE format($ddl$
        -- One row for each memory; that of a forgotten one is empty, and there to be locked. Partitioned, because a search
        -- reads the tenant's part of a table.
        CREATE TABLE %1$I.memory_words (
            tenant_id VARCHAR(255) NOT NULL,
            memory_id UUID NOT NULL,         -- no foreign key: its check would tell whether another tenant has the id
            lexemes TSVECTOR NOT NULL,       -- its own words, from which vectors are made
            pivot REAL NOT NULL,             -- BM25's length, against a fixed one of 15 words
            is_question BOOLEAN NOT NULL,
            names_time BOOLEAN NOT NULL,
            starts BOOLEAN NOT NULL DEFAULT true,  -- follows no other memory
            is_forgotten BOOLEAN NOT NULL,
            is_complete BOOLEAN NOT NULL DEFAULT true,  -- false while its neighbors' words are still to be counted
            words %2$I.SPARSEVEC(536870912) NOT NULL,
            PRIMARY KEY (tenant_id, memory_id)
        ) PARTITION BY HASH (tenant_id);

        -- In how many memories of a tenant a word is; word 0 has the number of memories that were counted. Counted anew
        -- as a tenant grows, so it may lag behind by about a fifth.
        CREATE TABLE %1$I.memory_word_counts (
            tenant_id VARCHAR(255) NOT NULL,
            word INT NOT NULL,
            memories INT NOT NULL,
            PRIMARY KEY (tenant_id, word)
        );
    $ddl$, home, vector_home);

    -- The types and operators are found by name, also by agents.
    IF NOT has_schema_privilege('memory_guild_app', vector_home, 'USAGE')
        OR NOT has_schema_privilege('memory_guild_admin', vector_home, 'USAGE')
    THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO memory_guild_app, memory_guild_admin', vector_home);
    END IF;

    FOR number IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE %1$I.memory_words_%2$s PARTITION OF %1$I.memory_words FOR VALUES WITH (MODULUS 8, REMAINDER %2$s)',
            home, number);
        -- In line: no detour for each row of a search.
        EXECUTE format('ALTER TABLE %1$I.memory_words_%2$s ALTER COLUMN words SET STORAGE main', home, number);
        EXECUTE format('ALTER TABLE %1$I.memory_words_%2$s ENABLE ROW LEVEL SECURITY', home, number);
        EXECUTE format('ALTER TABLE %1$I.memory_words_%2$s FORCE ROW LEVEL SECURITY', home, number);
    END LOOP;

    EXECUTE format($ddl$
        CREATE POLICY tenant_isolation ON %1$I.memory_words USING (%2$s) WITH CHECK (%2$s);
        CREATE POLICY maintenance ON %1$I.memory_words TO memory_guild_admin USING (current_user = 'memory_guild_admin');
        ALTER TABLE %1$I.memory_words ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY tenant_isolation ON %1$I.memory_word_counts USING (%2$s) WITH CHECK (%2$s);
        CREATE POLICY maintenance ON %1$I.memory_word_counts TO memory_guild_admin USING (current_user = 'memory_guild_admin');
        ALTER TABLE %1$I.memory_word_counts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.memory_words, %1$I.memory_word_counts TO memory_guild_app, memory_guild_admin;
    $ddl$, home, same_tenant);

    EXECUTE format($functions$
        -- The number of a word, 1 to 536870911.
        CREATE FUNCTION %1$I.memory_guild_word(lexeme TEXT) RETURNS INT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$
            SELECT ((pg_catalog.hashtextextended(lexeme, 0) OPERATOR(pg_catalog.&) 536870911)::pg_catalog.int4
                OPERATOR(pg_catalog.%%) 536870911) OPERATOR(pg_catalog.+) 1
        $body$;

        -- The configuration of the text search: english, unless memory_guild.text_search says another.
        CREATE FUNCTION %1$I.memory_guild_text_search() RETURNS REGCONFIG LANGUAGE sql STABLE PARALLEL SAFE AS $body$
            SELECT COALESCE(NULLIF(pg_catalog.current_setting('memory_guild.text_search', true), ''), 'english')::pg_catalog.regconfig
        $body$;

        -- A vector of word numbers and frequencies: BM25's saturation, and at most the 600 heaviest words, because a
        -- page holds about a thousand.
        CREATE FUNCTION %1$I.memory_guild_saturated(word INT[], frequency FLOAT[]) RETURNS %2$I.SPARSEVEC
        LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = %2$I, pg_catalog, pg_temp AS $body$
            SELECT ('{' || COALESCE(string_agg(number || ':' || (f * 1.9 / (f + 0.9))::real, ','), '') || '}/536870912')::sparsevec
            FROM (
                SELECT * FROM unnest(word, frequency) AS given (number, f) WHERE f > 0.002 ORDER BY f DESC, number LIMIT 600
            ) AS heaviest
        $body$;

        CREATE FUNCTION %1$I.memory_guild_own_words(ids UUID[]) RETURNS VOID
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

        -- The memories whose vectors have the words of the given ones: they see them three steps on along `follows`, two
        -- steps back, and along `references`. Where an edge comes or goes, they are found from its ends.
        CREATE FUNCTION %1$I.memory_guild_word_receivers(memories UUID[], sources UUID[], targets UUID[]) RETURNS SETOF UUID
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

        -- What lends its words to the given memories, and with what weight. At most 64 of one kind lend to one memory.
        CREATE FUNCTION %1$I.memory_guild_word_lenders(ids UUID[]) RETURNS TABLE (receiver UUID, lender UUID, weight FLOAT, damped BOOLEAN)
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

        -- Makes the vectors anew of all memories that see the given ones, or the ends of edges that came or went.
        CREATE FUNCTION %1$I.memory_guild_refresh_words(tenant VARCHAR, memories UUID[], sources UUID[], targets UUID[]) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, %2$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $body$
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

        CREATE FUNCTION %1$I.memory_guild_recount_words(tenant VARCHAR) RETURNS VOID
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

        -- Counts on average after a fifth more memories. Chance needs no counter, which all writers would wait for.
        CREATE FUNCTION %1$I.memory_guild_recount_grown(tenant VARCHAR, stored INT) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            IF random() < stored / greatest(10, 0.2 * COALESCE((
                SELECT memories FROM memory_word_counts WHERE tenant_id = tenant AND word = 0
            ), 0)) THEN
                PERFORM memory_guild_recount_words(tenant);
            END IF;
        END $body$;

        -- Memories that were stored before this migration are indexed in two rounds, because only what has a row can be
        -- locked: first each gets a row with its own words, then the neighbors' words are counted.
        -- The first round, for at most 500 memories in the order of their ids. Returns how many it looked at, and the id
        -- of the last one, NULL at the end.
        CREATE FUNCTION %1$I.memory_guild_index_words(after UUID, OUT looked_at INT, OUT last UUID)
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

        -- The second round, likewise.
        CREATE FUNCTION %1$I.memory_guild_complete_words(after UUID, OUT looked_at INT, OUT last UUID)
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            incomplete UUID[];
            batch UUID[];
        BEGIN
            batch := ARRAY(SELECT memory_id FROM memory_records WHERE memory_id > after ORDER BY memory_id LIMIT 500);
            FOR tenant, incomplete IN
                SELECT tenant_id, array_agg(memory_id) FROM memory_records AS memory
                WHERE memory_id = ANY (batch) AND EXISTS (
                    SELECT FROM memory_words AS words
                    WHERE words.tenant_id = memory.tenant_id AND words.memory_id = memory.memory_id AND NOT is_complete
                )
                GROUP BY 1
            LOOP
                PERFORM memory_guild_refresh_words(tenant, incomplete, '{}', '{}');
                UPDATE memory_words SET is_complete = true WHERE tenant_id = tenant AND memory_id = ANY (incomplete);
            END LOOP;
            looked_at := cardinality(batch);
            last := batch[looked_at];
        END $body$;

        -- A question as a vector: each of its words with its rarity among the tenant's memories.
        CREATE FUNCTION %1$I.memory_guild_question(tenant VARCHAR, lexemes TSVECTOR) RETURNS %2$I.SPARSEVEC
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

        -- How well a memory's words answer; larger is better.
        CREATE FUNCTION %1$I.memory_guild_closeness(words %2$I.SPARSEVEC, question %2$I.SPARSEVEC) RETURNS FLOAT
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT -(words OPERATOR(%2$I.<#>) question) $body$;

        CREATE FUNCTION %1$I.memory_guild_words_inserted() RETURNS TRIGGER
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

        CREATE FUNCTION %1$I.memory_guild_words_updated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            changed UUID[];
        BEGIN
            FOR tenant, changed IN
                SELECT new_rows.tenant_id, array_agg(memory_id) FROM old_rows JOIN new_rows USING (memory_id)
                WHERE (old_rows.is_deleted IS TRUE) <> (new_rows.is_deleted IS TRUE)
                    OR old_rows.content_text <> new_rows.content_text
                    OR old_rows.created_at IS DISTINCT FROM new_rows.created_at
                GROUP BY 1
            LOOP
                PERFORM memory_guild_own_words(changed);
                PERFORM memory_guild_refresh_words(tenant, changed, '{}', '{}');
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_words_deleted() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            gone UUID[];
        BEGIN
            -- Its neighbors are refreshed where their edges are deleted with it.
            FOR tenant, gone IN SELECT tenant_id, array_agg(memory_id) FROM old_rows GROUP BY 1 LOOP
                DELETE FROM memory_words WHERE tenant_id = tenant AND memory_id = ANY (gone);
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_words_related() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            sources UUID[];
            targets UUID[];
        BEGIN
            FOR tenant, sources, targets IN
                SELECT tenant_id, array_agg(source_memory_id), array_agg(target_memory_id)
                FROM changed_rows
                -- Of a memory that is deleted with its edges, the other end is left.
                CROSS JOIN LATERAL (
                    SELECT tenant_id FROM memory_records WHERE memory_id = ANY (ARRAY[source_memory_id, target_memory_id]) LIMIT 1
                ) AS living
                WHERE relationship_type IN ('follows', 'references')
                GROUP BY 1
            LOOP
                PERFORM memory_guild_refresh_words(tenant, '{}', sources, targets);
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_words_related_anew() RETURNS TRIGGER
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

        CREATE TRIGGER memory_guild_words_inserted AFTER INSERT ON %1$I.memory_records
            REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_words_inserted();
        CREATE TRIGGER memory_guild_words_updated AFTER UPDATE ON %1$I.memory_records
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_words_updated();
        CREATE TRIGGER memory_guild_words_deleted AFTER DELETE ON %1$I.memory_records
            REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_words_deleted();
        CREATE TRIGGER memory_guild_words_related AFTER INSERT ON %1$I.memory_relationships
            REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_words_related();
        CREATE TRIGGER memory_guild_words_related_anew AFTER UPDATE ON %1$I.memory_relationships
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_words_related_anew();
        CREATE TRIGGER memory_guild_words_unrelated AFTER DELETE ON %1$I.memory_relationships
            REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_words_related();
    $functions$, home, vector_home);
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TRIGGER memory_guild_words_unrelated ON memory_relationships;
DROP TRIGGER memory_guild_words_related_anew ON memory_relationships;
DROP TRIGGER memory_guild_words_related ON memory_relationships;
DROP TRIGGER memory_guild_words_deleted ON memory_records;
DROP TRIGGER memory_guild_words_updated ON memory_records;
DROP TRIGGER memory_guild_words_inserted ON memory_records;
DROP FUNCTION memory_guild_words_related_anew();
DROP FUNCTION memory_guild_words_related();
DROP FUNCTION memory_guild_words_deleted();
DROP FUNCTION memory_guild_words_updated();
DROP FUNCTION memory_guild_words_inserted();
DROP FUNCTION memory_guild_closeness;
DROP FUNCTION memory_guild_question;
DROP FUNCTION memory_guild_complete_words(UUID);
DROP FUNCTION memory_guild_index_words(UUID);
DROP FUNCTION memory_guild_recount_grown(VARCHAR, INT);
DROP FUNCTION memory_guild_recount_words(VARCHAR);
DROP FUNCTION memory_guild_refresh_words(VARCHAR, UUID[], UUID[], UUID[]);
DROP FUNCTION memory_guild_word_lenders(UUID[]);
DROP FUNCTION memory_guild_word_receivers(UUID[], UUID[], UUID[]);
DROP FUNCTION memory_guild_own_words(UUID[]);
DROP FUNCTION memory_guild_saturated(INT[], FLOAT[]);
DROP FUNCTION memory_guild_text_search();
DROP FUNCTION memory_guild_word(TEXT);
DROP TABLE memory_word_counts;
DROP TABLE memory_words;
-- The extension stays: it may serve others.
"""


MODELS_STATE = (
    "eJztmG1P2zAQx7+KlVcgdUiU8qBtmtSWslUqDSrthjRNkZs4qUVih9gBKsR3n895apPQtWMMgfqm"
    "Te7ubzs/ny2fHwxBcGTP9s5JwKP5Dx45wviIHgyGA6Ie6twNZOAwLJxgkHjq6/hAB1p3eeRUyAjb"
    "Uvlc7AuiTA4RdkRDSTkDxXhGkA5H3EWcEZQ00UCYOUgq5y2xJY/UI5aICpR0SpxPiEG0q1wYfj0u"
    "JWHQwh507HBb9UyZ94J9xIzexMSS3COqkUj19POXMlPmkHsistfw2nIp8Z0lrikn6kA72m3Jeahd"
    "k0n/9EwL4DOmls39OGAVUTiXM85yVRxTZw+k4PMIIxGWxFnAzmLfT2cpMyXjVwYZxSQfuFMYHOLi"
    "2IfJMz67MbNhzpDuCX5aX9IRLoRZ1tAcW5e9sWUZlbmGIZSmJjXZnEGeUCZ1+j0m7RZckqSEDrrf"
    "2qOdg6NdjYAL6UXaqakZj1qIJU6kegoK5mrqMJO1zLszHNUzXxKVmKsh/w3tzFDgLpZGBjJD9QJw"
    "jQDfWz5hnpyp1+bh4Qra39sjDVxFaeJcreVkoQ9TVzPxAfmCtK++KyCiynlM7mU95wXJu6C8Auq4"
    "dzWGlgMhbvxFljvn7SuNOZinnoE5/JqFL7DvDsxOCXlIb7msAj/zOX6CeK4o8XZB8r6In5qTzqCH"
    "Lka9bv+ybw6XGCdOMCkDlZrBqNcelABTYanPFHpUFcwdzn2CWT3okrKEe6qk74t2xzQHS/nd6ZcT"
    "eHLe6Y129neXqfeH4xJ0+BeWpOptM+bLwi3y9ZELiSNZs3WvxF2I/iPq7JDyZlGrjSE/VG6+pyxJ"
    "txm+EXabB6FP5Ka7Skm5zfX1oecV4boHwlywPQ6ueRyEYtO9Xih9wDDF9vUdjhyr4uFN/lRs1RU0"
    "g7IFM+xpkPDF8H3pXQHcEnR5zKRRc5FQOBtrXiOolIiZXPMyoc/QjN8hNbZ5UuNTomt+jJI6Tj1A"
    "m6rGr14SbKh9RvEPzVSXQp+tWAk1C4Gyyik93SWeV+q/ZOnpwRA+NPdbx62Tg6PWSQMKP2XKLccr"
    "Fkq2qWwr/Nev8LMFskEaL0r+nMpvAfM/yOZX3bMffwPmkQ2q"
)
