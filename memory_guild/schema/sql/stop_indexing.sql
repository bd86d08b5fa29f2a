-- Waits for the transactions that make words, and keeps others from it until this one ends: those then see the text
-- search that it chooses, so nobody makes words with the old one any more.
LOCK TABLE memory_words IN SHARE ROW EXCLUSIVE MODE;
