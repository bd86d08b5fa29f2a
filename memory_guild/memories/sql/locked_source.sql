-- As source_to_store.sql, and until the transaction ends nobody changes it: for what is stored without a stamp.
SELECT
    source_id,
    is_active,
    is_quarantined
FROM memory_guild_locked_source($1::varchar);
