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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places.made(tmp_path_factory.mktemp("restore"), "") as made:
        made.database = made.cluster.sampled("sampled")
        made.configure()
        assert made.run("copy").code == 0
        yield made


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Cluster]:
    """A new managed server: it knows its own roles only."""
    with clusters.running(15) as running:
        yield running


def restored(place: Place, into: dict[str, Any]) -> Done:
    file = place.folder / "into.json"
    file.write_text(json.dumps(into))
    return place.run("restore", "--copy", place.copies()[0], "--into", str(file))


def test_a_copy_comes_back_into_a_new_managed_database(place: Place, elsewhere: Cluster) -> None:
    # What a managed server's users can't have in the first place.
    with psycopg.connect(make_conninfo(**place.database), autocommit=True) as connection:
        connection.execute("drop publication if exists everything")
    assert place.run("copy", "--by-hand").code == 0
    superuser = elsewhere.database("new", "create extension citext", owner=ADMIN)
    into = {**elsewhere.admin, "dbname": "new"}
    done = restored(place, into)
    assert (done.code, done.found.get("reason")) == (0, None), done.said
    assert done.found["roles without login"] == ["Customer Service", "auditor", "chat_owner", "reader"]
    assert done.found["differences"] == []
    assert done.found["compared"]["tables"] == 14
    assert all(line.startswith(("roles: ", "settings: ", "memberships", "database: ")) for line in done.found["other"])
    with psycopg.connect(make_conninfo(**superuser)) as connection:
        asked = "select rolname from pg_roles where rolname !~ '^pg_' and rolcanlogin"
        assert {name for (name,) in connection.execute(asked)} == {"postgres", ADMIN}
        owner = connection.execute("select tableowner from pg_tables where tablename = 'everything'").fetchone()
        assert owner == ("chat_owner",)
    again = restored(place, into)
    assert again.code == 1
    assert again.found["reason"].startswith("the database is not empty: relations: ")
