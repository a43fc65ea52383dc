-- name: execution
-- One execution for the API; its steps as one JSON array, so that the interpreter lock is taken once.
SELECT e.execution_id, e.project, e.client, e.request_id, e.pipeline, e.version, e.digest, e.status, e.priority,
  e.round, e.parameters, e.tags, e.budget_usd_micros, e.cost_usd_micros, e.created_at, e.deadline_at, e.started_at,
  e.completed_at, e.error, (
    SELECT json_group_array(json_array(
      s.step, s.status, s.attempt, s.round, s.failures, s.lost, s.ready_at, s.started_at, s.completed_at, s.wake_at,
      s.waiting, s.worker_id, json(s.output), json(s.output_ref), json(s.summary), json(s.error), s.cost_usd_micros))
    FROM steps AS s
    WHERE s.execution_id = e.execution_id)
FROM executions AS e
WHERE e.execution_id = ?1
LIMIT 1;

-- name: execution_status
-- How far one execution is, without its steps: asked for every watcher and every repeated submission.
SELECT e.status, (SELECT coalesce(max(p.last_seq), 0) FROM event_pages AS p WHERE p.execution_id = e.execution_id)
FROM executions AS e
WHERE e.execution_id = ?1
LIMIT 1;

-- name: events_told
-- Of the events that a watcher has seen before, what says how far the execution was; uses event_pages_by_execution.
SELECT e.value ->> 'seq', e.value ->> 'type', e.value ->> 'step', e.value -> 'data' ->> 'stages'
FROM event_pages AS p, json_each(p.events) AS e
WHERE p.execution_id = ?1
  AND p.last_seq > ?2
  AND p.first_seq <= ?3
  AND e.value ->> 'seq' > ?2
  AND e.value ->> 'seq' <= ?3
ORDER BY p.last_seq, e.key
LIMIT ?4;

-- name: executions
-- The newest first; a row for the list. Filters that are NULL do not filter.
SELECT execution_id, project, client, request_id, pipeline, version, status, priority, created_at, started_at,
  completed_at, cost_usd_micros, error, tags
FROM executions
WHERE execution_id < ?1
  AND (?2 IS NULL OR status = ?2)
  AND (?3 IS NULL OR pipeline = ?3)
  AND (?4 IS NULL OR client = ?4)
  AND (?5 IS NULL OR project = ?5)
  AND (?6 IS NULL OR created_at >= ?6)
  AND (?7 IS NULL OR created_at < ?7)
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?8))
  AND (?9 IS NULL OR instr(lower(execution_id || ' ' || pipeline || ' ' || coalesce(request_id, '')), lower(?9)) > 0)
ORDER BY execution_id DESC
LIMIT ?10;

-- name: executions_by_pipeline
-- The same for one pipeline; uses executions_by_pipeline.
SELECT execution_id, project, client, request_id, pipeline, version, status, priority, created_at, started_at,
  completed_at, cost_usd_micros, error, tags
FROM executions INDEXED BY executions_by_pipeline
WHERE execution_id < ?1
  AND (?2 IS NULL OR status = ?2)
  AND pipeline = ?3
  AND (?4 IS NULL OR client = ?4)
  AND (?5 IS NULL OR project = ?5)
  AND (?6 IS NULL OR created_at >= ?6)
  AND (?7 IS NULL OR created_at < ?7)
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?8))
  AND (?9 IS NULL OR instr(lower(execution_id || ' ' || pipeline || ' ' || coalesce(request_id, '')), lower(?9)) > 0)
ORDER BY execution_id DESC
LIMIT ?10;

-- name: executions_by_client
-- The same for one client; uses executions_by_client.
SELECT execution_id, project, client, request_id, pipeline, version, status, priority, created_at, started_at,
  completed_at, cost_usd_micros, error, tags
FROM executions INDEXED BY executions_by_client
WHERE execution_id < ?1
  AND (?2 IS NULL OR status = ?2)
  AND (?3 IS NULL OR pipeline = ?3)
  AND client = ?4
  AND (?5 IS NULL OR project = ?5)
  AND (?6 IS NULL OR created_at >= ?6)
  AND (?7 IS NULL OR created_at < ?7)
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?8))
  AND (?9 IS NULL OR instr(lower(execution_id || ' ' || pipeline || ' ' || coalesce(request_id, '')), lower(?9)) > 0)
ORDER BY execution_id DESC
LIMIT ?10;

-- name: executions_by_ill_status
-- The same for `failed` or `cancelled`; uses executions_ill.
SELECT execution_id, project, client, request_id, pipeline, version, status, priority, created_at, started_at,
  completed_at, cost_usd_micros, error, tags
FROM executions INDEXED BY executions_ill
WHERE execution_id < ?1
  AND status IN ('failed', 'cancelled')
  AND status = ?2
  AND (?3 IS NULL OR pipeline = ?3)
  AND (?4 IS NULL OR client = ?4)
  AND (?5 IS NULL OR project = ?5)
  AND (?6 IS NULL OR created_at >= ?6)
  AND (?7 IS NULL OR created_at < ?7)
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?8))
  AND (?9 IS NULL OR instr(lower(execution_id || ' ' || pipeline || ' ' || coalesce(request_id, '')), lower(?9)) > 0)
ORDER BY execution_id DESC
LIMIT ?10;

-- name: executions_by_open_status
-- The same for `pending`, `running` or `paused`; uses executions_open.
SELECT execution_id, project, client, request_id, pipeline, version, status, priority, created_at, started_at,
  completed_at, cost_usd_micros, error, tags
FROM executions INDEXED BY executions_open
WHERE execution_id < ?1
  AND status IN ('pending', 'running', 'paused')
  AND status = ?2
  AND (?3 IS NULL OR pipeline = ?3)
  AND (?4 IS NULL OR client = ?4)
  AND (?5 IS NULL OR project = ?5)
  AND (?6 IS NULL OR created_at >= ?6)
  AND (?7 IS NULL OR created_at < ?7)
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?8))
  AND (?9 IS NULL OR instr(lower(execution_id || ' ' || pipeline || ' ' || coalesce(request_id, '')), lower(?9)) > 0)
ORDER BY execution_id DESC
LIMIT ?10;

-- name: events_after
-- Pages of one execution that hold events after a number; uses event_pages_by_execution.
SELECT first_seq, last_seq, events
FROM event_pages
WHERE execution_id = ?1
  AND last_seq > ?2
  AND first_seq <= ?2 + ?3
ORDER BY last_seq
LIMIT ?3;

-- name: artifacts_of
-- What an execution produced.
SELECT artifact_id, execution_id, step, attempt, name, media_type, storage_type, storage_key, size_bytes, checksum,
  is_deliverable, created_at, expires_at
FROM artifacts
WHERE execution_id = ?1
  AND artifact_id > ?2
ORDER BY artifact_id
LIMIT ?3;

-- name: artifact
-- One artifact, to describe it and to find its bytes.
SELECT artifact_id, execution_id, step, attempt, name, media_type, storage_type, storage_key, size_bytes, checksum,
  is_deliverable, created_at, expires_at
FROM artifacts
WHERE artifact_id = ?1
LIMIT 1;

-- name: content
-- A value of the kv tier.
SELECT bytes
FROM contents
WHERE key = ?1
LIMIT 1;

-- name: stuck_steps
-- Steps of open executions that have been as they are since before a time; of a map its items, not the whole.
SELECT s.execution_id, s.step, s.status, s.attempt, s.waiting, s.worker_id, s.ready_at, s.started_at, s.wake_at,
  e.pipeline
FROM executions AS e
JOIN steps AS s ON s.execution_id = e.execution_id
WHERE e.status IN ('pending', 'running', 'paused')
  AND s.status IN ('ready', 'waiting', 'running')
  AND s.summary ->> 'since' IS NULL
  AND coalesce(s.started_at, s.ready_at, 0) < ?1
UNION ALL
SELECT i.execution_id, i.stage || '[' || i.item || ']', i.status, i.attempt, i.waiting, i.worker_id, i.ready_at,
  i.started_at, i.wake_at, e.pipeline
FROM executions AS e
JOIN item_steps AS i ON i.execution_id = e.execution_id
WHERE e.status IN ('pending', 'running', 'paused')
  AND i.status IN ('ready', 'waiting', 'running')
  AND i.round = e.round
  AND coalesce(i.started_at, i.ready_at, 0) < ?1
ORDER BY 1, 2
LIMIT ?2;

-- name: count_open
-- How many executions are open.
SELECT count(*)
FROM executions
WHERE status IN ('pending', 'running', 'paused')
LIMIT 1;

-- name: blob
-- Where a stored value lies.
SELECT key, storage_type, size_bytes
FROM blobs
WHERE key = ?1
LIMIT 1;
