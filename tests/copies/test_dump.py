"""A dump is restored by many jobs at once, and what is restored is as valid as it was."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from copies import config, dump, server
from tests.copies import cluster as clusters
from tests.copies.cluster import Cluster

PARTITIONED = """
create table visits (room int, day int, primary key (room, day)) partition by list (day);
create table a partition of visits for values in (1) partition by hash (room);
create table b_0 partition of a for values with (modulus 2, remainder 0);
create table b_1 partition of a for values with (modulus 2, remainder 1);
create table c partition of visits default;
create table doors (room int, day int, foreign key (room, day) references visits);
create materialized view totals as select day, count(*) from visits group by day;
create function quiet() returns event_trigger language plpgsql as 'begin end';
create event trigger quiet on ddl_command_start execute function quiet();
comment on event trigger quiet is 'is restored last';
insert into visits select i % 10, i from generate_series(1, 100) i;
insert into doors values (1, 1);
revoke select on visits from postgres;
"""

# Makes jobs meet where they harm each other: one attaches the last partition of a partition, and has not committed yet
# when another attaches the last partition of the table. Who waits in vain goes on after a while.
MEETING = """
create function attached(name text) returns boolean language sql volatile as
    'select exists (select from pg_inherits where inhrelid = to_regclass($1))';
create function meet() returns event_trigger language plpgsql as $$
declare
    until timestamptz := clock_timestamp() + interval '3 s';
    last_inside boolean := current_query() like '%b_1_pkey%';
    last boolean := current_query() like '%c_pkey%';
begin
    if tg_event = 'ddl_command_end' then
        if last_inside then
            perform pg_advisory_xact_lock(1), pg_sleep(0.5);
        end if;
        return;
    end if;
    while clock_timestamp() < until and (
        last_inside and not public.attached('public.a_pkey')
        or last and not public.attached('public.b_1_pkey')
            and not exists (select from pg_locks where locktype = 'advisory' and granted)
    ) loop
        perform pg_sleep(0.01);
    end loop;
end $$;
create event trigger before on ddl_command_start when tag in ('ALTER INDEX') execute function meet();
create event trigger after on ddl_command_end when tag in ('ALTER INDEX') execute function meet();
"""


@pytest.fixture(scope="module", params=clusters.MAJORS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with clusters.running(clusters.MAJORS[request.param]()) as running:
        yield running


def test_the_index_of_a_table_whose_partitions_have_partitions_is_valid(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)  # as many jobs as there are indexes to attach
    programs, source = cluster.programs, cluster.database("source", PARTITIONED)
    into = cluster.database("into", MEETING)
    with server.folder() as folder:
        file = folder / "dump"
        programs.run("pg_dump", "--format=custom", f"--file={file}", variables=config.variables(source))
        contents = dump.contents(programs.folder, file)
        assert sum(" INDEX ATTACH " in line for line in contents) == 4
        dump.restore(programs.folder, file, into, contents, user=None)
    with psycopg.connect(make_conninfo(**into)) as connection:
        asked = "select indexrelid::regclass::text from pg_index where not indisvalid"
        assert connection.execute(asked).fetchall() == []
        assert connection.execute("select count(*) from totals").fetchall() == [(100,)]
        assert connection.execute("select evtname from pg_event_trigger order by 1").fetchall() == [
            ("after",),
            ("before",),
            ("quiet",),
        ]
        assert connection.execute(
            "select confrelid::regclass::text from pg_constraint where contype = 'f' and conparentid = 0"
        ).fetchall() == [("visits",)]


def test_a_file_that_is_no_dump_is_told(cluster: Cluster) -> None:
    with server.folder() as folder:
        file = folder / "dump"
        file.write_text("nothing")
        with pytest.raises(server.ServerError, match=r"pg_restore failed: .*does not appear to be a valid archive"):
            dump.contents(cluster.programs.folder, file)
