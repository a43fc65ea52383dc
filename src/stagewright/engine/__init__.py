"""The engine: executions as actors, a journal that makes their decisions durable, effects after the commit."""
