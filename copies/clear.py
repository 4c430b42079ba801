"""Emptying a database that a copy was restored into, and not to the end: all goes that is not the server's own."""

import argparse
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from copies import config, end
from copies.repository import Say

_OWNED = """\
from pg_shdepend join pg_roles as role on refclassid = 'pg_authid'::regclass and refobjid = role.oid and deptype = 'o',
    pg_identify_object(classid, objid, 0)
where dbid = (select oid from pg_database where datname = current_database())
    and not rolsuper and rolname !~ '^pg_' and (rolname = current_user) = %s
"""
_OTHERS = "select distinct rolname, pg_has_role(role.oid, 'usage') " + _OWNED
# By name: to drop all that one owns takes memberships away as well that one has granted (PostgreSQL 16).
_OURS = f"""\
select format('drop %%s if exists %%s cascade', replace(type, ' object', ''), identity) {_OWNED}
    and type not in ('default acl', 'large object')
order by type <> 'schema'
"""
# As a new database has it.
_PUBLIC = """\
create schema public;
comment on schema public is 'standard public schema';
grant usage on schema public to public;
alter schema public owner to pg_database_owner;
"""


def run(config_: config.Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Empty the database that a file leads to; return who else owned anything in it."""
    del config_
    with psycopg.connect(make_conninfo(**config.connecting(config.database(wanted.database)))) as connection:
        connection.execute(end.OTHERS)  # whoever was cut off may still be at it
        others = connection.execute(_OTHERS, [False]).fetchall()
        for owner, is_ours in others:
            say(f"dropping what {owner} owns")
            # Who restored made this role, and once a restore has come to its end is no member of it.
            borrowed = [] if is_ours else ["grant {} to current_user", "revoke {} from current_user"]
            for text in (*borrowed[:1], "drop owned by {} cascade", *borrowed[1:]):
                connection.execute(sql.SQL(text).format(sql.Identifier(owner)))
        for (statement,) in connection.execute(_OURS, [True]).fetchall():
            connection.execute(statement)
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")
        if not connection.execute("select from pg_namespace where nspname = 'public'").fetchall():
            connection.execute(_PUBLIC)
    return {"owners": [owner for owner, _ in others]}
