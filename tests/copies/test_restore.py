"""A copy comes back into a database that is empty, also where nobody is a superuser; and into no other."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.copies import cluster as clusters
from tests.copies import place as places
from tests.copies.cluster import ADMIN, Cluster
from tests.copies.place import Done, Place


@pytest.fixture(scope="module", params=clusters.MAJORS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places.made(tmp_path_factory.mktemp("restore"), "", major=clusters.MAJORS[request.param]()) as made:
        made.database = made.cluster.sampled("sampled", ADMIN)
        made.configure()
        assert made.run("copy").code == 0
        yield made


@pytest.fixture(scope="module")
def elsewhere(place: Place) -> Iterator[Cluster]:
    """A new managed server: it knows its own roles only."""
    with clusters.running(place.cluster.programs.major) as running:
        yield running


def restored(place: Place, into: dict[str, Any]) -> Done:
    file = place.folder / "into.json"
    file.write_text(json.dumps(into))
    return place.run("restore", "--copy", place.copies()[0], "--into", str(file))


def test_an_owner_that_one_may_not_become_is_named(place: Place, elsewhere: Cluster) -> None:
    everything = {**elsewhere.superuser, "dbname": "postgres"}
    elsewhere.execute(everything, "create role chat_owner superuser")
    done = restored(place, elsewhere.database("other", owner=ADMIN))
    assert done.code == 1
    assert "chat_owner owns something in the copy, and akmadmin may not become it" in done.found["reason"]
    elsewhere.execute(everything, "drop database other", 'drop role chat_owner, "Customer Service", auditor, reader')


def test_a_copy_comes_back_into_a_new_managed_database(place: Place, elsewhere: Cluster) -> None:
    into = elsewhere.database("new", owner=ADMIN)
    done = restored(place, into)
    assert (done.code, done.found.get("reason")) == (0, None), done.said
    assert done.found["roles without login"] == ["Customer Service", "auditor", "chat_owner", "reader"]
    assert done.found["differences"] == []
    assert done.found["compared"]["rows"] == done.found["copy"]["rows"]
    assert all(line.startswith(("roles: ", "settings: ", "memberships", "database: ")) for line in done.found["other"])
    with psycopg.connect(make_conninfo(**into)) as connection:
        asked = "select rolname from pg_roles where rolname !~ '^pg_' and rolcanlogin"
        assert {name for (name,) in connection.execute(asked)} == {"postgres", ADMIN}
        owner = connection.execute("select tableowner from pg_tables where tablename = 'everything'").fetchone()
        assert owner == ("chat_owner",)
    again = restored(place, into)
    assert again.code == 1
    assert again.found["reason"].startswith("the database is not empty: relations: ")
    cleared = place.run("clear", "--database", str(place.folder / "into.json"))
    assert cleared.code == 0, cleared.said
    again = restored(place, into)
    assert (again.code, again.found.get("reason")) == (0, None), again.said


def test_a_superuser_gets_everything_back(place: Place, elsewhere: Cluster) -> None:
    into = elsewhere.database("all")
    done = restored(place, into)
    assert (done.code, done.found["differences"], done.found["refused"]) == (0, [], []), done.said


def test_a_database_of_another_major_version_is_refused(place: Place) -> None:
    major = place.cluster.programs.major
    another = 18 if major < 18 else 16
    with clusters.running(another) as other:
        into = other.database("new")
        done = restored(place, into)
        said = f"the database is of PostgreSQL {another}, the copy of PostgreSQL {major}"
        assert (done.code, done.found["reason"]) == (1, said)


def test_what_a_managed_server_has_is_proved_in_a_drill(place: Place) -> None:
    done = place.run("drill")
    assert (done.code, done.found["result"]) == (0, "proved"), done.said


def test_a_database_that_answers_is_told_from_one_that_does_not(place: Place) -> None:
    assert (place.run("answer").code, place.run("answer").found) == (0, {})
    file = place.folder / "gone.json"
    file.write_text(json.dumps({**place.database, "dbname": "gone"}))
    done = place.run("answer", "--database", str(file))
    assert done.code == 1
    assert 'database "gone" does not exist' in done.found["reason"]
    assert place.database["password"] not in done.found["reason"] + done.said
