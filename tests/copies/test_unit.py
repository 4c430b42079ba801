"""The program as the ops server's units run it: root without what root may, and without a look at root's home."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import user_data
from copies import __main__ as program
from tests.configuration import ROOT
from tests.copies import place as places
from tests.copies.place import Place

UNITS = Path(user_data.__file__).parent / "static/ops/etc/systemd/system"
DROPPED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""As CapabilityBoundingSet= has it."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places.made(tmp_path_factory.mktemp("unit"), "create table orders (id int)") as place:
        assert place.database["sslmode"] == "verify-full"
        place.database["sslrootcert"] = shutil.copy(place.database["sslrootcert"], place.folder)  # root's, as there
        place.cluster.folder.chmod(0o711)  # where the programs may be
        place.configure()
        yield place


@pytest.fixture
def closed(tmp_path: Path) -> str:
    """Root's home as ProtectHome= shows it."""
    home = tmp_path / "root"
    home.mkdir(mode=0)
    return str(home)


def said(unit: str, key: str) -> str | None:
    """What a unit says for a key."""
    found = re.search(f"^{key}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return found and found[1]


def copy(place: Place, home: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*DROPPED, sys.executable, "-m", "copies", "--config", place.config, "copy", "--by-hand"],
        cwd=ROOT,
        env={**os.environ, **place.cluster.programs.environment, "HOME": home},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_copies_over_verified_tls_with_the_home_that_the_units_name(place: Place, closed: str) -> None:
    done = copy(place, said("copies-.service.d/common.conf", "Environment=HOME") or closed)
    assert (done.returncode, done.stdout and json.loads(done.stdout)["rows"]) == (0, 0), done.stderr


def test_without_it_libpq_may_not_look_for_a_certificate_in_roots(place: Place, closed: str) -> None:
    done = copy(place, closed)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"postgresql\.crt.*Permission denied", done.stderr)


def test_only_what_was_told_of_is_no_failure_of_the_look_at_the_copies() -> None:
    assert said("copies-check@.service", "SuccessExitStatus") == str(program.OVERDUE)
    assert program.OVERDUE not in (0, 1, 2), "with which Python ends where something goes wrong"
