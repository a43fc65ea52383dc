-- name: audit_executions
-- A page of executions in the order of their ids.
SELECT execution_id, status, round, last_seq, completed_at, error, digest
FROM executions
WHERE execution_id > ?1
ORDER BY execution_id
LIMIT ?2;

-- name: audit_steps
-- Steps of a range of executions, in order; also of executions that are not there.
SELECT execution_id, step, status, attempt, round, waiting
FROM steps
WHERE (execution_id, step) > (?1, ?2)
  AND execution_id <= ?3
ORDER BY execution_id, step
LIMIT ?4;

-- name: audit_pages
-- Events of a range of executions, in order; uses event_pages_by_execution.
SELECT execution_id, first_seq, last_seq, events
FROM event_pages
WHERE (execution_id, last_seq) > (?1, ?2)
  AND execution_id <= ?3
ORDER BY execution_id, last_seq
LIMIT ?4;

-- name: audit_orphans
-- What belongs to an execution that is not there. Steps and events are found while they are read.
SELECT 'artifact', a.execution_id, a.artifact_id
FROM artifacts AS a
WHERE NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.execution_id = a.execution_id)
UNION ALL
SELECT 'reference', r.execution_id, r.key
FROM blob_refs AS r
WHERE NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.execution_id = r.execution_id)
UNION ALL
SELECT 'submit key', k.execution_id, k.scope || ' ' || k.key
FROM submit_keys AS k
WHERE NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.execution_id = k.execution_id)
LIMIT ?1;

-- name: audit_item_orphans
-- Items of executions that are not there.
SELECT DISTINCT i.execution_id, i.stage
FROM item_steps AS i
WHERE NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.execution_id = i.execution_id)
LIMIT ?1;

-- name: audit_unreferenced
-- Values outside the rows that something still needs and that retention would remove, as nobody is noted for them.
SELECT s.execution_id, 'the output of stage ' || s.step, s.output_ref ->> 'storage_key'
FROM executions AS e
JOIN steps AS s ON s.execution_id = e.execution_id
WHERE e.status IN ('pending', 'running', 'paused')
  AND s.output_ref IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM blob_refs AS r WHERE r.key = s.output_ref ->> 'storage_key' AND r.execution_id = s.execution_id)
UNION ALL
SELECT i.execution_id, 'the output of item ' || i.stage || '[' || i.item || ']', i.output_ref ->> 'storage_key'
FROM executions AS e
JOIN item_steps AS i ON i.execution_id = e.execution_id
WHERE e.status IN ('pending', 'running', 'paused')
  AND i.output_ref IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM blob_refs AS r WHERE r.key = i.output_ref ->> 'storage_key' AND r.execution_id = i.execution_id)
UNION ALL
SELECT e.execution_id, 'its parameters', e.parameters -> '$."$data_ref"' ->> 'storage_key'
FROM executions AS e
WHERE e.status IN ('pending', 'running', 'paused')
  AND e.parameters -> '$."$data_ref"' IS NOT NULL
  AND NOT EXISTS (
    SELECT 1
    FROM blob_refs AS r
    WHERE r.key = e.parameters -> '$."$data_ref"' ->> 'storage_key' AND r.execution_id = e.execution_id)
UNION ALL
SELECT a.execution_id, 'artifact ' || a.artifact_id, a.storage_key
FROM artifacts AS a
WHERE a.expires_at > ?1
  AND NOT EXISTS (SELECT 1 FROM blob_refs AS r WHERE r.key = a.storage_key AND r.execution_id = a.execution_id)
LIMIT ?2;

-- name: audit_unresolved
-- References that have not expired and lead nowhere: the value is not noted, or noted and without its bytes.
SELECT r.execution_id, r.key
FROM blob_refs AS r
LEFT JOIN blobs AS b ON b.key = r.key
WHERE r.expires_at > ?1
  AND (b.key IS NULL
    OR (b.storage_type = 'kv' AND NOT EXISTS (SELECT 1 FROM contents AS c WHERE c.key = r.key)))
LIMIT ?2;

-- name: audit_contents
-- Values of the kv tier, to compute their checksums; few at once, as each may have 1 MiB.
SELECT key, size_bytes, bytes
FROM contents
WHERE key > ?1
ORDER BY key
LIMIT ?2;

-- name: audit_objects
-- What must lie in the object store.
SELECT key, size_bytes
FROM blobs
WHERE storage_type = 'object'
  AND condemned_at IS NULL
  AND key > ?1
ORDER BY key
LIMIT ?2;
