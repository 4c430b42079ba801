"""One machine: a process that plays a server from its boot until it is off.

Its folder holds `root`, which plays `/`, and beside it what the machine keeps for itself: `packages.json`,
`images.json`, `control` (where the stand-ins of its sessions ask), `sshd.log`, `up` (there once it has booted).
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sandbox.machines import births, sshd
from sandbox.machines.client import SOCKET
from sandbox.machines.commands import Command, Ended, parted, unknown
from sandbox.machines.images import Images
from sandbox.machines.packages import ARCHIVE, Packages
from sandbox.machines.units import App, Caddy, Gate, Ssh, Systemd, Unit
from toolchain.debian import Tools

UP = "up"
BIN = ".bin"  # the folder of the stand-ins, beside those of the machines: no label begins like this
PLAYED = (
    *("apt", "apt-cache", "apt-get", "cloud-init", "dpkg", "dpkg-query", "podman", "reboot-due", "ss", "systemctl"),
    "uname",
)
_SS_LETTERS = {"--no-header": "H", "--numeric": "n", "--tcp": "t"}
_OFF_WITHIN = 5.0
_ANSWERS_FOR = 0.1  # seconds from `systemctl reboot`, which does not wait for it, to the end


def run(folder: Path, address: str, tools: Tools) -> None:
    """Plays the machine in a folder until it reboots, or is told to go off (SIGTERM)."""
    os.chdir(folder)  # a socket's path has 107 bytes at most
    asyncio.run(_Machine(folder, address, tools).live())


class _Machine:
    def __init__(self, folder: Path, address: str, tools: Tools) -> None:
        self._folder, self._root = folder, folder / "root"
        self._sshd = sshd.Sshd(folder, address, tools, folder.parent / BIN)
        self._listener: asyncio.Task[None] | None = None
        self._off = asyncio.Event()
        packages = Packages(folder, self._root, folder.parent / ARCHIVE)
        self._boot_paths()
        self._kernel = packages.kernel
        images = Images(folder, folder.parent)
        self._caddy: Caddy | None = None
        self._systemd = Systemd(self._units(address, images), self._reboot)
        self._commands: dict[str, Command] = {
            **packages.commands,
            **images.commands,
            **self._systemd.commands,
            "cloud-init": self._cloud_init,
            "reboot-due": self._reboot_due,
            "ss": self._ss,
            "uname": self._uname,
        }

    def _boot_paths(self) -> None:
        """What a boot makes anew."""
        shutil.rmtree(self._root / "run", ignore_errors=True)
        (self._root / "run").mkdir(mode=0o700)
        boot_id = self._root / "proc/sys/kernel/random/boot_id"
        boot_id.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        boot_id.write_text(f"{uuid.uuid4()}\n")
        (self._root / "proc/stat").write_text(f"btime {int(time.time())}\n")

    def _units(self, address: str, images: Images) -> list[Unit]:
        key = self._root / births.HOST_KEY
        units: list[Unit] = [
            Unit("nftables.service", reloads=True),
            Ssh(key, self._sshd.loaded_key, self._listen, self._close),
            Unit("unattended-upgrades.service"),
            Unit("reboot-window.timer"),
        ]
        if (self._root / "etc/systemd/system/app.service").exists():
            app = App(self._root, address, images)
            self._caddy = Caddy(self._root, address, app)
            units += [app, self._caddy, Gate(self._root, address, self._caddy)]
        if (self._root / "etc/systemd/system/copies.target").exists():
            units.append(Unit("copies.target"))  # copies of a sandbox's databases are made by who asks for one
        return units

    async def live(self) -> None:
        """Boots, runs until it is told to go off, and stops."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._off.set)
        Path(SOCKET).unlink(missing_ok=True)
        control = await asyncio.start_unix_server(self._obey, SOCKET)
        self._sshd.prepare()
        await self._systemd.boot()
        Path(UP).touch()
        await self._off.wait()
        Path(UP).unlink()
        control.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._systemd.halt(), _OFF_WITHIN)

    async def _reboot(self) -> None:
        asyncio.get_running_loop().call_later(_ANSWERS_FOR, self._off.set)

    async def _listen(self) -> None:
        listener = sshd.listen(self._sshd.address)
        self._listener = asyncio.create_task(self._accept(listener))

    async def _close(self) -> None:
        if self._listener:
            self._listener.cancel()
            await asyncio.wait([self._listener])

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                connection, _ = await loop.sock_accept(listener)
                with connection:
                    connection.setblocking(True)
                    session = self._sshd.serve(connection)
                ended = os.pidfd_open(session.pid)
                loop.add_reader(ended, self._bury, session, ended)

    def _bury(self, session: subprocess.Popen[bytes], ended: int) -> None:
        asyncio.get_running_loop().remove_reader(ended)
        os.close(ended)
        session.wait()

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.readline())
            command = self._commands.get(asked["program"])
            ended = await command(asked["arguments"]) if command else unknown(asked["program"], asked["arguments"])
            writer.write(json.dumps({"code": ended.code, "output": ended.output, "errors": ended.errors}).encode())
            await writer.drain()
        except OSError:
            pass  # who asked is gone
        finally:
            writer.close()

    async def _cloud_init(self, arguments: Sequence[str]) -> Ended:
        if [*arguments] != ["status", "--wait"]:
            return unknown("cloud-init", arguments)
        return Ended(output="status: done\n")  # a machine is born before it has any sessions

    async def _reboot_due(self, arguments: Sequence[str]) -> Ended:
        if arguments:
            return unknown("reboot-due", arguments)
        # A server's own script looks at its processes too; here they would be this machine's.
        return Ended(0 if (self._root / "run/reboot-required").exists() else 1)

    async def _ss(self, arguments: Sequence[str]) -> Ended:
        options, words = parted(arguments)
        asked = " ".join(words).replace("(", "").replace(")", "").split()
        letters = {letter for option in options for letter in _SS_LETTERS.get(option, option.lstrip("-"))}
        if not letters <= {*"Htn"} or "H" not in letters or asked != ["state", "established", "sport", "=", ":443"]:
            return unknown("ss", arguments)
        peers = self._caddy.door.peers if self._caddy else []
        return Ended(output="".join(f"0      0      {self._sshd.address}:443    {peer}\n" for peer in peers))

    async def _uname(self, arguments: Sequence[str]) -> Ended:
        return Ended(output=f"{self._kernel}\n") if [*arguments] == ["-r"] else unknown("uname", arguments)
