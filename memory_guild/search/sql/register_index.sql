-- Has writers tell the outbox from now on which vectors change, for the index $1.
SELECT memory_guild_register_index($1::varchar) IS NULL AS is_registered;
