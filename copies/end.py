"""The end of all other sessions of a database."""

import argparse
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from copies import config
from copies.repository import Say

OTHERS = """\
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
"""


def run(config_: config.Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """End them, in the database that a file leads to; return how many there were."""
    del config_, say
    with psycopg.connect(make_conninfo(**config.connecting(config.database(wanted.database)))) as connection:
        return {"ended": len(connection.execute(OTHERS).fetchall())}
