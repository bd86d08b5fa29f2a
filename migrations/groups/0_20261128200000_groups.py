"""The catalogue of groups: schemas that have the five tables, each for some of the tenants, and which tenant is where.

It is in a schema of its own, or beside the five tables of the first group. Nobody but its owner reads it: a list of tenants
is nobody else's business. Agents ask the functions here, which know nothing of memories.

Who opens a scope keeps the tenant's lock, shared, until the scope ends. Who moves the tenant to another group has it alone.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
-- The schema is the first of the connection's search_path; where it is missing, it is created.
DO $$
BEGIN
    IF current_schema() IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I', (parse_ident(current_setting('search_path'), false))[1]);
    END IF;
END $$;

-- Aerich's own table, where the five tables are not.
CREATE TABLE IF NOT EXISTS aerich (
    id SERIAL NOT NULL PRIMARY KEY,
    version VARCHAR(255) NOT NULL,
    app VARCHAR(100) NOT NULL,
    content JSONB NOT NULL
);

CREATE TABLE memory_groups (
    group_name VARCHAR(63) PRIMARY KEY,      -- the schema
    tenants BIGINT NOT NULL DEFAULT 0,       -- how many are placed there
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE memory_placements (
    tenant_id VARCHAR(255) PRIMARY KEY,
    group_name VARCHAR(63) NOT NULL REFERENCES memory_groups (group_name) ON DELETE RESTRICT,
    placed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX memory_placements_group ON memory_placements (group_name);
-- Default privileges may have given something away.
REVOKE ALL ON memory_groups, memory_placements FROM PUBLIC, memory_guild_app, memory_guild_admin;

-- Names and operators in the functions are qualified one by one: a SET search_path costs more than all the rest.
DO $migration$
BEGIN
    EXECUTE format($functions$
        -- The group of a tenant. One that has none yet gets the emptiest.
        CREATE FUNCTION %1$I.memory_guild_place(tenant TEXT) RETURNS TEXT
        LANGUAGE plpgsql SECURITY DEFINER AS $body$
        DECLARE
            placed TEXT;
        BEGIN
            LOOP
                SELECT placement.group_name INTO placed FROM %1$I.memory_placements AS placement
                WHERE placement.tenant_id OPERATOR(pg_catalog.=) tenant;
                IF placed IS NOT NULL THEN
                    RETURN placed;
                END IF;
                INSERT INTO %1$I.memory_placements (tenant_id, group_name)
                SELECT tenant, candidate.group_name FROM %1$I.memory_groups AS candidate
                ORDER BY candidate.tenants, candidate.created_at, candidate.group_name LIMIT 1
                ON CONFLICT DO NOTHING RETURNING group_name INTO placed;
                IF placed IS NOT NULL THEN
                    UPDATE %1$I.memory_groups SET tenants = tenants OPERATOR(pg_catalog.+) 1
                    WHERE group_name OPERATOR(pg_catalog.=) placed;
                    RETURN placed;
                ELSIF NOT EXISTS (SELECT FROM %1$I.memory_groups) THEN
                    RAISE EXCEPTION 'there is no group yet' USING ERRCODE = 'MG007';
                END IF;
            END LOOP;
        END $body$;

        -- Keeps the tenant where it is until the transaction ends, unless it is in another group already. What is read after
        -- the lock is read anew.
        CREATE FUNCTION %1$I.memory_guild_require_placement(tenant TEXT, expected TEXT) RETURNS VOID
        LANGUAGE plpgsql SECURITY DEFINER AS $body$
        DECLARE
            -- It does not wait: who waits in the server keeps a connection from others.
            is_here BOOLEAN := pg_catalog.pg_try_advisory_xact_lock_shared(
                pg_catalog.hashtextextended(%2$L OPERATOR(pg_catalog.||) tenant, 0));
        BEGIN
            IF NOT is_here THEN
                RAISE EXCEPTION 'the tenant is being moved' USING ERRCODE = 'MG008';
            ELSIF NOT EXISTS (
                SELECT FROM %1$I.memory_placements AS placement
                WHERE placement.tenant_id OPERATOR(pg_catalog.=) tenant
                    AND placement.group_name OPERATOR(pg_catalog.=) expected
            ) THEN
                RAISE EXCEPTION 'the tenant is in another group' USING ERRCODE = 'MG006';
            END IF;
        END $body$;

        -- For maintenance, which works in each group in turn.
        CREATE FUNCTION %1$I.memory_guild_groups() RETURNS SETOF TEXT
        LANGUAGE plpgsql STABLE SECURITY DEFINER AS $body$
        BEGIN
            RETURN QUERY SELECT known.group_name::pg_catalog.text FROM %1$I.memory_groups AS known
                ORDER BY known.created_at, known.group_name;
        END $body$;

        REVOKE ALL ON FUNCTION %1$I.memory_guild_place(TEXT), %1$I.memory_guild_require_placement(TEXT, TEXT),
            %1$I.memory_guild_groups() FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION %1$I.memory_guild_place(TEXT), %1$I.memory_guild_require_placement(TEXT, TEXT),
            %1$I.memory_guild_groups() TO memory_guild_app, memory_guild_admin;
        GRANT USAGE ON SCHEMA %1$I TO memory_guild_app, memory_guild_admin;
    $functions$, current_schema(), 'memory_guild.placement:' || current_schema() || ':');
END $migration$;

-- Agents compare the migrations with those that they know.
GRANT SELECT ON aerich TO memory_guild_app, memory_guild_admin;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP FUNCTION memory_guild_groups();
DROP FUNCTION memory_guild_require_placement(TEXT, TEXT);
DROP FUNCTION memory_guild_place(TEXT);
DROP TABLE memory_placements;
DROP TABLE memory_groups;
"""


MODELS_STATE = (
    "eJztVV1P2zAU/StWXsYkhqp0bRlvhXXQBwqCaJOYJus2ufkQiR1sZ1Ch/vfZTtK0TamArd"
    "o08Rafc+/19bmxz6MTCV7k8uAcMy5mp2bhHJFHh0GG+mMTvU8cyPOGNICCaWrjMxtIGwam"
    "UgnwlSZDSCVqKEDpiyRXCWcmZUhs9BEBIv0YMyAqBkVikPoDSZj8RGLry30SckEkz5Dw0J"
    "IKGTAlD8xOAff1VgmL/mTRgiV3BVLFI9SU0KW//9BwwgJ8QFkv81saJpgGbemoXekQy1M1"
    "yy13EoP4YjNM41Pq87TIWDsrn6mYs0WaPp9BI2QoQGGwJCor0rQaQg2VvWtAiQIXTQcNEG"
    "AIRWpGY7LLThrMoXRy4dHrkUep0xpbnbEkegX5nJmRJ1pCq0cGDzRFFqlYL/vdeblPo0cZ"
    "ZTb8Orw6ORte7fW7782GXP835V81qRjXUnNbAhSURewUGtmr6bU1P06iMVObVV9KWpNcH+"
    "M1ktdAo3nz99cCd3aleGQ6+PDJdbvdgdvp9g97HweD3mHnUMfadtvUYMtYjsen44m3OhED"
    "mDk0uvsCjT4UVFv6z5pRSYabxV/NXNM/qFIP6o9dTWOXV0AfMLhg6ay6elu09sbno2tveH"
    "5ptsukvEutfkNvZBjXorM1dK+/dl0WRci3sXdGzJLcXExGVl4uVSTsjk2cd+OYnqBQnDJ+"
    "TyFYeiVqtFZtbl688Hbp8hlgCv7tPYiAthju8qdi21TmZusIMIjszIy4ps3Kkzx7Zy9T8D"
    "FDpjbZ1nrIc6wrr6OfaV9jRu7jxI9Lw9F+U74l7ySxBROUBAS2HeoFeb9hQmVRmgQv8aCV"
    "pP/Ogtxe7xkepKOeNCHLbXehf8f8//bbtxP7b4S21/U1rrOS+GY6b6azxXTmvwDwmTxj"
)
