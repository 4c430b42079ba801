"""The script that installs what copies need, run with an apt and a dpkg that only write down what they are asked."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from components import user_data

SCRIPT = Path(user_data.__file__).parent / "static/ops/usr/local/sbin/copies-programs"
KEY = "usr/share/postgresql-common/pgdg/apt.postgresql.org"
TOOLS = ["ca-certificates", "postgresql-common", "python3-psycopg", "restic"]

DPKG_QUERY = """#!/bin/sh
for package; do :; done
grep -qx "$package" {root}/installed && printf installed
"""
APT_GET = """#!/bin/sh
echo "$*" >>{root}/asked
case $* in *" update"*) exit ;; esac
while [ "$1" != install ]; do shift; done
shift
printf '%s\\n' "$@" >>{root}/installed
"""


@dataclass(frozen=True)
class Server:
    """A folder that stands for a server's root, and what its apt was asked."""

    root: Path

    def copies(self, **versions: int) -> None:
        """Have databases copied, by environment."""
        for environment, version in versions.items():
            file = self.root / f"etc/chat-tonic/copies/{environment}.json"
            file.write_text(f'{{\n "environment": "{environment}",\n "version": {version},\n "queries": []\n}}\n')

    def run(self) -> list[list[str]]:
        """Run the script, and return what it installed."""
        asked = self.root / "asked"
        asked.write_text("")
        script = SCRIPT.read_text()
        for path in ("/etc/chat-tonic", "/etc/apt", "/etc/os-release", "/usr/share"):
            script = script.replace(path, f"{self.root}{path}")
        path = f"{self.root}/bin:{os.environ['PATH']}"
        subprocess.run(["sh", "-c", script], env={"PATH": path}, timeout=60, check=True)
        installs = [line.partition(" install ")[2] for line in asked.read_text().splitlines() if " install " in line]
        return [line.split() for line in installs]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    for folder in ("bin", "etc/chat-tonic/copies", "etc/apt/sources.list.d", KEY.rpartition("/")[0]):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in (("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET)):
        (tmp_path / "bin" / name).write_text(text.format(root=tmp_path))
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "etc/os-release").write_text("VERSION_CODENAME=trixie\n")
    (tmp_path / f"{KEY}.asc").touch()
    (tmp_path / "installed").touch()
    return Server(tmp_path)


def test_where_nothing_is_copied_nothing_is_installed(server: Server) -> None:
    assert server.run() == []


def test_postgresql_comes_in_each_version_from_its_own_archive_by_debians_key(server: Server) -> None:
    server.copies(production=16, bots=17, internal=16)
    assert server.run() == [TOOLS, ["postgresql-16", "postgresql-17"]]
    assert (server.root / "etc/apt/sources.list.d/pgdg.sources").read_text() == (
        "Types: deb\nURIs: https://apt.postgresql.org/pub/repos/apt\nSuites: trixie-pgdg\nComponents: main\n"
        f"Signed-By: {server.root}/{KEY}.asc\n"
    )


def test_the_binary_form_of_the_key_goes_before_where_debian_ships_it(server: Server) -> None:
    (server.root / f"{KEY}.gpg").touch()
    server.copies(production=16)
    server.run()
    assert f"{KEY}.gpg\n" in (server.root / "etc/apt/sources.list.d/pgdg.sources").read_text()


def test_what_is_there_is_not_installed_again_and_a_new_version_is(server: Server) -> None:
    server.copies(production=16)
    assert len(server.run()) == 2
    assert server.run() == []
    assert (server.root / "asked").read_text() == "", "apt is not even asked"
    server.copies(production=17)
    assert server.run() == [["postgresql-17"]]
