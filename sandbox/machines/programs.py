"""The stand-ins: what a session on a machine finds first on its PATH, under the names of a server's own programs.

`systemctl`, `apt-get` and others hand what they are called with to the machine, which plays them; `sudo` and `curl` are
a few lines of shell; and what would reach past the machine, to the system that it runs on, is refused.
"""

import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from toolchain.debian import Tools

ADDRESS = "MACHINE_ADDRESS"
"""The variable with the address that plays a machine's loopback."""

_REFUSED = (
    "halt",
    "init",
    "iptables",
    "mount",
    "nft",
    "poweroff",
    "reboot",
    "service",
    "shutdown",
    "telinit",
    "umount",
)

_SUDO = """\
#!/bin/sh
# Who logs in is already who the machine runs as; the rest is run, as sudo would.
while :; do
    case ${1-} in
    -n | -E | -H | --non-interactive | --) shift ;;
    [A-Z_]*=*) export "$1"; shift ;;
    -*) echo "sudo: not modelled in the sandbox: sudo $*" >&2; exit 2 ;;
    "") echo "usage: sudo COMMAND" >&2; exit 1 ;;
    *) exec "$@" ;;
    esac
done
"""

# The machine's loopback is an address of its own.
_CURL = """\
#!/bin/sh
{libraries}exec {curl} --noproxy '*' --connect-to "127.0.0.1::${address}:" --connect-to "localhost::${address}:" "$@"
"""

_PLAYED = """\
#!/bin/sh
exec {python} -IS {client} {name} "$@"
"""

_REFUSAL = """\
#!/bin/sh
echo "{name}: not modelled in the sandbox" >&2
exit 127
"""


def install(folder: Path, tools: Tools, played: Iterable[str]) -> None:
    """Puts the stand-ins into a folder: those that a machine plays, and the others."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    curl = tools.path("curl")
    libraries = tools.environment.get("LD_LIBRARY_PATH", "") if curl.is_relative_to(tools.roots[-1]) else ""
    exported = f"export LD_LIBRARY_PATH={shlex.quote(libraries)}\n" if libraries and len(tools.roots) > 1 else ""
    python, client = shlex.quote(sys.executable), shlex.quote(str(Path(__file__).with_name("client.py")))
    scripts = {
        "sudo": _SUDO,
        "curl": _CURL.format(libraries=exported, curl=shlex.quote(str(curl)), address=ADDRESS),
        **{name: _PLAYED.format(python=python, client=client, name=name) for name in played},
        **{name: _REFUSAL.format(name=name) for name in _REFUSED},
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o700)
