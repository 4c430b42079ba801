"""Backups: what there is of each server and database, copies of the databases, and the proof that they restore."""
