-- Whether the index $1 has been compared with all vectors since it was registered; no row where it never was.
SELECT is_filled FROM memory_vector_indexes WHERE name = $1::varchar;
