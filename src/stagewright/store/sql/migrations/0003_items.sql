-- Steps of the items of mapped stages. Apart from `steps`, so that reading an execution never walks over its items.
-- Rows of a round before the one in the tally of the parent step (`since`) count no more.

CREATE TABLE item_steps (
  execution_id TEXT NOT NULL,
  stage TEXT NOT NULL,
  item INTEGER NOT NULL,
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
  PRIMARY KEY (execution_id, stage, item)
) STRICT, WITHOUT ROWID;
