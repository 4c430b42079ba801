"""Whether a database answers, which says that nothing of it would be lost now."""

import argparse
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from copies import config
from copies.repository import Say

PATIENCE = 10
"""Seconds until a connection has to be there."""


def run(config_: config.Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Return the reason why a database does not answer: the configured one, or that which a file leads to."""
    del say
    parameters = config.database(wanted.database) if wanted.database else config_.database
    try:
        with psycopg.connect(
            make_conninfo(**config.connecting({**parameters, "connect_timeout": str(PATIENCE)}))
        ) as connection:
            connection.execute("select")
    except psycopg.OperationalError as error:
        return {"reason": " ".join(str(error).split())}
    return {}
