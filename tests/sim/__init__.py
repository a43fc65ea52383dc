"""The product under a simulated loop, clock, chance, disk and workers; `python -m tests.sim SEED` runs one seed."""
