-- Whether there is a valid index of each tenant's newest memories, see schema/sql/optional_indexes.sql.
SELECT COALESCE(
    (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('memory_guild_newest_of_tenant')),
    false
) AS is_usable;
