"""Stagewright: durable AI pipelines. plan → quote → reserve → run → settle."""

__version__ = "0.1.0"
