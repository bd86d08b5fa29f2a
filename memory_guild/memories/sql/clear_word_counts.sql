-- Deletes the counts of words of tenant $1 if it has no words any more.
DELETE FROM memory_word_counts
WHERE tenant_id = $1::varchar AND NOT EXISTS (SELECT FROM memory_words WHERE tenant_id = $1);
