"""The record of a database is the same for its copy, whatever the session, and another after each single change."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from copies import compare, config, drill, dump, record, server
from copies.catalog import shape
from tests.copies import cluster
from tests.copies.cluster import Cluster


@dataclass
class Sample:
    """A cluster with the sample database, how that is reached, and the record of it."""

    cluster: Cluster
    database: dict[str, Any]
    record: dict[str, Any]

    def changed(self, script: str) -> list[str]:
        """Return what is other while a script's changes are there, which are taken back."""
        with psycopg.connect(**self.database) as connection:
            connection.execute(script.encode())
            found = record.Snapshot("", connection, record._settled(connection, {})).take()
            connection.rollback()
        return compare.differences(self.record, found)


@pytest.fixture(scope="module", params=cluster.MAJORS)
def sample(request: pytest.FixtureRequest) -> Iterator[Sample]:
    with cluster.running(cluster.MAJORS[request.param]()) as running:
        database = running.sampled()
        yield Sample(running, database, record.take(database))


def test_a_restored_database_has_the_same_record(sample: Sample) -> None:
    with server.folder() as folder, record.snapshot(sample.database) as held:
        file = folder / "dump"
        options = ["--format=custom", "--compress=0", f"--snapshot={held.name}", f"--file={file}"]
        sample.cluster.programs.run("pg_dump", *options, variables=config.variables(sample.database))
        taken = json.loads(json.dumps(held.end(held.take())))
        programs = sample.cluster.programs.folder
        server.finish(server.initialise(programs, folder / "data"), "initdb")
        with server.running(programs, folder / "data") as reached:
            database = drill._prepared(reached, taken)
            dump.restore(programs, file, database, dump.contents(programs, file), user=None)
            assert compare.differences(taken, record.take(database)) == []


def test_a_database_that_goes_dark_is_noticed_in_a_minute(sample: Sample) -> None:
    with (
        record.snapshot(sample.database) as held,
        socket.socket(fileno=os.dup(held._connection.fileno())) as wire,
    ):
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15


def test_the_settings_of_a_session_change_nothing(sample: Sample) -> None:
    settings = {
        "TimeZone": "Asia/Kolkata",
        "DateStyle": "German",
        "IntervalStyle": "sql_standard",
        "bytea_output": "escape",
        "extra_float_digits": "-15",
        "search_path": "chat",
        "quote_all_identifiers": "on",
        "statement_timeout": "10s",
        "default_transaction_isolation": "serializable",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    assert record.take({**sample.database, "options": options})["sections"] == sample.record["sections"]


OF_EXTENSIONS = {
    "hstore": [
        "update chat.extended set pairs = 'a=>1, b=>\"NULL\"' where pairs ? 'a'",
        "update chat.extended set name = 'name'",
        "update chat.folded set word = 'word'",
    ],
    "vector": ["update chat.embedded set v = '[0,1e-30,3.4e38]' where id = 2"],
}


def test_one_other_value_of_an_extension_is_another_record(sample: Sample) -> None:
    (scripts,) = (scripts for name, scripts in OF_EXTENSIONS.items() if name in sample.cluster.programs.extensions)
    for script in scripts:
        (line,) = sample.changed(script)
        assert ": checksum: is " in line


VALUES = [
    "half = 2",
    "flag = false",
    "raw = '\\x00ff5c28'",
    'document = \'{"a": 1.0, "b": [null, "ü"], "c": 1.0}\'',
    'words = \'{"b":1, "a":2, "a":1}\'',
    'tags = \'{a,b c,"NULL",""}\'',
    "tags = '{a,b c,NULL}'",
    "grid = '{{1,2},{3,4}}'",
    "grid = '[0:3]={1,2,3,4}'",
    "shares = '{1.00,1.0,NaN}'",
    "dates = '{2026-03-29 02:30:01+01,infinity}'",
    "moods = '{sad,ok}'",
    "happened = happened + interval '1 microsecond'",
    "local = null",
    "zoned = '12:00:00+05:31'",
    "took = '29 days 00:00:00.5'",
    "took = '1 mon -1 day 00:00:00.500001'",
    "exact = 1.5",
    "exact = -1.50",
    "exact = 'Infinity'",
    "exact = 'NaN'",
    "exact = '-Infinity'",
    "scaled = -scaled",
    "approximate = 0",
    "small = 'Infinity'",
    "body = 'Plain'",
    "body = 'plain '",
    "body = null",
    "short = ''",
    "padded = 'Padded'",
    "mood = 'ok'",
    "contact = 'a@c'",
    "cost = 9.91",
    "home.point = 0.10000000000000002",
    "homes = array[('x', 1, '0')::chat.address]",
    "between_dates = '[2026-01-01,2026-02-01]'",
    "between_floats = '[0.0,1.5)'",
    "many_ranges = '{[1,3),[5,10)}'",
    "address = '192.0.2.1/25'",
    "bits = B'10101011'",
    "more_bits = B'1010'",
    "spot = '(1.5,0)'",
    "searched = 'fat:2 cat:3B'",
    "worth = '12.35'",
    "thing = 'pg_type'",
    "folded = 'É'",
]


def test_one_other_value_is_another_checksum(sample: Sample) -> None:
    table, same = "chat.everything", []
    with psycopg.connect(**sample.database) as connection:
        record._settled(connection, {})
        before = dict(record._tables(connection))
        for value in VALUES:
            with connection.transaction(force_rollback=True):
                connection.execute(f"update {table} set {value} where id = 100".encode())  # noqa: S608
                after = dict(record._tables(connection))
                if after != {**before, table: {**before[table], "checksum": after[table]["checksum"]}}:
                    raise AssertionError(f"{value} changes more than one checksum")
                same += [value] if after == before else []
        with connection.transaction(force_rollback=True):
            connection.execute("update chat.everything set approximate = 0 where approximate = 0")
            same += ["-0.0"] if dict(record._tables(connection)) == before else []
    assert same == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("delete from chat.dogs", ["tables: chat.dogs: rows: is 0, was 1", "tables: chat.dogs: checksum"]),
        ("insert into chat.empty values (null, null)", ["tables: chat.empty: rows: is 1, was 0"]),
        ("insert into chat.nothing default values", ["tables: chat.nothing: rows: is 2, was 1"]),
        (
            "insert into chat.customers select 21, name from chat.customers where id = 1",
            ["tables: chat.customers: rows: is 21, was 20"],
        ),
        (
            "with a as (delete from chat.messages where room = 1 and body = 'message 8' returning said, body)"
            " insert into chat.messages select 2, said, body from a",
            ["tables: chat.messages_2025_"],
        ),
        ("drop table chat.animals cascade", ["relations: chat.animals is missing", "tables: chat.dogs is missing"]),
        ("create table chat.more ()", ["relations: chat.more is not in the copy", "tables: chat.more is not in the"]),
        ("alter table chat.empty add c int", ["relations: chat.empty: columns: c"]),
        ("alter table chat.empty alter b set default 'x'", ["columns: b: default"]),
        ("alter table chat.empty alter a type bigint", ['columns: a: type: is "bigint", was "integer"']),
        ("alter table chat.empty alter a set not null", ["columns: a: not null: is true, was false"]),
        ("alter table chat.everything alter id set generated by default", ["columns: id: identity"]),
        ("alter table chat.everything alter length drop expression", ["columns: length"]),
        ("alter table chat.empty set (fillfactor = 50)", ["relations: chat.empty: options"]),
        ("alter table chat.passing set logged", ["relations: chat.passing: persistence"]),
        ("alter table chat.messages detach partition chat.messages_later", ["chat.messages_later: bound", "parents"]),
        ("alter table chat.empty owner to chat_owner", ['relations: chat.empty: owner: is "chat_owner"']),
        ("grant select on chat.empty to reader", ["relations: chat.empty: privileges"]),
        ("grant select on chat.empty to public", ["relations: chat.empty: privileges"]),
        ("revoke select on chat.everything from reader", ["relations: chat.everything: privileges"]),
        ('revoke grant option for update (body) on chat.everything from "Customer Service"', ["columns: body: priv"]),
        ("alter table chat.orders disable row level security", ["row security: is false, was true"]),
        ("alter schema chat owner to postgres", ["schemas: chat: owner"]),
        ("revoke usage on schema chat from reader", ["schemas: chat: privileges"]),
        ("drop index chat.orders_open", ["indexes: chat.orders_open is missing"]),
        ("alter index chat.orders_open rename to x", ["indexes: chat.orders_open is missing", "chat.x is not in the"]),
        ("alter table chat.orders validate constraint later", ["constraints: later on chat.orders: valid"]),
        ("alter table chat.orders drop constraint later", ["constraints: later on chat.orders is missing"]),
        (
            'create or replace view chat.open_orders as select id, state, null collate "C" as name from chat.orders',
            ["view: is"],
        ),
        ("refresh materialized view chat.unfilled", ["relations: chat.unfilled: populated"]),
        ("alter type chat.mood rename value 'ok' to 'fine'", ["types: chat.mood: labels"]),
        ("alter domain chat.price drop not null", ["types: chat.price: not null"]),
        ("alter type chat.address add attribute zip text", ["types: chat.address: columns: zip"]),
        ("alter sequence chat.huge increment by 2", ["sequences: chat.huge: increment: is 2, was 1"]),
        ("alter sequence chat.tickets no cycle", ["sequences: chat.tickets: cycle: is false, was true"]),
        ("alter sequence chat.pinned owner to chat_owner", ["sequences: chat.pinned: owner"]),
        ("grant usage on sequence chat.pinned to reader", ["sequences: chat.pinned: privileges"]),
        ("alter function chat.touch() security invoker", ["functions: chat.touch(): security definer"]),
        ("alter function chat.touch() owner to postgres", ["functions: chat.touch(): owner"]),
        (
            "grant execute on function chat.twice to public",
            ["functions: chat.twice(integer,text,integer[]): privileges"],
        ),
        ("create or replace procedure chat.nothing_much(inout a int) language sql as 'select 2'", ["source"]),
        ("alter table chat.customers enable trigger touch", ["triggers: touch on chat.customers: enabled"]),
        ("drop rule no_delete on chat.customers", ["rules: no_delete on chat.customers is missing"]),
        ("alter policy own on chat.orders to public", ["policies: own on chat.orders: roles"]),
        ("drop statistics chat.orders_statistics", ["others: statistics object chat.orders_statistics is missing"]),
        ("drop publication everything", ["others: publication everything is missing"]),
        ("comment on schema chat is 'else'", ["comments: schema chat: text"]),
        (
            "alter default privileges for role chat_owner in schema chat grant insert on tables to reader",
            ["default pri"],
        ),
        ("alter default privileges for role chat_owner grant execute on functions to public", ["default privileges"]),
        ("alter role reader createdb", ["roles: reader: createdb: is true, was false"]),
        ("drop owned by reader; drop role reader", ["roles: reader is missing", "memberships: auditor has reader"]),
        ("revoke reader from auditor", ["memberships: auditor has reader is missing"]),
        ("alter role chat_owner reset work_mem", ["settings: chat_owner is missing"]),
        (
            "do $$ begin execute format('alter database %I reset timezone', current_database()); end $$",
            ["settings:  here"],
        ),
        (
            "do $$ begin execute format('grant create on database %I to reader', current_database()); end $$",
            ["database: it: privileges"],
        ),
        ("select lo_put(1000002, 2000000, 'x')", ["contents of large objects: all: checksum"]),
        ("select lo_unlink(1000003)", ["contents of large objects: all: number: is 2, was 3"]),
        ("grant update on large object 1000003 to reader", ["large objects: "]),
    ],
)
def test_one_other_thing_is_another_record(sample: Sample, script: str, told: list[str]) -> None:
    found = sample.changed(script)
    assert [text for text in told if not any(text in line for line in found)] == []


def test_a_sequence_that_went_on_is_another_record(sample: Sample) -> None:
    with psycopg.connect(**sample.database) as connection:
        connection.execute("select nextval('chat.pinned')")
        after = record.take(sample.database)
        (line,) = compare.differences(sample.record, after)
        assert line == "sequences: chat.pinned: has given 42, had 41"
        while_copied = {**sample.record["sections"]["sequences"]["chat.pinned"], "until": [43, True]}
        sections = {**sample.record["sections"]}
        sections["sequences"] = {**sections["sequences"], "chat.pinned": while_copied}
        assert compare.differences({**sample.record, "sections": sections}, after) == []
        connection.execute("select setval('chat.pinned', 42, false)")


def test_another_major_version_is_told_as_such(sample: Sample) -> None:
    other = {**sample.record, "server": {"major": 14, "version": "14.1"}}
    major = sample.record["server"]["major"]
    assert compare.differences(other, sample.record) == [
        f"the server is PostgreSQL {major}, the copy is of PostgreSQL 14"
    ]


def test_what_was_there_before_may_still_be(sample: Sample) -> None:
    sections = {**sample.record["sections"], "extensions": {}}
    fewer = {**sample.record, "sections": sections}
    assert any(line.startswith("extensions: plpgsql is not") for line in compare.differences(fewer, sample.record))
    assert compare.differences(fewer, sample.record, given=sample.record) == []
    assert compare.differences(fewer, sample.record, without={"extensions"}) == []


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (
            "((x)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            "((x)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]))",
        ),
        ("(a + (1)::numeric(10,2))", "a + 1"),
        ("'2026-01-01'::timestamp with time zone", "('2026-01-01'::timestamp without time zone)"),
    ],
)
def test_definitions_that_differ_in_casts_and_brackets_have_one_shape(one: str, another: str) -> None:
    assert shape(one) == shape(another)
    assert shape(one) != shape(one.replace("a", "c").replace("2026", "2027"))
