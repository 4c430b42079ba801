"""A real OpenSSH server on a machine: a process for each connection, as systemd's ssh.socket has it.

It lets in `ops` and nobody else, with the keys that the server has, in the way that the server's own configuration
says. `ops` is whoever runs the sandbox: a wrapper of the C library tells sshd of such a user, and of the one whose few
rights it takes on where it is run by root. Sessions are told where their server's `/` is.
"""

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox import children, process
from sandbox.addresses import port_for
from sandbox.machines import programs
from toolchain.debian import Tools

USER = "ops"
PORT = port_for(22)
_RUN = Path("/run/sshd")
_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Of the server's own configuration, what is ours to say here: its paths begin at another `/`.
_OURS = ("allowusers", "authorizedkeysfile", "hostkey", "include", "permitrootlogin", "port", "listenaddress", "setenv")


@dataclass(frozen=True)
class Sshd:
    """The server of the machine in a folder, whose `/` is `folder/root` and whose loopback is `address`."""

    folder: Path
    address: str
    tools: Tools
    bin: Path

    @property
    def loaded_key(self) -> Path:
        """The host key that it shows: taken over when it is loaded."""
        return self.folder / "host_key"

    def prepare(self) -> None:
        """Writes its configuration, and who its users are."""
        root = self.folder / "root"
        lines = [
            f"HostKey {_quoted(self.loaded_key)}",
            f"AuthorizedKeysFile {_quoted(root / 'etc/ssh/authorized_keys' / USER)}",
            f"AllowUsers {USER}",
            "PermitRootLogin prohibit-password",
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            f"SetEnv {_quoted(f'{children.MARK}={root}')} {_quoted(f'PATH={self.bin}:{_SYSTEM}')}"
            f" {_quoted(f'{programs.ADDRESS}={self.address}')}",
            *self._hardening(root),
        ]
        _write(self.folder / "sshd_config", lines)
        home = root / "home" / USER
        users = [
            f"{USER}:x:{os.getuid()}:{os.getgid()}:{USER}:{home}:/bin/sh",
            f"sshd:x:{os.getuid() or 65_534}:65534::{_RUN}:/usr/sbin/nologin",
        ]
        _write(self.folder / "passwd", users)
        _write(self.folder / "group", [f"{USER}:x:{os.getgid()}:", "nogroup:x:65534:"])
        if os.geteuid() == 0:  # where it gives up its rights; the package's own unit makes it at boot
            _RUN.mkdir(mode=0o755, exist_ok=True)

    def serve(self, connection: socket.socket) -> subprocess.Popen[bytes]:
        """Serves one connection; the process ends with it, or with this one."""
        with (self.folder / "sshd.log").open("ab") as log:
            return subprocess.Popen(
                [str(self.tools.path("sshd")), "-i", "-e", "-f", str(self.folder / "sshd_config")],
                env=self.environment(),
                stdin=connection.fileno(),
                stdout=connection.fileno(),
                stderr=log,
                preexec_fn=children.tied(os.getpid()),  # noqa: PLW1509 - this process has no other thread
            )

    def environment(self) -> dict[str, str]:
        """The environment in which programs know this server's users."""
        wrapper = self.tools.path("libnss_wrapper.so")
        libraries = self.tools.environment.get("LD_LIBRARY_PATH", "")
        return {
            **os.environ,
            **self.tools.environment,
            # By its name alone, and looked for: a blank in a path would end it (ld.so(8)).
            "LD_PRELOAD": wrapper.name,
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [str(wrapper.parent), libraries])),
            "NSS_WRAPPER_PASSWD": str(self.folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.folder / "group"),
        }

    @staticmethod
    def _hardening(root: Path) -> list[str]:
        parts = sorted((root / "etc/ssh/sshd_config.d").glob("*.conf"))
        lines = [line.strip() for part in parts for line in part.read_text().splitlines()]
        return [line for line in lines if line and line.split()[0].lower() not in (*_OURS, "#")]


def listen(address: str) -> socket.socket:
    """A socket that listens for SSH."""
    listener = socket.create_server((address, PORT), backlog=64)
    listener.setblocking(False)
    return listener


def _quoted(value: Path | str) -> str:
    return '"' + str(value).replace("%", "%%").replace('"', '\\"') + '"'


def _write(file: Path, lines: list[str]) -> None:
    process.write_private(file, "".join(f"{line}\n" for line in lines))
