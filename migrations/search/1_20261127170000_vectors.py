"""The vectors of memories, for `recall` by meaning: what embedding models made of the memories' texts.

Nothing is added to the five tables but a trigger. Vectors of several models stand side by side. All functions run with the rights of the caller, under the caller's policies.
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
BEGIN
    EXECUTE format($ddl$
        -- Partitioned, because a search reads the tenant's part of a table.
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

    EXECUTE format($ddl$
        CREATE POLICY tenant_isolation ON %1$I.memory_vectors USING (%2$s) WITH CHECK (%2$s);
        CREATE POLICY maintenance ON %1$I.memory_vectors TO memory_guild_admin USING (current_user = 'memory_guild_admin');
        ALTER TABLE %1$I.memory_vectors ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.memory_vectors TO memory_guild_app, memory_guild_admin;
    $ddl$, home, same_tenant);

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
        -- refused here, before the foreign key could tell.
        CREATE FUNCTION %1$I.memory_guild_vector_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            SELECT is_deleted IS NOT TRUE AND content_hash = NEW.content_hash INTO NEW.is_current
            FROM memory_records WHERE memory_id = NEW.memory_id AND tenant_id = NEW.tenant_id FOR SHARE;
            IF NOT FOUND THEN
                PERFORM memory_guild_refuse_memory('memory_vectors');
            END IF;
            RETURN NEW;
        END $body$;

        -- Has the guard look again at the vectors of memories whose text changed, or that were forgotten or restored.
        CREATE FUNCTION %1$I.memory_guild_vectors_updated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            changed UUID[];
        BEGIN
            FOR tenant, changed IN
                SELECT new_rows.tenant_id, array_agg(memory_id) FROM old_rows JOIN new_rows USING (memory_id)
                WHERE (old_rows.is_deleted IS TRUE) <> (new_rows.is_deleted IS TRUE)
                    OR old_rows.content_hash <> new_rows.content_hash
                GROUP BY 1
            LOOP
                UPDATE memory_vectors SET is_current = is_current WHERE tenant_id = tenant AND memory_id = ANY (changed);
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE TRIGGER memory_guild_vector_guard BEFORE INSERT OR UPDATE ON %1$I.memory_vectors
            FOR EACH ROW EXECUTE FUNCTION %1$I.memory_guild_vector_guard();
        CREATE TRIGGER memory_guild_vectors_updated AFTER UPDATE ON %1$I.memory_records
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_updated();
    $functions$, home, vector_home);
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TRIGGER memory_guild_vectors_updated ON memory_records;
DROP TABLE memory_vectors;
DROP FUNCTION memory_guild_vectors_updated();
DROP FUNCTION memory_guild_vector_guard();
DROP FUNCTION memory_guild_likeness;
DROP FUNCTION memory_guild_dimensions;
DROP FUNCTION memory_guild_vector(TEXT);
"""


MODELS_STATE = (
    "eJztmG1v2jAQx7+KlTfrJFa1lNJqmyYVSjckChOlXaVpikxsSNTEZrHTFlX97js7JCEk0G"
    "R9Eog3PNzd33Z+fsidHwxBsW/Zu+fU4/70ilqS+8Zn9GAw7FH4keuvIANPJolXGSQeulrg"
    "6UjzVocKHTsU0seWBO8Iu4KCiVBh+c5EOpwpzcCmKBQgaWOJMEPUG1JCHDZGHifURR4mFP"
    "ER4oyisIsPAkl6L3dVF4Rb0AdEv0hrAXP+BtSUfEylTRWP33/A7DBC76mI/k5uzJFDXZLC"
    "NXt6h6h2tNuU04l2XV62T8+0QA14aFrcDTyWEU2m0uYsVgWBQ3aVVPnGlFEfS0rmULLAdW"
    "fsI1M4fjBIP6DxwEliIHSEA1dNiPF1FDBLzQPSPamP2rfZCOfCTLPbG5gXrYFpGpn5U0NY"
    "mISZyeJMzb3DpML28Bi2m3DRVkN10Pxx0t85qH/UCLiQY187NTXjUQuxxKFUT0HCXFKGmc"
    "xl3rSxn888JVpgDkP+H9qRIcGdLPcIZITqFeAaHr43XcrG0oa/1cPDFbSvTvoaOERp4hz2"
    "Z7h9uzNXNfQp8gnpeBuZehuV4Z0j3UDq+3t7BahD1FLq2pemDj3CapWmjYVdBvmibgN512"
    "sFcNdrS2krVxq2I0wr8H3glkXd4NylmOXTTgsXWA9BuYawV8Bt9Hod1bInxF9XG9qDBcqX"
    "540WLHYNH4Icqc3t7mDZqZIlPoBX8hPnycas7BWwB63rQQp2tIJ3zk+uNV9vOvN0et3vUf"
    "jcXDQ7vQZgV3nL6GbuLaoMQ2zd3GGfmBkPr/JlsVmXV/UWLZjhsQapnlg9Xyqb/MV9IpYn"
    "m6G7SK55F0cWyjR1eDr7q0CSSCBbTCeOjkBhp5R8QUxFj8CF1eeYSzhbVQv5+ecr9LHNSr"
    "dZ6fqdam+QlbrwXB4VZd4ec5KNoPwW74555BPnluckSGcux0uIx4oF3iMl2Szip73LRqeF"
    "fvZbzfZFu9dNMQ6d6ZSo3zrpZNNQeEyhR1U6D51XbhPR4omo+hamdOBfOeZp4RZ5ceRCYl"
    "/mHN0rcSeiN0QdJSlrixoOhjipLH+mpKTbFV4Ku8W9iUtl2VNlQbld68WhxxVh0YQwFmzT"
    "wfW6SlC3BE0eMGnkXCQkzkrBawRYEgGTBS8T2gzZ/A7B2KZhje9QXfNjFNZx8EO1CTV+9p"
    "KgpPYZxb9qJrsV2mzFTsjZCA7LZOmzU+J5pf5rlp5jNYRP1f3aUe34oF47rqjCD0yx5WjF"
    "RokOlW2F//4VfrRBSizjecnTS3kdML/Aan7XM/vxH4kqaik="
)
