-- Deletes the memories $1, which are locked, with all that belongs to them; returns their ids.
DELETE FROM memory_records WHERE memory_id = ANY ($1::uuid[]) RETURNING memory_id;
