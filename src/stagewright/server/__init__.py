"""The HTTP front door: routes, streams, errors in one place. Everything it knows it asks `engine.service`."""
