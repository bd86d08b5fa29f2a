-- The policies that are active, each with the version that ``updated_at`` is.
SELECT policy_name, policy_rules, updated_at FROM memory_access_policies WHERE is_active ORDER BY policy_name;
