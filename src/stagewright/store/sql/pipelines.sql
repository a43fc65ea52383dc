-- name: pipeline_latest
-- The newest version of a pipeline.
SELECT p.name, p.version, p.digest, p.description, p.created_at, d.document
FROM pipelines AS p
JOIN definitions AS d ON d.digest = p.digest
WHERE p.project = ?1 AND p.name = ?2 AND p.deleted_at IS NULL
ORDER BY p.version DESC
LIMIT 1;

-- name: pipeline_version
-- One version of a pipeline; a deleted one can still be read.
SELECT p.name, p.version, p.digest, p.description, p.created_at, d.document
FROM pipelines AS p
JOIN definitions AS d ON d.digest = p.digest
WHERE p.project = ?1 AND p.name = ?2 AND p.version = ?3
LIMIT 1;

-- name: pipelines
-- The newest version of each pipeline, by name.
SELECT p.name, max(p.version), p.digest, p.description, p.created_at, d.document
FROM pipelines AS p
JOIN definitions AS d ON d.digest = p.digest
WHERE p.project = ?1 AND p.name > ?2 AND p.deleted_at IS NULL
GROUP BY p.name
ORDER BY p.name
LIMIT ?3;

-- name: add_pipeline
-- Register a version: the next number, unless the newest one has the same digest.
INSERT INTO pipelines (project, name, version, digest, description, created_at)
SELECT ?1, ?2, coalesce((SELECT max(version) FROM pipelines WHERE project = ?1 AND name = ?2), 0) + 1, ?3, ?4, ?5
WHERE NOT EXISTS (
  SELECT 1
  FROM pipelines
  WHERE project = ?1 AND name = ?2 AND digest = ?3 AND deleted_at IS NULL
    AND version = (SELECT max(version) FROM pipelines WHERE project = ?1 AND name = ?2))
RETURNING version;

-- name: delete_pipeline
-- Take a pipeline out of use; executions keep their snapshots.
UPDATE pipelines
SET deleted_at = ?3
WHERE project = ?1 AND name = ?2 AND deleted_at IS NULL
RETURNING version;
