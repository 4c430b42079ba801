"""PostgreSQL's programs are found by their major version, wherever they come from."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from toolchain import debian, postgresql, progress

CACHE = os.environ.get("XDG_CACHE_HOME", "")


@pytest.fixture(autouse=True)
def shared_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    if CACHE:
        monkeypatch.setenv("XDG_CACHE_HOME", CACHE)
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")


@pytest.mark.parametrize("major", [16, 18])
def test_the_programs_are_of_the_major_version_that_was_asked_for(major: int) -> None:
    programs = postgresql.find(major, print)
    assert programs.run("initdb", "--version").stdout.startswith(f"initdb (PostgreSQL) {major}.")
    assert "plpgsql" in programs.extensions


def test_some_programs_serve_tls_and_have_the_usual_extensions() -> None:
    programs = postgresql.find(postgresql.with_tls(print), print)
    assert programs.tls
    assert {"citext", "hstore", "pg_trgm"} <= programs.extensions


def test_what_is_nowhere_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str, say: object) -> debian.Tools:  # noqa: ARG001
        raise progress.CommandError("there is none")

    monkeypatch.setattr(debian, "package", none)
    with pytest.raises(progress.CommandError, match=r"PostgreSQL 11 is not here.*install postgresql-11"):
        postgresql.find(11, print)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_programs_in_a_folder_of_root_alone_are_copied_where_the_other_user_reaches_them(tmp_path: Path) -> None:
    own = postgresql.find(16, print)
    tmp_path.chmod(0o700)
    hidden = postgresql.Programs(16, tmp_path / "hidden" / "bin", own.environment)
    shutil.copytree(own.folder.parent, hidden.folder.parent)
    with tempfile.TemporaryDirectory() as reached:
        Path(reached).chmod(0o755)
        copied = hidden.within(Path(reached))
        said = copied.run("initdb", "--version", **postgresql.unprivileged()).stdout
        assert (said[:22], copied.folder.is_relative_to(reached)) == ("initdb (PostgreSQL) 16", True)
    reachable = postgresql.Programs(16, Path("/usr/bin"))
    assert reachable.within(tmp_path) is reachable
