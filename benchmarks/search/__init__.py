"""What the search costs: recall's latency, the indexes for large tenants, and what storing pays for it."""
