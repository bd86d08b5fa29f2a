-- Counts the neighbors' words of the memories after the one with the id $1 that still lack them; how many it looked at,
-- and the id of the last one, NULL at the end.
SELECT last, looked_at FROM memory_guild_complete_words($1);
