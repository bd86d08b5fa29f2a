-- What tells whether two groups have the same data sources and access policies.
SELECT
    (
        SELECT md5(string_agg(concat_ws(' ', source_name, source_type, is_active, metadata), ',' ORDER BY source_name))
        FROM data_sources
    ) AS sources,
    (
        SELECT md5(string_agg(concat_ws(' ', policy_name, is_active, policy_rules), ',' ORDER BY policy_name))
        FROM memory_access_policies
    ) AS policies;
