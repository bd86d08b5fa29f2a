-- Says that the index $1 has been compared with all vectors.
UPDATE memory_vector_indexes SET is_filled = true WHERE name = $1::varchar RETURNING name;
