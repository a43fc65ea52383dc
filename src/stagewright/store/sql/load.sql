-- name: node_start
-- A node starts: its incarnation becomes the only one that may write.
INSERT INTO nodes (node, incarnation, state, beat, flush_number, started_at)
VALUES (?1, ?2, 'alive', 0, 0, ?3)
ON CONFLICT (node) DO UPDATE
SET incarnation = excluded.incarnation, previous_state = nodes.state, state = 'alive', beat = 0, flush_number = 0, started_at = excluded.started_at;

-- name: node_stop
-- A node stops in good order.
UPDATE nodes
SET state = 'stopped'
WHERE node = ?1
  AND incarnation = ?2;  -- fence

-- name: node_previous_state
-- How the incarnation before this one ended: `stopped` if in good order, `alive` if it was cut off.
SELECT previous_state
FROM nodes
WHERE node = ?1 AND incarnation = ?2
LIMIT 1;

-- name: node_flushed
-- Which flush of this incarnation came last.
SELECT flush_number
FROM nodes
WHERE node = ?1 AND incarnation = ?2
LIMIT 1;

-- name: take_shards
-- One node owns all shards of an embedded database.
INSERT INTO shards (shard, node, incarnation, epoch)
SELECT value, ?1, ?2, 1
FROM json_each(?3)
WHERE true
ON CONFLICT (shard) DO UPDATE
SET node = excluded.node, incarnation = excluded.incarnation, epoch = shards.epoch + 1;

-- name: last_page
-- Where the node's event pages go on.
SELECT coalesce(max(page), 0)
FROM event_pages
LIMIT 1;

-- name: open_executions
-- What must go on after a start, page by page; uses executions_open.
SELECT execution_id, project, client, request_id, pipeline, version, digest, status, priority, round, parameters, tags,
  budget_usd_micros, cost_usd_micros, created_at, deadline_at, started_at, completed_at, last_seq, error
FROM executions
WHERE status IN ('pending', 'running', 'paused')
  AND execution_id > ?1
ORDER BY execution_id
LIMIT ?2;

-- name: execution_to_load
-- One execution, to bring it back into memory.
SELECT execution_id, project, client, request_id, pipeline, version, digest, status, priority, round, parameters, tags,
  budget_usd_micros, cost_usd_micros, created_at, deadline_at, started_at, completed_at, last_seq, error
FROM executions
WHERE execution_id = ?1
LIMIT 1;

-- name: steps_to_load
-- All steps of some executions.
SELECT execution_id, step, status, attempt, round, failures, lost, ready_at, started_at, completed_at, wake_at, waiting,
  worker_id, output, output_ref, summary, error, cost_usd_micros
FROM steps
WHERE execution_id IN (SELECT value FROM json_each(?1))
LIMIT 100000000;

-- name: last_seq
-- The number of the last event of some executions; uses event_pages_by_execution.
SELECT execution_id, max(last_seq)
FROM event_pages
WHERE execution_id IN (SELECT value FROM json_each(?1))
GROUP BY execution_id
LIMIT 100000000;

-- name: loads_started
-- A load begins: if the node does not come through it, this row is what is left.
INSERT INTO loads (execution_id, crashes)
SELECT value, 1
FROM json_each(?1)
WHERE true
ON CONFLICT (execution_id) DO UPDATE SET crashes = crashes + 1
RETURNING execution_id, crashes;

-- name: loads_done
-- The load went well.
DELETE FROM loads;

-- name: definition
-- The snapshot that an execution names.
SELECT document
FROM definitions
WHERE digest = ?1
LIMIT 1;

-- name: add_definition
-- Keep a snapshot; the same document is kept once.
INSERT INTO definitions (digest, document, created_at)
VALUES (?1, ?2, ?3)
ON CONFLICT (digest) DO NOTHING;

-- name: load_again
-- A load that did not go well before begins once more, alone.
INSERT INTO loads (execution_id, crashes)
VALUES (?1, ?2)
ON CONFLICT (execution_id) DO UPDATE SET crashes = excluded.crashes;

-- name: park
-- Pause an execution that cannot be loaded, without loading it.
UPDATE executions
SET status = 'paused', error = ?2
WHERE execution_id = ?1;
