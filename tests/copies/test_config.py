"""What the configuration must say."""

import json
from pathlib import Path
from typing import Any

import pytest
from psycopg import pq

from copies import __main__ as program
from copies import config
from copies.config import ConfigError

GOOD: dict[str, Any] = {
    "stack": "us-central",
    "environment": "production",
    "version": 16,
    "database": {
        "host": "db",
        "port": 5432,
        "dbname": "shop",
        "user": "u",
        "password": "word",
        "sslmode": "verify-full",
    },
    "repository": {"url": "s3:https://host/bucket", "access_key": "access", "secret_key": "secret", "region": "us-ord"},
    "key": "restic's",
    "alarm": {"smtp": "smtps://u:relays@host:465", "from": "alarms@chat-tonic.example", "to": ["a@b.example"]},
    "queries": [{"sql": "select 1", "expects": "1"}],
}


def test_it_is_read_with_what_it_leaves_out(tmp_path: Path) -> None:
    file = tmp_path / "production.json"
    file.write_text(json.dumps(GOOD))
    read = config.read(file)
    assert (read.name, read.kept, read.hour) == ("us-central/production", 30, 2)
    assert read.program("pg_dump") == Path("/usr/lib/postgresql/16/bin/pg_dump")
    assert read.alarm
    assert read.alarm.sender == "alarms@chat-tonic.example"
    assert [query.expects for query in read.queries] == ["1"]
    assert config.variables(read.database)["PGPASSWORD"] == "word"
    assert config.variables(read.database)["PGPORT"] == "5432"
    for secret in ("word", "secret", "restic's", "relays"):
        assert secret not in repr(read)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kept": "30"}, "kept must be int"),
        ({"kept": 0}, "kept must be at least 1"),
        ({"hour": 24}, "hour one of 0 to 23"),
        ({"version": True}, "version must be int"),
        ({"keep": 30}, "keep is unknown"),
        ({"database": {**GOOD["database"], "sslmode": ""}}, "database.sslmode is missing"),
        ({"database": {**GOOD["database"], "sslpassword": "word"}}, "database.sslpassword is no parameter"),
        ({"database": []}, "database must be dict"),
        ({"repository": {"url": "s3:https://host/bucket"}}, "repository.access_key is missing"),
        ({"repository": {**GOOD["repository"], "url": "/a/folder"}}, "repository.url must be s3:https://HOST/BUCKET"),
        ({"alarm": {"smtp": "smtps://host", "to": []}}, "alarm.from is missing"),
        ({"queries": [{"sql": 1, "expects": "1"}]}, "queries.[0].sql must be str"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_wrong_is_refused_by_its_key(
    tmp_path: Path, wrong: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "production.json"
    file.write_text(json.dumps({**GOOD, **wrong}))
    assert program.main(["--config", str(file), "check"]) == 2
    printed = capsys.readouterr()
    assert f"{file}: " in printed.err
    assert said in printed.err
    assert "word" not in printed.err.replace("sslpassword", "")


def test_every_parameter_of_a_database_is_one_of_libpqs() -> None:
    known = {each.keyword.decode(): each.envvar and each.envvar.decode() for each in pq.Conninfo.get_defaults()}
    assert config.VARIABLES.items() <= known.items()
    assert {name: known[name] for name in config.NOTICES} == dict.fromkeys(config.NOTICES)


def test_a_file_that_is_not_there_or_no_json_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        config.read(tmp_path / "production.json")
    tmp_path.joinpath("production.json").write_text('{"key": "secret')
    with pytest.raises(ConfigError, match=r"production.json: is not JSON$"):
        config.database(tmp_path / "production.json")
