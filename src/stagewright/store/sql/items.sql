-- name: flush_items
-- Item steps as they are now; as `flush_steps`.
INSERT INTO item_steps (
  execution_id, stage, item, status, attempt, round, failures, lost, ready_at, started_at, completed_at, wake_at,
  waiting, worker_id, output, output_ref, summary, error, cost_usd_micros)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
  value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, nullif(value -> 14, 'null'),
  nullif(value -> 15, 'null'), nullif(value -> 16, 'null'), nullif(value -> 17, 'null'), value ->> 18
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (execution_id, stage, item) DO UPDATE
SET status = excluded.status, attempt = excluded.attempt, round = excluded.round, failures = excluded.failures,
  lost = excluded.lost, ready_at = excluded.ready_at, started_at = excluded.started_at,
  completed_at = excluded.completed_at, wake_at = excluded.wake_at, waiting = excluded.waiting,
  worker_id = excluded.worker_id, output = excluded.output, output_ref = excluded.output_ref,
  summary = excluded.summary, error = excluded.error, cost_usd_micros = excluded.cost_usd_micros;

-- name: items_to_load
-- Open items of the present round of some executions; a map has at most its window of them.
SELECT i.execution_id, i.stage || '[' || i.item || ']', i.status, i.attempt, i.round, i.failures, i.lost, i.ready_at,
  i.started_at, i.completed_at, i.wake_at, i.waiting, i.worker_id, i.output, i.output_ref, i.summary, i.error,
  i.cost_usd_micros
FROM item_steps AS i
JOIN executions AS e ON e.execution_id = i.execution_id
WHERE i.execution_id IN (SELECT value FROM json_each(?1))
  AND i.status IN ('ready', 'waiting', 'running')
  AND i.round = e.round
LIMIT 100000000;

-- name: items_done
-- The completed items of maps that are not completed themselves, as one list for each.
SELECT s.execution_id, s.step, s.summary ->> 'total', group_concat(i.item)
FROM steps AS s
JOIN item_steps AS i ON i.execution_id = s.execution_id AND i.stage = s.step
WHERE s.execution_id IN (SELECT value FROM json_each(?1))
  AND s.status <> 'completed'
  AND i.status = 'completed'
  AND i.round >= s.summary ->> 'since'
GROUP BY s.execution_id, s.step
LIMIT 100000000;

-- name: item_outputs
-- A page of the outputs of a map, in order; nothing where an item did not complete.
SELECT item, output, output_ref
FROM item_steps
WHERE execution_id = ?1 AND stage = ?2 AND item > ?3
  AND round >= ?4
ORDER BY item
LIMIT ?5;

-- name: steps_page
-- Steps that have begun, by stage and item, those of stages before those of their items; keyset (stage, item).
SELECT *
FROM (
  SELECT *
  FROM (
    SELECT s.step AS stage, -1 AS item, s.step, s.status, s.attempt, s.round, s.failures, s.lost, s.ready_at,
      s.started_at, s.completed_at, s.wake_at, s.waiting, s.worker_id, s.output, s.output_ref, s.summary, s.error,
      s.cost_usd_micros
    FROM steps AS s
    WHERE s.execution_id = ?1 AND s.step > ?2
      AND (?5 IS NULL OR s.status IN ('ready', 'waiting', 'running'))
    ORDER BY s.step
    LIMIT ?4)
  UNION ALL
  SELECT *
  FROM (
    SELECT i.stage, i.item, i.stage || '[' || i.item || ']', i.status, i.attempt, i.round, i.failures, i.lost,
      i.ready_at, i.started_at, i.completed_at, i.wake_at, i.waiting, i.worker_id, i.output, i.output_ref, i.summary,
      i.error, i.cost_usd_micros
    FROM item_steps AS i
    JOIN steps AS s ON s.execution_id = i.execution_id AND s.step = i.stage
    WHERE i.execution_id = ?1 AND (i.stage, i.item) > (?2, ?3)
      AND i.round >= s.summary ->> 'since'
      AND (?5 IS NULL OR i.status IN ('ready', 'waiting', 'running'))
    ORDER BY i.stage, i.item
    LIMIT ?4))
ORDER BY stage, item
LIMIT ?4;

-- name: audit_items
-- Item steps of a range of executions that count, in order; with the name of the step in second place.
SELECT i.execution_id, i.stage || '[' || i.item || ']', i.status, i.attempt, i.round, i.waiting, i.stage, i.item
FROM item_steps AS i
LEFT JOIN steps AS s ON s.execution_id = i.execution_id AND s.step = i.stage
WHERE (i.execution_id, i.stage, i.item) > (?1, ?2, ?3)
  AND i.execution_id <= ?4
  AND i.round >= coalesce(s.summary ->> 'since', 0)
ORDER BY i.execution_id, i.stage, i.item
LIMIT ?5;
