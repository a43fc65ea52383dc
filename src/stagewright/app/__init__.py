"""The composition root: settings → a running program. The only place that knows concrete adapters."""
