"""Databases: adapters of `ports.store`. SQL is plain and named, in `sql/`; no choice is made here."""
