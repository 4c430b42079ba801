"""What a database holds besides rows: a query a section, each giving what a thing is called and its facts (jsonb).

Left out are PostgreSQL's own things, those that extensions brought, and what a dump leaves out by design. Names are
quoted and with their schema, as `search_path` is fixed (record.py). Definitions are kept as `shape()`: what PostgreSQL
prints of one and what it prints of the same after a restore may differ in casts and brackets.
"""

import re

_CAST = re.compile(
    r"::(?:\"[^\"]+\"|[a-z_][a-z0-9_.]*)(?: (?:varying|precision|with(?:out)? time zone))?"
    r"(?:\(\d+(?:,\s*-?\d+)?\))?(?:\[\])*"
)


def shape(definition: str) -> str:
    """Return a definition without casts, brackets and layout."""
    words = " ".join(re.sub(r"[()]", " ", _CAST.sub("", definition)).split())
    return re.sub(r" ?([^\w ]) ?", r"\1", words)


def _privileges(acl: str, kind: str, owner: str) -> str:
    """Return the expression of who may do what: grants as they are, or what they are where none was ever said."""
    whom = "case a.grantee when 0 then 'public' else a.grantee::regrole::text end"
    each = f"{whom} || ' ' || a.privilege_type || case when a.is_grantable then ' with grant' else '' end"
    grants = f"aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) a"
    return f"""(select coalesce(jsonb_agg(distinct ({each}) collate "C"), '[]') from {grants})"""


def _own(catalog: str, alias: str, schema: str | None = None) -> str:
    """Return the condition that a thing is neither PostgreSQL's nor an extension's."""
    member = (
        f"not exists (select from pg_depend e where e.classid = '{catalog}'::regclass and e.objid = {alias}.oid"
        " and e.deptype = 'e')"
    )
    if schema is None:
        return f"{alias}.oid >= 16384 and {member}"
    return f"{schema}::regnamespace::text !~ '^(pg_|information_schema$)' and {member}"


def _shaped(expression: str) -> str:
    """Return the expression of a definition's shape; `shape()` is applied to what is under this key."""
    return f"jsonb_build_object('shape', {expression})"


_COLUMNS = f"""
(select coalesce(jsonb_object_agg(quote_ident(t.attname), jsonb_build_object(
    'type', format_type(t.atttypid, t.atttypmod), 'not null', t.attnotnull, 'identity', t.attidentity,
    'generated', t.attgenerated, 'default', {_shaped("pg_get_expr(f.adbin, f.adrelid)")},
    'collation', nullif(t.attcollation, 0)::regcollation::text,
    'privileges', {_privileges("t.attacl", "c", "c.relowner")})), '{{}}')
 from pg_attribute t left join pg_attrdef f on f.adrelid = t.attrelid and f.adnum = t.attnum
 where t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped)"""

_OTHERS = (
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_event_trigger",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_language",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_publication",
    "pg_statistic_ext",
    "pg_transform",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
)
"""Catalogues of rarer things, of which only what they are called is kept."""

SECTIONS: dict[str, str] = {
    "roles": """
select rolname, jsonb_build_object('superuser', rolsuper, 'inherit', rolinherit, 'createrole', rolcreaterole,
    'createdb', rolcreatedb, 'login', rolcanlogin, 'replication', rolreplication, 'bypassrls', rolbypassrls,
    'connection limit', rolconnlimit, 'valid until', rolvaliduntil)
from pg_roles where rolname !~ '^pg_'""",
    "memberships": """
select member || ' has ' || role, jsonb_build_object('member', member, 'role', role,
    'options', jsonb_object_agg(key, value))
from (select r.rolname as member, g.rolname as role, o.key, bool_or(o.value::bool) as value
    from pg_auth_members m join pg_roles r on r.oid = m.member join pg_roles g on g.oid = m.roleid,
        jsonb_each_text(to_jsonb(m) - '{oid,roleid,member,grantor}'::text[]) o
    where r.rolname !~ '^pg_' group by 1, 2, 3) each
group by member, role""",
    "settings": """
select coalesce(r.rolname, '') || case when d.oid is null then '' else ' here' end,
    jsonb_build_object('role', r.rolname, 'here', d.oid is not null, 'values', to_jsonb(s.setconfig))
from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
where (s.setdatabase = 0 or d.datname = current_database()) and (s.setrole = 0 or r.rolname !~ '^pg_')""",
    "database": f"""
select 'it', jsonb_build_object('owner', datdba::regrole::text, 'encoding', pg_encoding_to_char(encoding),
    'privileges', {_privileges("datacl", "d", "datdba")})
from pg_database where datname = current_database()""",
    "schemas": f"""
select quote_ident(n.nspname), jsonb_build_object('owner', n.nspowner::regrole::text,
    'privileges', {_privileges("n.nspacl", "n", "n.nspowner")})
from pg_namespace n where {_own("pg_namespace", "n", "n.oid")}""",
    "extensions": """
select quote_ident(extname), jsonb_build_object('version', extversion, 'schema', extnamespace::regnamespace::text)
from pg_extension""",
    "types": f"""
select t.oid::regtype::text, jsonb_build_object('kind', t.typtype, 'owner', t.typowner::regrole::text,
    'privileges', {_privileges("t.typacl", "T", "t.typowner")},
    'labels', (select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
    'of', format_type(nullif(t.typbasetype, 0), t.typtypmod), 'not null', t.typnotnull,
    'default', {_shaped("t.typdefault")}, 'columns', {_COLUMNS},
    'range of', (select format_type(r.rngsubtype, null) from pg_range r where r.rngtypid = t.oid))
from pg_type t left join pg_class c on c.oid = t.typrelid
where {_own("pg_type", "t", "t.typnamespace")} and t.typtype <> 'm' and coalesce(c.relkind = 'c', true)
and not exists (select from pg_type e where e.typarray = t.oid)""",
    "relations": f"""
select c.oid::regclass::text, jsonb_build_object('kind', c.relkind, 'owner', c.relowner::regrole::text,
    'privileges', {_privileges("c.relacl", "r", "c.relowner")}, 'columns', {_COLUMNS},
    'persistence', c.relpersistence, 'options', to_jsonb(c.reloptions), 'populated', c.relispopulated,
    'access method', (select m.amname from pg_am m where m.oid = c.relam), 'of', nullif(c.reloftype, 0)::regtype::text,
    'row security', c.relrowsecurity, 'forced', c.relforcerowsecurity, 'replica identity', c.relreplident,
    'parents', (select jsonb_agg(i.inhparent::regclass::text order by i.inhseqno) from pg_inherits i
        where i.inhrelid = c.oid),
    'bound', {_shaped("pg_get_expr(c.relpartbound, c.oid)")},
    'partitioned', {_shaped("pg_get_partkeydef(c.oid)")},
    'view', {_shaped("case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end")})
from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f') and {_own("pg_class", "c", "c.relnamespace")}""",
    "indexes": f"""
select c.oid::regclass::text, jsonb_build_object('definition', {_shaped("pg_get_indexdef(c.oid)")},
    'valid', i.indisvalid, 'primary', i.indisprimary, 'clustered', i.indisclustered, 'replica', i.indisreplident)
from pg_index i join pg_class c on c.oid = i.indexrelid where {_own("pg_class", "c", "c.relnamespace")}""",
    "constraints": f"""
select quote_ident(k.conname) || ' on ' || case when k.conrelid <> 0 then k.conrelid::regclass::text
    else k.contypid::regtype::text end,
    jsonb_build_object('kind', k.contype, 'definition', {_shaped("pg_get_constraintdef(k.oid)")},
    'valid', k.convalidated, 'local', k.conislocal)
from pg_constraint k where {_own("pg_constraint", "k", "k.connamespace")} and k.contype <> 't'""",
    "triggers": f"""
select quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass::text,
    jsonb_build_object('definition', {_shaped("pg_get_triggerdef(t.oid)")}, 'enabled', t.tgenabled)
from pg_trigger t join pg_class c on c.oid = t.tgrelid
where not t.tgisinternal and {_own("pg_class", "c", "c.relnamespace")}""",
    "rules": f"""
select quote_ident(r.rulename) || ' on ' || r.ev_class::regclass::text,
    jsonb_build_object('definition', {_shaped("pg_get_ruledef(r.oid)")}, 'enabled', r.ev_enabled)
from pg_rewrite r join pg_class c on c.oid = r.ev_class
where r.rulename <> '_RETURN' and {_own("pg_class", "c", "c.relnamespace")}""",
    "policies": f"""
select quote_ident(p.polname) || ' on ' || p.polrelid::regclass::text, jsonb_build_object('command', p.polcmd,
    'permissive', p.polpermissive, 'roles', (select jsonb_agg(case r when 0 then 'public' else r::regrole::text end
        order by r::regrole::text collate "C") from unnest(p.polroles) r),
    'using', {_shaped("pg_get_expr(p.polqual, p.polrelid)")},
    'check', {_shaped("pg_get_expr(p.polwithcheck, p.polrelid)")})
from pg_policy p join pg_class c on c.oid = p.polrelid where {_own("pg_class", "c", "c.relnamespace")}""",
    "functions": f"""
select f.oid::regprocedure::text, jsonb_build_object('kind', f.prokind, 'owner', f.proowner::regrole::text,
    'privileges', {_privileges("f.proacl", "f", "f.proowner")}, 'source', md5(f.prosrc),
    'body', {_shaped("pg_get_function_sqlbody(f.oid)")}, 'arguments', {_shaped("pg_get_function_arguments(f.oid)")},
    'result', pg_get_function_result(f.oid), 'language', (select l.lanname from pg_language l where l.oid = f.prolang),
    'volatile', f.provolatile, 'strict', f.proisstrict, 'security definer', f.prosecdef, 'leakproof', f.proleakproof,
    'parallel', f.proparallel, 'settings', to_jsonb(f.proconfig))
from pg_proc f where {_own("pg_proc", "f", "f.pronamespace")}
and not exists (select from pg_depend i
    where i.classid = 'pg_proc'::regclass and i.objid = f.oid and i.deptype = 'i')""",
    "default privileges": f"""
select p.defaclrole::regrole::text || ' for ' || p.defaclobjtype::text || coalesce(' in ' || n.nspname, ''),
    {_privileges("p.defaclacl", "r", "p.defaclrole")}
from pg_default_acl p left join pg_namespace n on n.oid = p.defaclnamespace""",
    "others": " union all ".join(
        f"select i.type || ' ' || i.identity, '{{}}'::jsonb from {catalog} o,"
        f" pg_identify_object('{catalog}'::regclass, o.oid, 0) i where {_own(catalog, 'o')}"
        for catalog in _OTHERS
    ),
    "comments": """
select i.type || ' ' || i.identity, jsonb_build_object('text', md5(d.description))
from pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
where d.objoid >= 16384 and d.classoid <> 'pg_extension'::regclass and not exists (select from pg_depend e
    where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e')""",
    "large objects": f"""
select owner || ': ' || privileges::text, jsonb_build_object('number', count(*))
from (select m.lomowner::regrole::text as owner, {_privileges("m.lomacl", "L", "m.lomowner")} as privileges
    from pg_largeobject_metadata m) each group by owner, privileges""",
}
"""By section. What a key maps to is compared as a whole; where `shape` is in it, definitions are."""

SEQUENCES = f"""
select c.oid::regclass::text, jsonb_build_object('owner', c.relowner::regrole::text,
    'privileges', {_privileges("c.relacl", "s", "c.relowner")}, 'persistence', c.relpersistence,
    'type', s.seqtypid::regtype::text, 'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin,
    'max', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle,
    'of', (select jsonb_agg(d.refobjid::regclass::text || '.' || t.attname) from pg_depend d join pg_attribute t
        on t.attrelid = d.refobjid and t.attnum = d.refobjsubid where d.classid = 'pg_class'::regclass
        and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')))
from pg_sequence s join pg_class c on c.oid = s.seqrelid where {_own("pg_class", "c", "c.relnamespace")}"""

TABLES = f"""
select c.oid::regclass::text, (select jsonb_agg(jsonb_build_array(quote_ident(t.attname), t.atttypid::int8)
    order by t.attname) from pg_attribute t where t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped)
from pg_class c where c.relkind = 'r' and c.relpersistence <> 't' and {_own("pg_class", "c", "c.relnamespace")}"""
"""Tables with rows of their own, and their columns: name and type. In the order of names: theirs may change."""

TYPES = """
select t.oid::int8, t.typname, t.typnamespace = 'pg_catalog'::regnamespace, t.typbasetype::int8, t.typelem::int8,
    t.oid::regtype::text
from pg_type t"""

LARGE_OBJECTS = """
with recursive pages(oid, at, size, hash) as (
    select m.oid, 0::int8, length(p.data), hash_record_extended(row(m.oid, 0::int8, p.data), 0)
    from pg_largeobject_metadata m, lateral (select lo_get(m.oid, 0, 1048576) as data offset 0) p
  union all
    select g.oid, g.at + 1048576, length(p.data), hash_record_extended(row(g.oid, g.at + 1048576, p.data), 0)
    from pages g, lateral (select lo_get(g.oid, g.at + 1048576, 1048576) as data offset 0) p where g.size = 1048576
)
select count(distinct oid), coalesce(sum(hash), 0)::text from pages"""
"""How many they are, and the checksum of what is in them, a megabyte at a time."""

LOCALE = """
select to_jsonb(d) - '{oid,datname,datdba,datacl,datfrozenxid,datminmxid,dattablespace,datconnlimit}'::text[]
from pg_database d where datname = current_database()"""
