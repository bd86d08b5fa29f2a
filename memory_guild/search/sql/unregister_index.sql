-- Has writers tell the outbox no more about the index $1; a row where it was registered.
DELETE FROM memory_vector_indexes WHERE name = $1::varchar RETURNING name;
