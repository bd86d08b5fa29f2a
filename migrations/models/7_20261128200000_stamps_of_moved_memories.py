"""Maintenance may stamp what it stores with sources that are not active any more, and keep what is held in quarantine.

So a tenant can change its group. Who opens a maintenance scope could activate the source, too, so this gives nobody a right.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
BEGIN
    EXECUTE format($functions$
        -- After the foreign key has locked the source: what is read here is true until the transaction ends.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_check_stamps(memories UUID[], sources UUID[], held BOOLEAN[])
        RETURNS VOID
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
        DECLARE
            wrong TEXT;
        BEGIN
            IF EXISTS (
                SELECT FROM unnest(memories, held) AS stamp (memory, is_held)
                WHERE (
                    SELECT (NOT stamp.is_held OR written.is_deleted)
                        AND %1$I.memory_guild_is_own_write(written.xmin)
                    FROM %1$I.memory_records written WHERE written.memory_id = stamp.memory
                ) IS NOT TRUE
            ) THEN
                RAISE EXCEPTION 'a source is stamped only on a memory that this transaction stores'
                    USING ERRCODE = 'insufficient_privilege', TABLE = 'memory_sources';
            END IF;
            -- Maintenance keeps stamps as they were, as where a tenant changes its group.
            IF current_user = 'memory_guild_admin' THEN
                RETURN;
            END IF;
            SELECT source_name INTO wrong FROM %1$I.data_sources
            WHERE source_id = ANY (sources) AND is_active IS NOT TRUE LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'the source is not active' USING ERRCODE = 'MG012', TABLE = 'data_sources', DETAIL = wrong;
            END IF;
            IF EXISTS (
                SELECT FROM unnest(sources, held) AS stamp (source, is_held)
                WHERE (
                    SELECT COALESCE(chosen.metadata -> 'quarantine' = 'true', false) = stamp.is_held
                    FROM %1$I.data_sources chosen WHERE chosen.source_id = stamp.source
                ) IS NOT TRUE
            ) THEN
                RAISE EXCEPTION 'the quarantine of the source was changed'
                    USING ERRCODE = 'serialization_failure', TABLE = 'memory_sources';
            END IF;
        END $body$;
    $functions$, current_schema());
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
BEGIN
    EXECUTE format($functions$
        -- After the foreign key has locked the source: what is read here is true until the transaction ends.
        CREATE OR REPLACE FUNCTION %1$I.memory_guild_check_stamps(memories UUID[], sources UUID[], held BOOLEAN[])
        RETURNS VOID
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
        DECLARE
            wrong TEXT;
        BEGIN
            IF EXISTS (
                SELECT FROM unnest(memories, held) AS stamp (memory, is_held)
                WHERE (
                    SELECT (NOT stamp.is_held OR written.is_deleted)
                        AND %1$I.memory_guild_is_own_write(written.xmin)
                    FROM %1$I.memory_records written WHERE written.memory_id = stamp.memory
                ) IS NOT TRUE
            ) THEN
                RAISE EXCEPTION 'a source is stamped only on a memory that this transaction stores'
                    USING ERRCODE = 'insufficient_privilege', TABLE = 'memory_sources';
            END IF;
            SELECT source_name INTO wrong FROM %1$I.data_sources
            WHERE source_id = ANY (sources) AND is_active IS NOT TRUE LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'the source is not active' USING ERRCODE = 'MG012', TABLE = 'data_sources', DETAIL = wrong;
            END IF;
            IF EXISTS (
                SELECT FROM unnest(sources, held) AS stamp (source, is_held)
                WHERE (
                    SELECT COALESCE(chosen.metadata -> 'quarantine' = 'true', false) = stamp.is_held
                    FROM %1$I.data_sources chosen WHERE chosen.source_id = stamp.source
                ) IS NOT TRUE
            ) THEN
                RAISE EXCEPTION 'the quarantine of the source was changed'
                    USING ERRCODE = 'serialization_failure', TABLE = 'memory_sources';
            END IF;
        END $body$;
    $functions$, current_schema());
END $migration$;
"""


MODELS_STATE = (
    "eJztXG1T4zgS/iuqfIGpYqaABXZqp/ZDgHCwC2QKws7W3lwZxVYSHbaVsZUJKY7/ft2SHL"
    "8m2CGAIXwaIqklu59Wq59We+4annCYG346pJJeilFgs8Zv5K7hUw//KOjdIA06HMZ92CBp"
    "11XDHRhnhWqg6qDdUAbUltDXo27IoMlhoR3woeTCR4mmT5gvgwkRPSIHjFDXFWOXh/I3Qo"
    "meCdqpJB7zRMBZSDw6IV1GuN9noWQO6QXC+4SLOcKG1aB9yfOOfP5jxCwp+gxmCmD2f/8H"
    "mrnvsFt4Tfh51+hx5jrq7wYPLXhj/pM1cBS7HQYsDOFtw0gw0i13biNdRRKoy8lQ9TaUMG"
    "hP/bjfIKlFtJylBldYRo2fvQiKDW8stU7KDMxy3EEB1W1FU5w4R2o4AtC1bOGOPD8nMpzI"
    "gfCnMqMRdz5dXZ0cYl+f+SygoPGEkfgj1zU2FTVpFKBBBiM2Vb8TNzisR0cumhpK68eJ2x"
    "qXP9xD/Wt9DZa0Auo7wrPwUdY/rH1o5E3zxAEL4j20DbQg/UJf1N9o510aMtLjrhsSLsFs"
    "siZonsIGSEDB3JeIzN29frBYh6q1gesdHDcv1n/ZU48yFKHsB6qzoRR1rwRxe8VWkMNH/c"
    "whdA6tczGKxDIowWM/Iz6Wdd7uWJetjmUVYNGZArAWEnzeDWIWLKX1hsd9y2V+Xw7g5xYM"
    "8Oht3LC9uzsHl7+aFwoaGKWwEeDRtLs7N13buu9e7dIMJtGWS2NyMBDcno9KJLgcVKKGGJ"
    "bYIT8Cl2/oQm9gUvSz4QQcp5fYLISHZfFJwrG7WQKN3c2ZYGBXIRajgBdsD6O1DjjCuYAY"
    "6YXwMHvg6eFgAUsDQHpi5DuPdk6d1t8dnMQLwx9uUt3rZ82/FRLexPScts//FQ1PwHNw2t"
    "7PwMKTB18alSOX9ovRSAllwOgK4T4jGlPPlgLhCGXJeMBdRnwhB6BxFVzYwmMqqoDz4tF4"
    "7Lfbpyk89k+yCr86229drG8pcGAQl/q8Pu9kULADhqqyqMzD0OEeREPUGxZjkRbNgAGnFZ"
    "Mg/yn64zn3SfK498V4xhEP+8VPbpcxDQlEt4H4yZawZU7OWped5tnXFE6HzU4Le7ZTeyZq"
    "Xd/LeLXpJOTbSeeY4E/yT/u8lQ0SpuM6/2Cw2KAjKSx4cYs6Sa1FzVFTyhBcGkpLx7+gn0"
    "XsoXCGOpnFg+7TB1PwmN60+DbEpkvcta/OJEAVFKPOvCX8EQq/3f0vs2ccmknJrAVwW76Q"
    "L/jeWLu7X/veKHIGTfLHZfucCPVSEW+0gTiyAIJOMX58hI/zzz9Es+dlBlKcAA9RJGq9mw"
    "QVwIYutW/GNHCsXI/YFrPG5ru8bS/bQn3aVwrHN8b3M2mBM+TOk6YN1DL8KlxuTxoFyYOC"
    "URvzkgiKkU/gkEcBa4gSvHQ6gajxE83tHWZzGIBnsT0g8A6+VCexI6AJ+sdcDkynXrQgj7"
    "CECZ8ygRCp5+EMwkxyr1+wErlPibwFcq9fqJ7k3ii7KrnPiNWc3OunfTXk3ig3GLnaM1U7"
    "G7PSi52Pz8XxER71qJg6TR6RyiXaNFDp0/bXJrlgfVGfQ3K1mGbsxZD0A+9EIuPyJfCYd6"
    "q5VKppQEKqGUoRrCLRHA2dRc0gLfo2zEDzzAH1+6tiDLXiLy2vyxxHq3sGeYmHlGEuLBpd"
    "krTorC01lAFioJ9wuoqAgPeGM5dLiEEdiEGV2Zgu5Tm+EOGDIbHASBKIesl0caIeMM9onn"
    "y1inTHKA24RAm6E6vW0nJzCE/mylS/S/V1tNwixGo6SSVulZV6C/QqEON6cqvYKCowq5RQ"
    "ra/nOtM9vDZrW9eXY8UbQfmWKggViNYeJ/WkpiaFOiwB1FIg2tosc6sKo2ZCpPre4/lsIA"
    "e+baWD+fj8Ln3EpUSWeb495fbUQY/anykfCmchXrKX3KWLH2O5mDkLQUFqAyyS9/0/2UTh"
    "cOLj09pF6YxUtHvBbBE4b1r/cWvsOQI6ngZxaRMFRYF6mM5qHDQvD5qHLR33vRRnMRDNJC"
    "wxhA+ylUANLUlV2v4UCdFThEBfgpgfkvnUVyWWEgLkDXLDhtAHJpenIQvP9N3/7l8wl+Ij"
    "AWG5vo5j9evrDfgtRrIv8OxnTp9BG1mXAx5Gi/FkNd8HRWKur7lvCy8lgpGpHilpAETmwy"
    "LURr1RScYR3XqhSHlSo9VUbQktU36NirWmZpVwWi5cbpVEPFB+ESNUYRXhS8RkQMNBhXXU"
    "8NKL8NC4i0rAz7+/I9+OWxctEk9Nftd7dA7/rNPJ/FLMU79QPcnn1D1UYDZJmdpTGu3Rp0"
    "e28cBd5gpw1kSWvCt6Ce4Z+9UK2KSEag+OftpXic6KlFZHtbwGGawfDVUpWllknraoOjpL"
    "MUArgEH3ziD/GdGaA0FVMBgwD0NNIPkbhuwTdgvHtjshQP/7cHo//jR5kjLrVNCTA+oYWu"
    "ejFMnVGqWzw92oZu+qc/TxM+lOJGwXaEoaG2ZAXTFmwUcbA4EBAIg1XR51v+D+Go4wshpj"
    "agdv0Ctgmt5sezslNtvezszNhl1pDN8LMWtZiPmeDE0nQ81Rtcr50PfihpQZrF5xQ6buLE"
    "oF5IxhbuFZQuplK89mJAI7ML3KxyXxVl+bBX0h5RJCoSWWnRllLrIl06J12pIlPmXJbMXl"
    "YfMq9mGFIqOCS+eCst59I3v0Z5R/fugmJVU3VJNA+RkuU1KbL52OX4ZWp9n/AR/WXLH4zq"
    "jWQIaEVvt+bL5W0zcWq6hVhqb6aJ0+x1VdQq9zLuzS2i9xbRcLlP44yuEB7HRMYKAJOFqR"
    "6uNGEV/HSUEofrfMgqLPoRaZouK1mcnSVSoMTKmj8uWTvuN7zIp6hvIrJqVLX61lllzwP3"
    "NJLV3lcqhA8C1cEaEF1/OCKG8kOazmZbsLxWudxPsWeXjzPX5IJ2GUAIp3WC1S3z0OVgRe"
    "KrRNEWUu/W1GzMyt5mbIQNNzBX3W9Nx8bI7FmIQjcyWhvD4PN7Tn30SHv/WFnOMRMFb3Fr"
    "7oCmcCAPKSrB/eEv7ZhA71UltzIDtsX+2ftsjXi9bByeWJyeRN6YbqTDPCi1bz9D1Zl6OG"
    "CsRVTtXlAo3SR2GR5CstZHwERVnouEtcsmejrtLqL5J8zepfhMsst4Q0ZdAFuco3XEm6TI"
    "6+kSkjLfITxdWkMzfGCoKxFGqfhaLIZ9SpsLfJAm4PGgUZAtOzMS8rQOMxD+UBIqTymn2Y"
    "p88klYXee1b5R6HD5n4u2DUwPvd/SDFbQYUx68ftrZ1fdz7/srfzOYpepy2/znHW0T3FvK"
    "/TgtBk7rKsjwazvk2bitSZ6ZVX8dNXk+GmqqBhM/wNavdpPhHT1Td5DWMJxdy6oyJ2xW1J"
    "/kfw/3F+hdp+joKUF/2y/v7/OKP+/g=="
)
