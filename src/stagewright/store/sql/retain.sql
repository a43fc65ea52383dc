-- name: expired_refs
-- References whose time is over and whose execution has ended; uses blob_refs_by_expiry.
DELETE FROM blob_refs
WHERE (key, execution_id) IN (
  SELECT r.key, r.execution_id
  FROM blob_refs AS r
  LEFT JOIN executions AS e ON e.execution_id = r.execution_id
  WHERE r.expires_at < ?1
    AND (e.status IS NULL OR e.status IN ('completed', 'failed', 'cancelled'))
  LIMIT ?2)
RETURNING key;

-- name: condemn_blobs
-- What nobody refers to any more is condemned first and deleted after a grace.
UPDATE blobs
SET condemned_at = ?1
WHERE condemned_at IS NULL
  AND key IN (
    SELECT b.key
    FROM blobs AS b
    WHERE b.created_at < ?2
      AND b.condemned_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM blob_refs AS r WHERE r.key = b.key)
    LIMIT ?3)
RETURNING key;

-- name: condemned_blobs
-- What has been condemned for longer than the grace; uses blobs_condemned.
SELECT key, storage_type
FROM blobs
WHERE condemned_at < ?1
LIMIT ?2;

-- name: unknown_blobs
-- Those of a list of keys that no row knows.
SELECT value
FROM json_each(?1)
WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE key = value)
LIMIT ?2;

-- name: delete_blob
-- Forget a condemned blob; none if a new reference has revived it.
DELETE FROM blobs
WHERE key = ?1
  AND condemned_at < ?2  -- fence
RETURNING storage_type;

-- name: delete_content_of_no_blob
-- Its bytes in the kv tier, unless a new reference has revived the blob.
DELETE FROM contents
WHERE key = ?1
  AND NOT EXISTS (SELECT 1 FROM blobs WHERE key = ?1);

-- name: delete_artifact_rows
-- Artifacts whose bytes have expired are no longer listed.
DELETE FROM artifacts
WHERE artifact_id IN (SELECT artifact_id FROM artifacts WHERE expires_at < ?1 LIMIT ?2);

-- name: delete_expired_keys
-- Idempotency keys after their day; uses submit_keys_by_expiry.
DELETE FROM submit_keys
WHERE (scope, key) IN (SELECT scope, key FROM submit_keys WHERE expires_at < ?1 LIMIT ?2);

-- name: delete_expired_replies
-- The same for answers; uses replies_by_expiry.
DELETE FROM replies
WHERE key IN (SELECT key FROM replies WHERE expires_at < ?1 LIMIT ?2);

-- name: reply
-- The stored answer to a mutation.
SELECT fingerprint, status, body
FROM replies
WHERE key = ?1 AND expires_at > ?2
LIMIT 1;

-- name: add_reply
-- Keep the answer to a mutation; the first one counts.
INSERT INTO replies (key, fingerprint, status, body, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (key) DO NOTHING;
