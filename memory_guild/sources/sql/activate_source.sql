-- Makes the source $1 active if $2, or inactive. No row where it is that already, or is not there. A trigger waits for
-- those who have begun to store from a source that is deactivated.
UPDATE data_sources SET is_active = $2::boolean
WHERE source_name = $1::varchar AND (is_active IS TRUE) <> $2
RETURNING source_id;
