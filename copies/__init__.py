"""Copies of a database: made daily on an ops server, and proved to restore.

A program of its own: it knows nothing of the rest, needs nothing but Python, psycopg, PostgreSQL's programs and restic,
and is run as `python3 -m copies --config FILE COMMAND` (`__main__.py` has the commands, `config.py` the file).
"""
