-- Whether the server has, or can install, a pgvector with sparse vectors.
SELECT EXISTS (
    SELECT FROM pg_available_extension_versions
    WHERE
        name = 'vector' AND string_to_array(version, '.')::int[] >= '{0,7,0}'
        AND (installed OR NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector'))
);
