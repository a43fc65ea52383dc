-- Key accounts and agents: what front doors keep beside executions. `document` is what somebody wrote, as JSON.

CREATE TABLE clients (
  client_id TEXT PRIMARY KEY,
  document TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE projects (
  project_id TEXT PRIMARY KEY,
  document TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
  name TEXT PRIMARY KEY,
  document TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A client's orders. `turn` counts how often one was begun; `pending` is what was begun and is not known to have been
-- accepted yet; `execution_id` is the latest execution.
CREATE TABLE requests (
  request_id TEXT PRIMARY KEY,
  client TEXT,
  document TEXT NOT NULL,
  turn INTEGER NOT NULL,
  pending TEXT,
  execution_id TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_by_client ON requests (client, request_id) WHERE client IS NOT NULL;
