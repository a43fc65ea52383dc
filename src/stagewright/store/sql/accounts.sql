-- name: clients
-- A page of clients, by their ids.
SELECT client_id, document, created_at, updated_at
FROM clients
WHERE client_id > ?1
ORDER BY client_id
LIMIT ?2;

-- name: client
-- One client, to show it.
SELECT client_id, document, created_at, updated_at
FROM clients
WHERE client_id = ?1
LIMIT 1;

-- name: add_client
-- A new client; no row comes back if its id is taken.
INSERT INTO clients (client_id, document, created_at, updated_at)
VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (client_id) DO NOTHING
RETURNING client_id;

-- name: put_client
-- A client as it shall be from now on; it is new where both times are equal.
INSERT INTO clients (client_id, document, created_at, updated_at)
VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (client_id) DO UPDATE
SET document = excluded.document, updated_at = max(excluded.updated_at, clients.created_at + 1)
RETURNING created_at, updated_at;

-- name: projects
-- A page of projects, by their ids.
SELECT project_id, document, created_at, updated_at
FROM projects
WHERE project_id > ?1
ORDER BY project_id
LIMIT ?2;

-- name: project
-- One project, to show it.
SELECT project_id, document, created_at, updated_at
FROM projects
WHERE project_id = ?1
LIMIT 1;

-- name: add_project
-- A new project; no row comes back if its id is taken.
INSERT INTO projects (project_id, document, created_at, updated_at)
VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (project_id) DO NOTHING
RETURNING project_id;

-- name: put_project
-- A project as it shall be from now on; it is new where both times are equal.
INSERT INTO projects (project_id, document, created_at, updated_at)
VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (project_id) DO UPDATE
SET document = excluded.document, updated_at = max(excluded.updated_at, projects.created_at + 1)
RETURNING created_at, updated_at;

-- name: agents
-- A page of agents, by their ids.
SELECT name, document, created_at, updated_at
FROM agents
WHERE name > ?1
ORDER BY name
LIMIT ?2;

-- name: agent
-- One agent, to show it.
SELECT name, document, created_at, updated_at
FROM agents
WHERE name = ?1
LIMIT 1;

-- name: add_agent
-- A new agent; no row comes back if its id is taken.
INSERT INTO agents (name, document, created_at, updated_at)
VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (name) DO NOTHING
RETURNING name;

-- name: put_agent
-- A agent as it shall be from now on; it is new where both times are equal.
INSERT INTO agents (name, document, created_at, updated_at)
VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (name) DO UPDATE
SET document = excluded.document, updated_at = max(excluded.updated_at, agents.created_at + 1)
RETURNING created_at, updated_at;

-- name: requests
-- A page of requests, by their ids; of one client if one is named.
SELECT request_id, document, turn, pending, execution_id, created_at, updated_at
FROM requests
WHERE request_id > ?1
  AND (?2 IS NULL OR client = ?2)
ORDER BY request_id
LIMIT ?3;

-- name: request
-- One request, to show it and to know which turn is next.
SELECT request_id, document, turn, pending, execution_id, created_at, updated_at
FROM requests
WHERE request_id = ?1
LIMIT 1;

-- name: add_request
-- A new request; no row comes back if its id is taken.
INSERT INTO requests (request_id, client, document, turn, created_at, updated_at)
VALUES (?1, ?2, ?3, 0, ?4, ?4)
ON CONFLICT (request_id) DO NOTHING
RETURNING request_id;

-- name: begin_request
-- The next turn of a request, unless somebody else has begun one since it was read: then no row comes back.
UPDATE requests
SET turn = turn + 1, pending = ?3, updated_at = ?4
WHERE request_id = ?1
  AND turn = ?2  -- fence
  AND pending IS NULL
RETURNING turn;

-- name: settle_request
-- What became of a turn: the execution that was accepted, or none where it was refused.
UPDATE requests
SET pending = NULL, execution_id = coalesce(?3, execution_id), updated_at = ?4
WHERE request_id = ?1
  AND turn = ?2  -- fence
RETURNING turn;
