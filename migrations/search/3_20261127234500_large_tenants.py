"""What keeps large tenants fast: an index of their vectors, where there is one, and a refresh of words by key alone.

``memory-guild indexes create`` makes such indexes, one for each tenant and model, because one for all would mix them, and
return too few of a tenant's. Needs pgvector 0.8, whose scans go on until there are enough rows.
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
    EXECUTE format($functions$
        -- What the index of a tenant's vectors by a model is called, which have so many numbers. Names of tenants are too
        -- long for it.
        CREATE FUNCTION %1$I.memory_guild_vectors_index(tenant VARCHAR, model VARCHAR, dimensions INT) RETURNS TEXT
        LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $body$
            SELECT 'memory_guild_vectors_' || md5(format('%%L %%L %%s', tenant, model, dimensions))
        $body$;

        -- Whether there is such an index, and a pgvector that can go on scanning it.
        CREATE FUNCTION %1$I.memory_guild_has_vectors_index(tenant VARCHAR, model VARCHAR, dimensions INT) RETURNS BOOLEAN
        LANGUAGE sql STABLE PARALLEL SAFE SET search_path = %1$I, pg_catalog, pg_temp AS $body$
            SELECT to_regclass(memory_guild_vectors_index(tenant, model, dimensions)) IS NOT NULL
                AND current_setting('hnsw.iterative_scan', true) IS NOT NULL
        $body$;

        -- The memories of a tenant whose vectors by a model are most like a question's, along the index.
        CREATE FUNCTION %1$I.memory_guild_nearest(tenant VARCHAR, model VARCHAR, question %2$I.HALFVEC, wanted INT)
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

-- It is planned once for all tenants, when nobody knows how few memories it is about. Otherwise it would read all words of
-- a tenant for one edge.
ALTER FUNCTION memory_guild_refresh_words(VARCHAR, UUID[], UUID[], UUID[]) SET enable_hashjoin = off;
ALTER FUNCTION memory_guild_refresh_words(VARCHAR, UUID[], UUID[], UUID[]) SET enable_mergejoin = off;
ALTER FUNCTION memory_guild_refresh_words(VARCHAR, UUID[], UUID[], UUID[]) SET enable_seqscan = off;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
ALTER FUNCTION memory_guild_refresh_words(VARCHAR, UUID[], UUID[], UUID[]) RESET enable_seqscan;
ALTER FUNCTION memory_guild_refresh_words(VARCHAR, UUID[], UUID[], UUID[]) RESET enable_mergejoin;
ALTER FUNCTION memory_guild_refresh_words(VARCHAR, UUID[], UUID[], UUID[]) RESET enable_hashjoin;
DROP FUNCTION memory_guild_nearest;
DROP FUNCTION memory_guild_has_vectors_index(VARCHAR, VARCHAR, INT);
DROP FUNCTION memory_guild_vectors_index(VARCHAR, VARCHAR, INT);
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
