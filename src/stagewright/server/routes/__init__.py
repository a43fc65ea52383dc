"""Routes by subject; the three hot ones are in `server.hot`."""
