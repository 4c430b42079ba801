"""A machine's systemd units. What caddy and the gate do is modelled; the application answers real requests.

What is asked again and again is asked at the servers' own intervals, shortened by PACE. How long an answer may take is
not shortened: this machine may be busy.
"""

import asyncio
import hashlib
import json
import random
import secrets
import shutil
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sandbox.addresses import port_for
from sandbox.machines import web
from sandbox.machines.commands import Command, Ended, parted, unknown
from sandbox.machines.images import Images
from sandbox.machines.messages import Messages

PACE = 0.1
AILS = "ails.json"  # beside a machine's `root`: what ails its application, by the conditions

_STARTS = 0.2  # seconds, here
_GRACE = 2.0  # seconds, here; Caddy's grace_period has ten
ACTIVE = "active"


class FailedUnitError(Exception):
    """A unit does not start; the text is what its log would say."""


class Unit:
    """A unit that can be started and stopped and does nothing: those of Debian that need no playing."""

    def __init__(self, name: str, *, reloads: bool = False) -> None:
        self.name = name
        self.reloads = reloads
        self.state = "inactive"
        self.since = 0.0
        self.starts = 0
        self.said = ""
        self.invocation = ""

    async def start(self) -> None:
        """Starts it, unless it is active. Raises FailedUnitError."""
        if self.state == ACTIVE:
            return
        self.state = "activating"
        self.starts += 1
        try:
            await self.begin()
        except (FailedUnitError, OSError) as error:
            self.state, self.said = "failed", str(error)
            raise FailedUnitError(self.said) from None
        self.state, self.since, self.said, self.invocation = ACTIVE, time.time(), "", secrets.token_hex(16)

    async def stop(self) -> None:
        """Stops it, unless it is stopped."""
        if self.state == ACTIVE:
            self.state = "deactivating"
            await self.end()
        self.state = "inactive"

    async def begin(self) -> None:
        """What its start does. Raises FailedUnitError."""

    async def end(self) -> None:
        """What its stop does."""

    async def reload(self) -> None:
        """What its reload does."""


class Ssh(Unit):
    """sshd: takes its host key when it is loaded, as the real one does; `listen` and `close` are the machine's own."""

    def __init__(
        self, key: Path, loaded: Path, listen: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__("ssh.service", reloads=True)
        self._key, self._loaded = key, loaded
        self._listen, self._close = listen, close

    async def begin(self) -> None:
        """Loads the host key, and listens."""
        await self.reload()
        await self._listen()

    async def end(self) -> None:
        """Takes no new connections; sessions go on."""
        await self._close()

    async def reload(self) -> None:
        """Loads the host key anew."""
        if not self._key.exists():
            raise FailedUnitError("sshd: no hostkeys available -- exiting.")
        shutil.copy(self._key, self._loaded)
        self._loaded.chmod(0o600)


class App(Unit):
    """The role's application: health at one path, and at every other what runs here."""

    def __init__(self, root: Path, address: str, images: Images) -> None:
        super().__init__("app.service")
        self._root, self._address, self._images = root, address, images
        self._server: web.Server | None = None
        self._shown: dict[str, object] = {}
        self._messages: Messages | None = None
        self.port = 0
        self._health = ""
        self._status = 200

    async def begin(self) -> None:
        """Reads its files, gets its image, and listens."""
        image = variables(self._root / "etc/chat-tonic/app-image.env").get("IMAGE", "")
        file = self._root / "etc/chat-tonic/app.env"
        environment = variables(file)
        if not image or not environment.get("PORT", "").isdigit():
            raise FailedUnitError("app: no IMAGE in app-image.env, or no PORT in app.env")
        pulled = await self._images.run(image)
        if pulled.code:
            raise FailedUnitError(pulled.errors)
        await asyncio.sleep(_STARTS)
        self.port = int(environment["PORT"])
        url = variables(self._root / "etc/chat-tonic/gate.env").get("URL", "")
        self._health = f"/{url.split('/', 3)[3]}" if url.count("/") > 2 else "/healthz"  # noqa: PLR2004
        self._status = 503 if self._images.is_sick(image) else 200
        self._shown = {
            "server": (self._root / "etc/hostname").read_text().strip(),
            "environment": environment.get("CHAT_TONIC_ENVIRONMENT", ""),
            "role": environment.get("CHAT_TONIC_ROLE", ""),
            "image": image,
            # Which settings it was started with, and no secret of them.
            "settings": hashlib.sha256(file.read_bytes()).hexdigest()[:12],
            "started": time.time(),
        }
        if "PGHOST" in environment:
            self._messages = Messages(self._root, environment)
        self._server = web.Server(self._address, self.port, self._answer)
        await self._server.open()

    async def end(self) -> None:
        """Answers what is asked, and is gone."""
        if self._server:
            await self._server.drain(_GRACE)

    async def _answer(self, request: web.Request) -> web.Answer:
        ails = json.loads((self._root.parent / AILS).read_text())
        await asyncio.sleep(ails["slow"])
        if random.random() < ails["failing"]:  # noqa: S311 - it is no secret
            return web.Answer(500)
        path = request.path.partition("?")[0]
        if path == self._health:
            return web.Answer(self._status, self._shown)
        if path == "/message" and request.method == "POST" and self._messages:
            return await self._keep(self._messages, request)
        if path.startswith("/wait/"):  # for who wants a request that takes a while
            with suppress(ValueError):
                await asyncio.sleep(min(60.0, float(path.removeprefix("/wait/"))))
        return web.Answer(200, {**self._shown, "path": path, "method": request.method})

    async def _keep(self, messages: Messages, request: web.Request) -> web.Answer:
        """Answers with the row of a message that is committed; the same key is the same message."""
        key = request.headers.get("idempotency-key", "")
        if not key:
            return web.Answer(400, {"error": "a message needs the header Idempotency-Key"})
        row = await messages.add(key, request.body.decode(errors="replace"))
        return web.Answer(200, {**self._shown, "id": row}) if row else web.Answer(503, self._shown)


class Caddy(Unit):
    """Caddy: reads its files, and passes on to the application what comes through the door for a host that it serves.

    The door speaks HTTP behind a PROXY header; TLS is modelled.
    """

    def __init__(self, root: Path, address: str, app: App) -> None:
        super().__init__("caddy.service")
        self._root, self._address, self._app = root, address, app
        self._hosts: frozenset[str] | None = None  # all
        self.door = web.Server(address, port_for(443), self._pass_on, proxied=True)

    async def begin(self) -> None:
        """Reads its files."""
        folder = self._root / "etc/caddy"
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "origin.pem", folder / "origin.key")
            context.load_verify_locations(folder / "client-ca.pem")
        except (OSError, ssl.SSLError) as error:
            raise FailedUnitError(f"caddy: loading certificates: {error}") from None
        served = variables(folder / "caddy.env").get("SERVED", "")
        if served != "path *" and not served.startswith("host "):
            raise FailedUnitError("caddy: SERVED of caddy.env is neither `host NAME ...` nor `path *`")
        self._hosts = None if served == "path *" else frozenset(served.lower().split()[1:])
        await asyncio.sleep(_STARTS)

    async def end(self) -> None:
        """Ends its connections when what is asked on them is answered."""
        await self.door.drain(_GRACE)

    async def _pass_on(self, request: web.Request) -> web.Answer:
        if self._hosts is not None and request.headers.get("host", "").partition(":")[0].lower() not in self._hosts:
            return web.Answer(421)
        found = await web.fetch(self._address, self._app.port, request, 60.0)
        return found or web.Answer(502)


class Gate(Unit):
    """The gate: holds the door open while the application is healthy, as the script of that name holds port 443."""

    def __init__(self, root: Path, address: str, caddy: Caddy) -> None:
        super().__init__("gate.service")
        self._root, self._address, self._caddy = root, address, caddy
        self._task: asyncio.Task[None] | None = None
        self._failed = 0

    async def begin(self) -> None:
        """Asks for the first time, and goes on asking."""
        known = variables(self._root / "etc/chat-tonic/gate.env")
        try:
            port, path = known["URL"].split("/", 3)[2].rpartition(":")[2], known["URL"].split("/", 3)[3]
            interval, timeout, failures = (int(known[name]) for name in ("INTERVAL", "TIMEOUT", "FAILURES"))
            ask = (self._address, int(port), web.Request("GET", f"/{path}"), float(timeout))
        except (KeyError, IndexError, ValueError):
            raise FailedUnitError("gate: gate.env lacks URL, INTERVAL, TIMEOUT or FAILURES") from None
        await self._look(ask, failures)
        self._task = asyncio.create_task(self._watch(ask, interval * PACE, failures))

    async def end(self) -> None:
        """Closes the door; what is established goes on."""
        if self._task:
            self._task.cancel()
        self._caddy.door.close()

    async def _watch(self, ask: tuple[str, int, web.Request, float], interval: float, failures: int) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._look(ask, failures)

    async def _look(self, ask: tuple[str, int, web.Request, float], failures: int) -> None:
        answer = await web.fetch(*ask)
        if answer and answer.status // 100 == 2:  # noqa: PLR2004
            self._failed = 0
            if self._caddy.state == ACTIVE:
                await self._caddy.door.open()
        else:
            self._failed += 1
            if self._failed >= failures:
                self._caddy.door.close()


class Systemd:
    """`systemctl` over a machine's units; `reboot` is what takes the machine away."""

    def __init__(self, units: Sequence[Unit], reboot: Callable[[], Awaitable[None]]) -> None:
        self.units = {unit.name: unit for unit in units}
        self._reboot = reboot
        self._job = asyncio.Lock()  # one after the other

    @property
    def commands(self) -> Mapping[str, Command]:
        """The program with which units are started and stopped."""
        return {"systemctl": self._systemctl}

    async def boot(self) -> None:
        """Starts every unit, in order; one that fails keeps no other from starting."""
        async with self._job:
            for unit in self.units.values():
                with suppress(FailedUnitError):
                    await unit.start()

    async def halt(self) -> None:
        """Stops every unit, the last one first."""
        async with self._job:
            for unit in reversed(self.units.values()):
                await unit.stop()

    async def _systemctl(self, arguments: Sequence[str]) -> Ended:
        options, words = parted(arguments, valued=("-p", "--property"))
        verb, *names = words or [""]
        known = [name if "." in name else f"{name}.service" for name in names]
        if verb in _ACTS and known:
            return await self._act(verb, known)
        asks = {"is-active": self._is_active, "show": self._show}
        if verb in asks:
            return asks[verb](known, options)
        if verb == "reboot":
            await self._reboot()
        return Ended() if verb in ("daemon-reload", "reboot") else unknown("systemctl", arguments)

    async def _act(self, verb: str, names: Sequence[str]) -> Ended:
        for name in names:
            if name not in self.units:
                return Ended(5, errors=f"Failed to {verb} {name}: Unit {name} not found.\n")
            try:
                async with self._job:
                    await _ACTS[verb](self.units[name])
            except FailedUnitError:
                said = f"Job for {name} failed because the control process exited with error code.\n"
                return Ended(1, errors=f'{said}See "systemctl status {name}" for details.\n')
        return Ended()

    def _is_active(self, names: Sequence[str], options: Mapping[str, str]) -> Ended:
        states = [self.units[name].state if name in self.units else "inactive" for name in names]
        quiet = not options.keys().isdisjoint(("-q", "--quiet"))
        shown = "" if quiet else "".join(f"{state}\n" for state in states)
        return Ended(0 if ACTIVE in states else 3, shown)

    def _show(self, names: Sequence[str], options: Mapping[str, str]) -> Ended:
        wanted = options.get("-p", options.get("--property", options.get("-P", "")))
        lines = []
        for name in names:
            unit = self.units.get(name, Unit(name))
            since = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(unit.since)) if unit.since else ""
            known = {
                "Id": name,
                "LoadState": "loaded" if name in self.units else "not-found",
                "ActiveState": unit.state,
                "SubState": {ACTIVE: "running", "inactive": "dead"}.get(unit.state, unit.state),
                "Result": "exit-code" if unit.state == "failed" else "success",
                "ActiveEnterTimestamp": since,
                "InvocationID": unit.invocation,
                "NRestarts": "0",
                "StatusText": unit.said,
            }
            shown = [each for each in wanted.split(",") if each in known] if wanted else [*known]
            lines += [known[each] if "--value" in options else f"{each}={known[each]}" for each in shown]
        return Ended(output="".join(f"{line}\n" for line in lines))


async def _restart(unit: Unit) -> None:
    await unit.stop()
    await unit.start()


async def _reload(unit: Unit) -> None:
    if not unit.reloads or unit.state != ACTIVE:
        raise FailedUnitError(f"{unit.name} has no reload, or is not active")
    await unit.reload()


async def _forget(unit: Unit) -> None:
    if unit.state == "failed":
        unit.state = "inactive"


async def _reload_or_restart(unit: Unit) -> None:
    await (unit.reload() if unit.reloads and unit.state == ACTIVE else _restart(unit))


async def _stay(_: Unit) -> None:
    """What is at boot, is so already."""


_ACTS: Mapping[str, Callable[[Unit], Awaitable[None]]] = {
    "disable": _stay,
    "enable": _stay,
    "reload": _reload,
    "reload-or-restart": _reload_or_restart,
    "reset-failed": _forget,
    "restart": _restart,
    "start": lambda unit: unit.start(),
    "stop": lambda unit: unit.stop(),
}
"""What `systemctl` does to a unit, by its verb."""


def variables(file: Path) -> dict[str, str]:
    """What an environment file says; nothing where there is none."""
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
