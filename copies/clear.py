"""Emptying a database that a copy was restored into, and not to the end: all but what the server itself has there."""

import argparse
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from copies import config
from copies.repository import Say

# Whoever was cut off may still be at it.
_END_OTHERS = """\
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
"""
# What the server put into `public` belongs to an extension, and stays.
_USED = """\
select nspname from pg_namespace as schema
where nspname !~ '^pg_' and nspname <> 'information_schema' and (nspname <> 'public' or exists (
    select from (
        select 'pg_class'::regclass as of, oid from pg_class where relnamespace = schema.oid
        union all select 'pg_proc'::regclass, oid from pg_proc where pronamespace = schema.oid
        union all select 'pg_type'::regclass, oid from pg_type where typnamespace = schema.oid
    ) as thing
    where not exists (select from pg_depend where classid = thing.of and objid = thing.oid and deptype = 'e')
))
"""
# As a new database has it.
_PUBLIC = """\
create schema public;
comment on schema public is 'standard public schema';
grant usage on schema public to public;
alter schema public owner to pg_database_owner;
"""


def run(config_: config.Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Empty the database that a file leads to; say which schemas went."""
    del config_
    with psycopg.connect(make_conninfo(**config.database(wanted.database))) as connection:
        connection.execute(_END_OTHERS)
        schemas = [name for (name,) in connection.execute(_USED)]
        for name in schemas:
            say(f"dropping the schema {name}")
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(name)))
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")
        if "public" in schemas:
            connection.execute(_PUBLIC)
    return {"schemas": schemas}
