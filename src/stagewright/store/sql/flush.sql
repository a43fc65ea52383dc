-- name: flush_fence
-- The first statement of every flush: nothing is written once another incarnation of this node is alive.
UPDATE nodes
SET flush_number = ?3
WHERE node = ?1
  AND incarnation = ?2  -- fence
  AND state = 'alive'
RETURNING flush_number;

-- name: node_alive
-- The first statement of every other write, for the same reason.
SELECT 1
FROM nodes
WHERE node = ?1 AND incarnation = ?2 AND state = 'alive'
LIMIT 1;

-- name: flush_keys
-- Win submit keys; a key that is held and has not expired is lost.
INSERT INTO submit_keys (scope, key, execution_id, fingerprint, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (scope, key) DO UPDATE
SET execution_id = excluded.execution_id, fingerprint = excluded.fingerprint, expires_at = excluded.expires_at
WHERE submit_keys.expires_at < ?6
RETURNING execution_id;

-- name: key_winner
-- Who holds a submit key.
SELECT execution_id, fingerprint
FROM submit_keys
WHERE scope = ?1 AND key = ?2
LIMIT 1;

-- name: drop_key
-- Give back a key that was won by a submission that lost another of its keys.
DELETE FROM submit_keys
WHERE scope = ?1 AND key = ?2 AND execution_id = ?3;

-- name: flush_executions
-- New executions and changed ones; one statement for the whole batch, so that the interpreter lock is taken once.
INSERT INTO executions (
  execution_id, shard, project, client, request_id, pipeline, version, digest, status, priority, round, parameters,
  tags, budget_usd_micros, cost_usd_micros, created_at, deadline_at, started_at, completed_at, last_seq, error)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
  value ->> 8, value ->> 9, value ->> 10, value -> 11, value -> 12, value ->> 13, value ->> 14, value ->> 15,
  value ->> 16, value ->> 17, value ->> 18, value ->> 19, nullif(value -> 20, 'null')
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (execution_id) DO UPDATE
SET status = excluded.status, round = excluded.round, cost_usd_micros = excluded.cost_usd_micros,
  deadline_at = excluded.deadline_at, started_at = excluded.started_at, completed_at = excluded.completed_at,
  last_seq = excluded.last_seq, error = excluded.error;

-- name: flush_steps
-- Steps as they are now; of several changes since the last flush only the last is written.
INSERT INTO steps (
  execution_id, step, status, attempt, round, failures, lost, ready_at, started_at, completed_at, wake_at, waiting,
  worker_id, output, output_ref, summary, error, cost_usd_micros)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
  value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, nullif(value -> 13, 'null'),
  nullif(value -> 14, 'null'), nullif(value -> 15, 'null'), nullif(value -> 16, 'null'), value ->> 17
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (execution_id, step) DO UPDATE
SET status = excluded.status, attempt = excluded.attempt, round = excluded.round, failures = excluded.failures,
  lost = excluded.lost, ready_at = excluded.ready_at, started_at = excluded.started_at,
  completed_at = excluded.completed_at, wake_at = excluded.wake_at, waiting = excluded.waiting,
  worker_id = excluded.worker_id, output = excluded.output, output_ref = excluded.output_ref,
  summary = excluded.summary, error = excluded.error, cost_usd_micros = excluded.cost_usd_micros;

-- name: flush_pages
-- Events, one row for those of one execution.
INSERT INTO event_pages (page, execution_id, first_seq, last_seq, events)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value -> 4
FROM jsonb_each(?1);

-- name: flush_contents
-- Values of the kv tier; the same bytes have the same key.
INSERT INTO contents (key, size_bytes, bytes)
VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO NOTHING;

-- name: flush_blobs
-- Note what lies outside the rows; a new reference revives what was condemned.
INSERT INTO blobs (key, storage_type, size_bytes, created_at)
VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (key) DO UPDATE SET condemned_at = NULL;

-- name: flush_blob_refs
-- Who refers to it, and until when.
INSERT INTO blob_refs (key, execution_id, expires_at)
VALUES (?1, ?2, ?3)
ON CONFLICT (key, execution_id) DO UPDATE SET expires_at = max(expires_at, excluded.expires_at);

-- name: flush_artifacts
-- Artifacts count with the attempt that completed.
INSERT INTO artifacts (
  artifact_id, execution_id, step, attempt, name, media_type, storage_type, storage_key, size_bytes, checksum,
  is_deliverable, created_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13);
