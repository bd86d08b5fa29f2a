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
    "eJztm2tv4jgUhv+KxZfpSGzVUkq7F60ELTNF4tJt6cxoVqvIJIZYTWwaO6VV1f8+tnMhCQ"
    "GSUiiw+dKSYx/beewcv7aTlxJD0NHNwwsTkhEyviGdU6f0B3gpEWgj8SM9QxmU4Hg8TZYG"
    "DgeW8rCRTZ1n7VFl1ajLB/RJeQwYd6DORZ4htBgSJgMx3cFjjimRnnXgOQFuQg50r0rAMN"
    "ERgARgYqAnIApk2EDgmjI+ctDtP20wgQzYUNjQgwstwCnA/FBWaVBd1InJaC2luwQ/uEjj"
    "dIS4iSS2f/8TZlUQYsHl+F4bYmQZMao+I2zIclSyxp/HKunurnX5RTnIGxhoOrVcm8w4jZ"
    "+5SUno5brYOJSuMm2ECHIgR0YENXEty++hwOS1Xxi446Kw4cbUYKAhdC3ZYaW/hi7RZT8B"
    "VZP8U/3bb2Ekm6Z1e33tttnXtNJM/8omJDrFN+mUyLGBCZfYXl69cqdclLUkK7i4qt8cnN"
    "Q+KwReH7GAWulVOUIOPVfVBVPmHBFIeCpzMbqddOYxpwRz0eS30A4MU9zTxyEAGaBaA9yS"
    "DZ80C5ERN8Vl5fR0Ae1v9RsFXORSxKl4fr2HvOsnVbw0SX5KWt2Zpq5yoI57FayzsUb2AB"
    "mGaIRmUwNZeYCnuO4h9eOjowzURa651FVanPojcphs1QztBh61CE/nHXFKcBYtXxfn43VB"
    "HskW/PZ7pXJyclY5Oqmdn1bPzk7Pj85FXtXc2aSzBR3RaH1tdfvxLpCGOHfIObLHogUz4O"
    "dSj7psDvvRerFXjqtn1fOTWjWkHVoWQZ4FaggBA/kszkvBg2MbpTOdeiWIGr7bYfBjB8PH"
    "An79Vqd52693rmXxNmMPlmJV7zdlSkVZnxPWg1oisISFgO+t/hWQl+Bnr9tMSpowX/9nSb"
    "YJupxqhE40aESZBObAFOte3YLYzqMxQ4cV9KWvHnegP5eoSSnfh/cRMSkNA6jfT6BjaDMp"
    "tELn5Z1Nsit20gIJHCk88j5kq/21V0fp/t6EzF+eJbOUMyzQ6IT4izSWbXnWN1FsCSUWTa"
    "GEAEpCeOskOgSUIOBV84kBjp5SlmMrl1Ysv7bugSkXy69iSbD91NeyJBA1itHKNRMyMw/y"
    "pN8e8q5VM+CuVefSlklx2GLummXcFzNDOmM/+16gXSRPmz/6MWUaIDzo1H98jqnTdq/7Nc"
    "geQX7R7jW2TfgsUz2596TfKHcwA17JyBBTtBmRJGJ4SY1SFhrGABZiTIoWzBkgCI/Mgajx"
    "k0xny0XQO9VRSKNCGu1eZCuk0cdTL6TRrksjzDTddRxEUnb1GpRaCJI55y8xxwTrgfDcQd"
    "iLNpx7vXZMLDVaSTV012k0xWBX8EUmzOfsSoehIY8mjTntxcj+3ynT79Qx2Hxh6iVn0aWT"
    "MGcmVaqyxzfGPF3I58vJPwGRuYciCcq/I8pFbJUlpKvSNdRRqNJCle5eVNuAKrXEfdko5V"
    "Bz/uwRcdkLypuYO6LIx/iRpgikLxaFc4iHHgneQ+myX8Qve3eNdhNc3zQvWretXjd+rqkS"
    "45Lopllvz8pQcZuMp78lsUSHRj0LIZpdiMr/TAvO3XMwjzsWyLMjZxw6ae+jLMQ9ddog6k"
    "Ck7CxqERhCUZk/psRcixGeC7tO7bGFeN6okvAsxnp26OGKMKsgDB0KObhjWwnYcaiE0ZKo"
    "S2m7CfEc5ewfXwRL63Kmry8WfAOhVvq2ageL7ACknGi9uZQVdgfyvmn+vu+YL98N2MXV6f"
    "x9ATmXYstCKfsCS+fg0G+Dc0Fo2anJYEuik3e43lEnXimhKZqcIy6pE7SMYemKToBo3rNo"
    "mT1A8cAh9yeh/7KgCR+FN1bbjcDbhpqNTqsWtkKQ2sajxy0KXe948FhsaX78lqaBbUTk1y"
    "55PtWIO23uY411on6H7zW2ZCqQx1kX1CU8bSKYJmaZBuRiRfS7S3jGSaBFgBmEblUGRn68"
    "9p5O8UOWCXCKIs3pu0KIl8XkGO5B9uUD3Q/L2xvK3+WrpCJuf3zcDh6QHMM46lLE7G2I2a"
    "+/APeQLTo="
)
