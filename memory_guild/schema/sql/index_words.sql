-- Gives a row with their own words to the memories after the one with the id $1 that have none; how many it looked at,
-- and the id of the last one, NULL at the end.
SELECT last, looked_at FROM memory_guild_index_words($1);
