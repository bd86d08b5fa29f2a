-- Releases those of the memories $1 that are held in quarantine.
UPDATE memory_sources SET is_held = false WHERE memory_id = ANY ($1::uuid[]) AND is_held;
