"""Copies of a database: made daily on an ops server, and proved to restore.

A program of its own: it knows nothing of the rest, needs nothing but Python, psycopg, PostgreSQL's programs and restic,
and is run as `python3 -m copies --config FILE COMMAND` (`__main__.py` has the commands, `config.py` the file).
"""

BORN_WITH = (
    "__init__",
    "__main__",
    "alarm",
    "catalog",
    "config",
    "copy",
    "listing",
    "processes",
    "record",
    "repository",
    "retention",
    "state",
)
"""The modules that a server has from birth: those of the daily copy. Its user data has little room, so whoever needs
the others sends the whole program."""
