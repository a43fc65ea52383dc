-- The first schema. Times are integer microseconds UTC, money is integer micro-dollars, JSON is text.

CREATE TABLE nodes (
  node TEXT PRIMARY KEY,
  incarnation TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('alive', 'stopped', 'dead')),
  previous_state TEXT,
  beat INTEGER NOT NULL DEFAULT 0,
  flush_number INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER NOT NULL
) STRICT;

CREATE TABLE shards (
  shard INTEGER PRIMARY KEY CHECK (shard BETWEEN 0 AND 255),
  node TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  epoch INTEGER NOT NULL
) STRICT;

-- Snapshots of definitions, by digest; an execution names its own.
CREATE TABLE definitions (
  digest TEXT PRIMARY KEY,
  document TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pipelines (
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER,
  PRIMARY KEY (project, name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE executions (
  execution_id TEXT PRIMARY KEY,
  shard INTEGER NOT NULL,
  project TEXT NOT NULL,
  client TEXT,
  request_id TEXT,
  pipeline TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')),
  priority TEXT NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'critical')),
  round INTEGER NOT NULL,
  parameters TEXT NOT NULL,
  tags TEXT NOT NULL,
  budget_usd_micros INTEGER,
  cost_usd_micros INTEGER,
  created_at INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  started_at INTEGER,
  completed_at INTEGER,
  last_seq INTEGER NOT NULL,
  error TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX executions_open ON executions (execution_id) WHERE status IN ('pending', 'running', 'paused');
CREATE INDEX executions_ill ON executions (status, execution_id) WHERE status IN ('failed', 'cancelled');
CREATE INDEX executions_by_pipeline ON executions (pipeline, execution_id);
CREATE INDEX executions_by_client ON executions (client, execution_id) WHERE client IS NOT NULL;

-- How often loading an execution has brought a node down; a row exists only from the start of a load to its end.
CREATE TABLE loads (
  execution_id TEXT PRIMARY KEY,
  crashes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Only steps that have left `pending`; the rest follow from the definition.
CREATE TABLE steps (
  execution_id TEXT NOT NULL,
  step TEXT NOT NULL,
  status TEXT NOT NULL
    CHECK (status IN ('pending', 'waiting', 'ready', 'running', 'completed', 'failed', 'skipped', 'cancelled')),
  attempt INTEGER NOT NULL,
  round INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  lost INTEGER NOT NULL,
  ready_at INTEGER,
  started_at INTEGER,
  completed_at INTEGER,
  wake_at INTEGER,
  waiting TEXT,
  worker_id TEXT,
  output TEXT,
  output_ref TEXT,
  summary TEXT,
  error TEXT,
  cost_usd_micros INTEGER,
  PRIMARY KEY (execution_id, step)
) STRICT, WITHOUT ROWID;

-- Events by the page: those of one execution in one flush. `page` rises over all executions of the node.
CREATE TABLE event_pages (
  page INTEGER PRIMARY KEY,
  execution_id TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  events TEXT NOT NULL,
  CHECK (first_seq BETWEEN 1 AND last_seq)
) STRICT;

CREATE UNIQUE INDEX event_pages_by_execution ON event_pages (execution_id, last_seq);

CREATE TABLE submit_keys (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX submit_keys_by_expiry ON submit_keys (expires_at) WHERE expires_at IS NOT NULL;

-- Answers to mutations that carried an Idempotency-Key.
CREATE TABLE replies (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL,
  body TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX replies_by_expiry ON replies (expires_at);

-- The kv tier: values of 16 KiB to 1 MiB, by digest.
CREATE TABLE contents (
  key TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Everything that lies in the kv or the object tier, and who refers to it.
CREATE TABLE blobs (
  key TEXT PRIMARY KEY,
  storage_type TEXT NOT NULL CHECK (storage_type IN ('kv', 'object')),
  size_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  condemned_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_condemned ON blobs (condemned_at) WHERE condemned_at IS NOT NULL;

CREATE TABLE blob_refs (
  key TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (key, execution_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_refs_by_expiry ON blob_refs (expires_at);

CREATE TABLE artifacts (
  artifact_id TEXT PRIMARY KEY,
  execution_id TEXT NOT NULL,
  step TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  name TEXT NOT NULL,
  media_type TEXT NOT NULL,
  storage_type TEXT NOT NULL,
  storage_key TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  is_deliverable INTEGER NOT NULL CHECK (is_deliverable IN (0, 1)),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX artifacts_by_execution ON artifacts (execution_id, artifact_id);
