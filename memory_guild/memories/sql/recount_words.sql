-- Counts the words of tenant $1 anew, so that no count is left of words that only erased memories had.
SELECT memory_guild_recount_words($1::varchar);
