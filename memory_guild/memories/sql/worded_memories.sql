-- The memories of matching_memories.sql whose own text has the words that are asked for, too. Needs the search. The
-- stored words say at once which texts cannot match. They have those of the memory's date besides: the text decides.
SELECT *
FROM include.matching_memories AS memory_records
WHERE EXISTS (
    SELECT
    FROM memory_words AS own
    WHERE
        own.tenant_id = $1 AND own.memory_id = memory_records.memory_id
        AND CASE
            WHEN (SELECT is_empty FROM include.words_asked_for AS asked) THEN false
            WHEN NOT own.lexemes @@ (SELECT necessary FROM include.words_asked_for AS asked) THEN false
            ELSE to_tsvector(memory_guild_text_search(), left(memory_records.content_text, 200000))
                @@ (SELECT query FROM include.words_asked_for AS asked)
        END
);
