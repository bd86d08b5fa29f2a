-- How many access policies there are, and how many of them are active.
SELECT
    count(*) AS policies,
    count(*) FILTER (WHERE is_active) AS active
FROM memory_access_policies;
