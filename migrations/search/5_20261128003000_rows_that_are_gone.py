"""What a memory lends is gone with it, whoever owns the tables, and also after TRUNCATE.

A delete that cascades runs as the owner of the tables, and since PostgreSQL 18 so do the triggers that it fires. Without a
tenant, as in an admin scope, row-level security hides all rows from an owner that is no superuser, so the triggers found no
neighbors. Now whoever deletes a memory deletes what belongs to it, before the cascade would.
TRUNCATE fires no triggers of DELETE, so it left the words, and the memories' own vectors.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
BEGIN
    EXECUTE format($functions$
        CREATE FUNCTION %1$I.memory_guild_words_deleted_first() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            IF current_setting('server_version_num')::int >= 180000 AND EXISTS (
                SELECT FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
                WHERE pg_class.oid IN ('memory_relationships'::regclass, 'memory_vectors'::regclass)
                    AND NOT rolsuper AND NOT rolbypassrls
            ) THEN
                -- The edges last: by them the neighbors are found.
                DELETE FROM memory_vectors WHERE tenant_id = OLD.tenant_id AND memory_id = OLD.memory_id;
                DELETE FROM memory_relationships WHERE OLD.memory_id IN (source_memory_id, target_memory_id);
            END IF;
            RETURN OLD;
        END $body$;

        -- Scopes of a tenant need it not: the owner sees that tenant then.
        CREATE TRIGGER memory_guild_words_deleted_first BEFORE DELETE ON %1$I.memory_records FOR EACH ROW
            WHEN (COALESCE(current_setting('memory_guild.tenant_id', true), '') = '')
            EXECUTE FUNCTION %1$I.memory_guild_words_deleted_first();

        CREATE FUNCTION %1$I.memory_guild_words_truncated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            TRUNCATE memory_words, memory_word_counts;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_vectors_truncated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            TRUNCATE memory_own_vectors, memory_vector_models;
            RETURN NULL;
        END $body$;

        CREATE TRIGGER memory_guild_words_truncated AFTER TRUNCATE ON %1$I.memory_records
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_words_truncated();
        CREATE TRIGGER memory_guild_vectors_truncated AFTER TRUNCATE ON %1$I.memory_vectors
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_vectors_truncated();
    $functions$, current_schema());
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TRIGGER memory_guild_vectors_truncated ON memory_vectors;
DROP TRIGGER memory_guild_words_truncated ON memory_records;
DROP TRIGGER memory_guild_words_deleted_first ON memory_records;
DROP FUNCTION memory_guild_vectors_truncated();
DROP FUNCTION memory_guild_words_truncated();
DROP FUNCTION memory_guild_words_deleted_first();
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
