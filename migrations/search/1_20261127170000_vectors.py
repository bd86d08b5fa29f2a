"""The vectors of memories, for `recall` by meaning: what embedding models made of the memories' texts.

What is searched is a memory's own vector and, with less weight, those of what it follows and of what follows it. Triggers
keep it true in the transaction that changes a vector, a memory or an edge. Nothing is added to the five tables but
triggers. Vectors of several models stand side by side. All functions run with the rights of the caller, under the
caller's policies.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
DECLARE
    home TEXT := current_schema();
    vector_home TEXT := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector');
    same_tenant TEXT := (
        SELECT pg_get_expr(polqual, polrelid) FROM pg_policy
        WHERE polrelid = 'memory_records'::regclass AND polname = 'tenant_isolation');
    name TEXT;
BEGIN
    EXECUTE format($ddl$
        -- The vectors of the memories' own texts. In a table of its own, because a search reads all of memory_vectors.
        CREATE TABLE %1$I.memory_own_vectors (
            tenant_id VARCHAR(255) NOT NULL,
            memory_id UUID NOT NULL,         -- no foreign key: the row goes with that of memory_vectors
            embedding_model VARCHAR(100) NOT NULL,
            content_hash VARCHAR(64) NOT NULL,   -- of the text that was embedded
            own %2$I.HALFVEC NOT NULL,           -- of length 1
            PRIMARY KEY (tenant_id, memory_id, embedding_model)
        );
        -- Numbers that do not repeat: to compress them takes time and gains nothing.
        ALTER TABLE %1$I.memory_own_vectors ALTER COLUMN own SET STORAGE external;

        -- What is searched, made of them. Partitioned, because a search reads the tenant's part of a table.
        CREATE TABLE %1$I.memory_vectors (
            tenant_id VARCHAR(255) NOT NULL,
            memory_id UUID NOT NULL REFERENCES %1$I.memory_records (memory_id) ON DELETE CASCADE,
            embedding_model VARCHAR(100) NOT NULL,
            content_hash VARCHAR(64) NOT NULL,   -- of the text that was embedded
            is_current BOOLEAN NOT NULL,         -- the memory still has that text, and is not forgotten; the guard says it
            embedding %2$I.HALFVEC NOT NULL,     -- of length 1, so that an inner product compares the directions
            PRIMARY KEY (tenant_id, embedding_model, memory_id)
        ) PARTITION BY HASH (tenant_id);
        CREATE INDEX memory_vectors_memory ON %1$I.memory_vectors (memory_id);

        -- How many numbers the vectors of a model have. Who attaches vectors locks the row against its deletion only.
        CREATE TABLE %1$I.memory_vector_models (
            tenant_id VARCHAR(255) NOT NULL,
            embedding_model VARCHAR(100) NOT NULL,
            dimensions INT NOT NULL,
            PRIMARY KEY (tenant_id, embedding_model)
        );
    $ddl$, home, vector_home);

    FOR number IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE %1$I.memory_vectors_%2$s PARTITION OF %1$I.memory_vectors FOR VALUES WITH (MODULUS 8, REMAINDER %2$s)',
            home, number);
        -- In line: no detour for each row of a search.
        EXECUTE format('ALTER TABLE %1$I.memory_vectors_%2$s ALTER COLUMN embedding SET STORAGE main', home, number);
        EXECUTE format('ALTER TABLE %1$I.memory_vectors_%2$s ENABLE ROW LEVEL SECURITY', home, number);
        EXECUTE format('ALTER TABLE %1$I.memory_vectors_%2$s FORCE ROW LEVEL SECURITY', home, number);
    END LOOP;

    FOR name IN SELECT unnest('{memory_vectors, memory_own_vectors, memory_vector_models}'::TEXT[]) LOOP
        EXECUTE format($ddl$
            CREATE POLICY tenant_isolation ON %1$I.%3$I USING (%2$s) WITH CHECK (%2$s);
            CREATE POLICY maintenance ON %1$I.%3$I TO memory_guild_admin USING (current_user = 'memory_guild_admin');
            ALTER TABLE %1$I.%3$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.%3$I TO memory_guild_app, memory_guild_admin;
        $ddl$, home, same_tenant, name);
    END LOOP;

    EXECUTE format($functions$
        -- A vector from its text, such as [0.6,0.8].
        CREATE FUNCTION %1$I.memory_guild_vector(numbers TEXT) RETURNS %2$I.HALFVEC
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT numbers::%2$I.HALFVEC $body$;

        -- How many numbers a vector has.
        CREATE FUNCTION %1$I.memory_guild_dimensions(embedding %2$I.HALFVEC) RETURNS INT
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT %2$I.vector_dims(embedding) $body$;

        -- How alike the meanings are; larger is more alike.
        CREATE FUNCTION %1$I.memory_guild_likeness(embedding %2$I.HALFVEC, question %2$I.HALFVEC) RETURNS FLOAT
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT -(embedding OPERATOR(%2$I.<#>) question) $body$;

        -- Says whether a vector is current. The lock makes those wait who change or forget the memory meanwhile; the
        -- trigger of their statement then sees the vector. A memory that is another tenant's does not exist, and it is
        -- refused here, before the foreign key could tell. Where only neighbors have changed, there is nothing to say,
        -- and nothing to wait for.
        CREATE FUNCTION %1$I.memory_guild_vector_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
        BEGIN
            IF TG_OP = 'UPDATE' AND NEW.tenant_id = OLD.tenant_id AND NEW.memory_id = OLD.memory_id
                AND NEW.content_hash = OLD.content_hash AND NEW.is_current = OLD.is_current
            THEN
                RETURN NEW;
            END IF;
            -- By the key alone: two conditions on the tenant, this one and the policy's, make its index look as good.
            SELECT is_deleted IS NOT TRUE AND content_hash = NEW.content_hash, tenant_id INTO NEW.is_current, tenant
            FROM memory_records WHERE memory_id = NEW.memory_id FOR SHARE;
            IF tenant IS DISTINCT FROM NEW.tenant_id THEN
                PERFORM memory_guild_refuse_memory('memory_vectors');
            END IF;
            RETURN NEW;
        END $body$;

        -- Makes the vectors anew of the given memories and of all that have a part of theirs, or of the ends of edges that
        -- came or went. Vectors of other models have no part in it. The weights are 1 for the memory itself, 0.3 for all
        -- together that it follows, 0.4 for all together that follow it; at most 64 of each.
        CREATE FUNCTION %1$I.memory_guild_refresh_vectors(tenant VARCHAR, memories UUID[], ends UUID[]) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, %2$I, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off AS $body$
        DECLARE
            wanted UUID[];
            locked UUID[] := '{}';
            mixed RECORD;
        BEGIN
            -- As with words, and with the same locks: two that change one neighborhood at once wait for each other before
            -- they read any vectors, and the second one looks again at what there is.
            LOOP
                wanted := ARRAY(
                    SELECT unnest(memories)
                    UNION
                    SELECT unnest(ends)
                    UNION
                    SELECT source_memory_id FROM memory_relationships
                    WHERE target_memory_id = ANY (memories) AND relationship_type = 'follows'
                    UNION
                    SELECT target_memory_id FROM memory_relationships
                    WHERE source_memory_id = ANY (memories) AND relationship_type = 'follows'
                );
                EXIT WHEN NOT EXISTS (SELECT unnest(wanted) EXCEPT SELECT unnest(locked));
                IF NOT EXISTS (SELECT FROM memory_own_vectors WHERE tenant_id = tenant AND memory_id = ANY (wanted)) THEN
                    RETURN;
                END IF;
                PERFORM FROM memory_words WHERE tenant_id = tenant AND memory_id = ANY (wanted) ORDER BY memory_id FOR UPDATE;
                locked := locked || wanted;
            END LOOP;
            FOR mixed IN
                SELECT memory_id, embedding_model, content_hash, l2_normalize(sum(part))::halfvec AS embedding
                FROM (
                    SELECT receiving.memory_id, receiving.embedding_model, receiving.content_hash,
                        lending.own::vector * array_fill(
                            (near.weight / count(*) OVER (PARTITION BY near.receiver, lending.embedding_model, near.weight))::real,
                            ARRAY[vector_dims(lending.own)]
                        )::vector AS part
                    FROM (
                        SELECT id AS receiver, id AS lender, 1.0::float AS weight FROM unnest(wanted) AS id
                        UNION ALL
                        SELECT id, edge.target_memory_id, 0.3 FROM unnest(wanted) AS id
                        CROSS JOIN LATERAL (
                            SELECT target_memory_id FROM memory_relationships
                            WHERE source_memory_id = id AND relationship_type = 'follows' ORDER BY target_memory_id LIMIT 64
                        ) AS edge
                        UNION ALL
                        SELECT id, edge.source_memory_id, 0.4 FROM unnest(wanted) AS id
                        CROSS JOIN LATERAL (
                            SELECT source_memory_id FROM memory_relationships
                            WHERE target_memory_id = id AND relationship_type = 'follows' ORDER BY source_memory_id LIMIT 64
                        ) AS edge
                    ) AS near
                    -- By their keys, one by one: without statistics a join may read all vectors of the tenant.
                    CROSS JOIN LATERAL (
                        SELECT memory_id, embedding_model, content_hash FROM memory_own_vectors
                        WHERE tenant_id = tenant AND memory_id = near.receiver OFFSET 0
                    ) AS receiving
                    CROSS JOIN LATERAL (
                        SELECT embedding_model, content_hash, own FROM memory_own_vectors
                        WHERE tenant_id = tenant AND memory_id = near.lender AND embedding_model = receiving.embedding_model
                        OFFSET 0
                    ) AS lending
                    WHERE near.lender = near.receiver OR lending.content_hash = (
                        SELECT memory.content_hash FROM memory_records AS memory
                        WHERE memory.memory_id = near.lender AND is_deleted IS NOT TRUE
                    )
                ) AS parts
                GROUP BY 1, 2, 3
            LOOP
                UPDATE memory_vectors SET content_hash = mixed.content_hash, embedding = mixed.embedding
                WHERE tenant_id = tenant AND embedding_model = mixed.embedding_model AND memory_id = mixed.memory_id
                    AND (content_hash <> mixed.content_hash OR embedding <> mixed.embedding);
                IF NOT FOUND THEN
                    -- One that was attached just now, unless somebody has deleted it while the update waited. Of a memory
                    -- that is being deleted, its own vector goes last.
                    INSERT INTO memory_vectors (tenant_id, memory_id, embedding_model, content_hash, is_current, embedding)
                    SELECT tenant, mixed.memory_id, mixed.embedding_model, mixed.content_hash, true, mixed.embedding
                    WHERE EXISTS (SELECT FROM memory_records AS memory WHERE memory.memory_id = mixed.memory_id)
                        AND EXISTS (
                            SELECT FROM memory_own_vectors AS own
                            WHERE own.tenant_id = tenant AND own.memory_id = mixed.memory_id
                                AND own.embedding_model = mixed.embedding_model
                        )
                        AND NOT EXISTS (
                            SELECT FROM memory_vectors AS stored
                            WHERE stored.tenant_id = tenant AND stored.embedding_model = mixed.embedding_model
                                AND stored.memory_id = mixed.memory_id
                        );
                END IF;
            END LOOP;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_vectors_attached() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            model VARCHAR;
            attached UUID[];
            least INT;
            most INT;
            wanted INT;
        BEGIN
            IF EXISTS (
                SELECT FROM new_rows WHERE (
                    SELECT memory.tenant_id = new_rows.tenant_id FROM memory_records AS memory
                    WHERE memory.memory_id = new_rows.memory_id
                ) IS NOT TRUE
            ) THEN
                PERFORM memory_guild_refuse_memory(TG_TABLE_NAME);
            END IF;
            FOR tenant, model, attached, least, most IN
                SELECT tenant_id, embedding_model, array_agg(memory_id),
                    min(memory_guild_dimensions(own)), max(memory_guild_dimensions(own))
                FROM new_rows GROUP BY 1, 2
            LOOP
                -- Of several that bring the first vectors of a model at once, the first one says how long they are, and
                -- the others wait for it. Later ones wait for nobody but who deletes the last vectors.
                LOOP
                    SELECT dimensions INTO wanted FROM memory_vector_models
                    WHERE tenant_id = tenant AND embedding_model = model FOR KEY SHARE;
                    EXIT WHEN FOUND;
                    INSERT INTO memory_vector_models VALUES (tenant, model, least) ON CONFLICT DO NOTHING;
                END LOOP;
                IF least <> wanted OR most <> wanted THEN
                    RAISE EXCEPTION 'the vectors of this model have %% numbers', wanted USING ERRCODE = 'invalid_parameter_value';
                END IF;
                PERFORM memory_guild_refresh_vectors(tenant, attached, '{}');
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_vectors_deleted() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            model VARCHAR;
            gone UUID[];
        BEGIN
            FOR tenant, model, gone IN
                SELECT tenant_id, embedding_model, array_agg(memory_id) FROM old_rows GROUP BY 1, 2
            LOOP
                DELETE FROM memory_own_vectors
                WHERE tenant_id = tenant AND memory_id = ANY (gone) AND embedding_model = model;
                IF NOT EXISTS (SELECT FROM memory_vectors WHERE tenant_id = tenant AND embedding_model = model) THEN
                    -- First wait for who attaches some, then look again.
                    PERFORM FROM memory_vector_models WHERE tenant_id = tenant AND embedding_model = model FOR UPDATE;
                    DELETE FROM memory_vector_models
                    WHERE tenant_id = tenant AND embedding_model = model AND NOT EXISTS (
                        SELECT FROM memory_vectors WHERE tenant_id = tenant AND embedding_model = model
                    );
                    CONTINUE WHEN FOUND;
                END IF;
                -- The neighbors of a memory that is deleted itself are refreshed where its edges are deleted with it.
                PERFORM memory_guild_refresh_vectors(
                    tenant, ARRAY(SELECT memory_id FROM memory_records WHERE memory_id = ANY (gone)), '{}'
                );
            END LOOP;
            RETURN NULL;
        END $body$;

        -- Has the guard look again at the vectors of memories whose text changed, or that were forgotten or restored.
        CREATE FUNCTION %1$I.memory_guild_vectors_updated() RETURNS TRIGGER
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

        CREATE FUNCTION %1$I.memory_guild_vectors_related() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            ends UUID[];
        BEGIN
            IF NOT EXISTS (SELECT FROM memory_own_vectors) THEN
                RETURN NULL;  -- the tenant has none
            END IF;
            FOR tenant, ends IN
                SELECT tenant_id, array_agg(source_memory_id) || array_agg(target_memory_id)
                FROM changed_rows
                -- Of a memory that is deleted with its edges, the other end is left.
                CROSS JOIN LATERAL (
                    SELECT tenant_id FROM memory_records WHERE memory_id = ANY (ARRAY[source_memory_id, target_memory_id]) LIMIT 1
                ) AS living
                WHERE relationship_type = 'follows'
                GROUP BY 1
            LOOP
                PERFORM memory_guild_refresh_vectors(tenant, '{}', ends);
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_vectors_related_anew() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            ends UUID[];
        BEGIN
            IF NOT EXISTS (SELECT FROM memory_own_vectors) THEN
                RETURN NULL;  -- the tenant has none
            END IF;
            FOR tenant, ends IN
                SELECT tenant_id, array_agg(changed.source_memory_id) || array_agg(changed.target_memory_id)
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
                WHERE relationship_type = 'follows'
                GROUP BY 1
            LOOP
                PERFORM memory_guild_refresh_vectors(tenant, '{}', ends);
            END LOOP;
            RETURN NULL;
        END $body$;

        -- As before, and the vectors of memories that had no row of words yet, which could be locked, are made anew, too.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_complete_words(after UUID, OUT looked_at INT, OUT last UUID)
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
                PERFORM memory_guild_refresh_vectors(tenant, incomplete, '{}');
                UPDATE memory_words SET is_complete = true WHERE tenant_id = tenant AND memory_id = ANY (incomplete);
            END LOOP;
            looked_at := cardinality(batch);
            last := batch[looked_at];
        END $body$;

        CREATE TRIGGER memory_guild_vector_guard BEFORE INSERT OR UPDATE ON %1$I.memory_vectors
            FOR EACH ROW EXECUTE FUNCTION %1$I.memory_guild_vector_guard();
        CREATE TRIGGER memory_guild_vectors_deleted AFTER DELETE ON %1$I.memory_vectors
            REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_deleted();
        CREATE TRIGGER memory_guild_vectors_attached AFTER INSERT ON %1$I.memory_own_vectors
            REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_attached();
        CREATE TRIGGER memory_guild_vectors_attached_anew AFTER UPDATE ON %1$I.memory_own_vectors
            REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_attached();

        -- PostgreSQL fires them in the order of their names: after those of the words, whose locks include theirs. In the
        -- other order two scopes would lock one neighborhood in two orders.
        CREATE TRIGGER memory_guild_words_updated_then_vectors AFTER UPDATE ON %1$I.memory_records
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_updated();
        CREATE TRIGGER memory_guild_words_related_then_vectors AFTER INSERT ON %1$I.memory_relationships
            REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_related();
        CREATE TRIGGER memory_guild_words_related_anew_then_vectors AFTER UPDATE ON %1$I.memory_relationships
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_related_anew();
        CREATE TRIGGER memory_guild_words_unrelated_then_vectors AFTER DELETE ON %1$I.memory_relationships
            REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_related();
    $functions$, home, vector_home);
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TRIGGER memory_guild_words_unrelated_then_vectors ON memory_relationships;
DROP TRIGGER memory_guild_words_related_anew_then_vectors ON memory_relationships;
DROP TRIGGER memory_guild_words_related_then_vectors ON memory_relationships;
DROP TRIGGER memory_guild_words_updated_then_vectors ON memory_records;
DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_complete_words(after UUID, OUT looked_at INT, OUT last UUID)
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
    $function$, current_schema());
END $migration$;
DROP TABLE memory_vector_models;
DROP TABLE memory_own_vectors;
DROP TABLE memory_vectors;
DROP FUNCTION memory_guild_vectors_related_anew();
DROP FUNCTION memory_guild_vectors_related();
DROP FUNCTION memory_guild_vectors_updated();
DROP FUNCTION memory_guild_vectors_deleted();
DROP FUNCTION memory_guild_vectors_attached();
DROP FUNCTION memory_guild_refresh_vectors(VARCHAR, UUID[], UUID[]);
DROP FUNCTION memory_guild_vector_guard();
DROP FUNCTION memory_guild_likeness;
DROP FUNCTION memory_guild_dimensions;
DROP FUNCTION memory_guild_vector(TEXT);
"""


MODELS_STATE = (
    "eJztmm1v2zYQx78KoTftgCxoXTcttmFA7LqrAcceUqcrMAwCLdIWEYl0RSqOEeS770hJ1oMlR1rS"
    "1Pb0xg+8O5L6kTr+dfadJSkOHPf0gvoiWE9W/At1lAisX9CdxbFP4UOVywmy8HKZOugGhWeeifGN"
    "sy1W3L4x7tL4z6QKsKPAY449SaGJUOkEbKmY4Dpu6lIUBSDlYoUwR9SfUUIYXyBfEOohHxOKxBwJ"
    "TlE0zAuJFL1Vp3oIIhwYA7yfpLeQs28htZVYUOVSjeXvf6CZcUJvqUy+Lq/tOaMeyVGLCTCi+zFm"
    "W62XxnR1Nfzw0QToCc9sR3ihz7eClmvlCr6JCkNGTnWoti0opwFWlGRQ8tDzYv5JUzR/aFBBSDcT"
    "J2kDoXMcenpBrN/mIXf0OiAzkn7p/h7PMONm2+PJ1P48mNq2tbV+egqFRYibHMH12jOuNLa7+6jf"
    "lItptfQA/U/nly/fnP1kEAipFoExGmrWvQnECkehZglS5opyzFUp876Lg3LmuaACc5jyf6GdNKS4"
    "0+2egExQfQe4lo9vbY/yhXLha+ft2x20v5xfGuDgZYgLuD+jW3gcmzqRTZNPSW9uI9vcRk14l4Qe"
    "IfXXr17VoA5eldSNLU8dRoTdqmwXS7cJ8mLcEfI+69bAfdatpK1Nedhwdm0znsLJUM44dj8KtDtQ"
    "Tgdfp7pnX8pvXhbhy4vzr4auv44to8n4j8Q9g7w/mvQAtT4459eZNK4bZti5XuGA2FsW0RFVvtsm"
    "v+MXWzDHCwNSX7G+vpyqeUj1NJA8j5I7TKKoZ0rgiHYzkgS2l9YoJ6BhCPKolFq0MCURp2zhzmDE"
    "F9ouHxZBTzRGK41aaXR4ma2VRj+eeiuNDl0aMWk7YRAAt23UPSE8ink57XxggfUMIg8Q9g64vclk"
    "lBNLvWFRDV1d9Aaw2Q18cGLKNA/H06qs0kST5oKOYmf/75TpXyIgslqYRuY6unS18aylSo17vjAW"
    "6UJVLSd/RVx7z8GE9etCKMituodyVfodxmhVaatKDy+rPYMq9eC6fCqbnB6ZkKOg/BxnRxb5kt2I"
    "EoH00RO4gvgmosB7rkOOi/iHyVVvNEB/Xg76w8/DyTjHODLmJdHl4Hy0LUPhMqWZVWMdmo1shWh9"
    "Iarfpa0YfGvGPB/YIq+PXCocqJLUvRN3GvSMqBORcrCoITFsRGXznJILbXd4I+yO8JceVU2zSiGy"
    "3ev1oW+eCOsKwk1AKwcPq5QQ/Xx1YWrKJaWErPmk9k9cUY26Zknhk1ghmN4aZubPaCAzj/imAoDj"
    "v+O4+AaimXmgR9GD3nbt4LGdPaJIsI/F/YdLBYdY2m+LBj++aEBArHMJ8yo5Joa84pTIBxVQM36I"
    "z7EwX3j7ufO6+677/s1Z9/2Jro5o6knLux3wo5N3T44CXTDui5CrsoMgNdY5BrQcgHUPuap5CAw5"
    "cpPUbfpgNM7X0d0JH3SfiJX8i6Fh7CNSvO6mwXZP3B/e6HFa3t9U/gS7vM3b+5C3kxukwTbOhrQ5"
    "ex9y9v2/LeZS5w=="
)
