"""The sandbox as a drill breaks it, mends it and looks at it: conditions, verdicts, requests, rows."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from components import detection, labels
from components.topology import server_numbers
from operations import clouds, sandbox
from operations.console import say
from operations.errors import Failed
from operations.failover.drill.clients import Name
from operations.failover.drill.incidents import Conditions
from operations.failover.drill.measures import Served, Verdict
from operations.failover.sites import Site, Sites
from sandbox import front
from sandbox.following import Control, GoneError
from sandbox.machines.units import PACE

LOOKS_EVERY = 0.1  # seconds
FLAPS_EVERY = 2.0  # seconds
HELD = "select key from messages"


@dataclass(frozen=True)
class Scene:
    """The sandbox of a checkout, with a front and its sites."""

    folder: Path
    sites: Sites

    @property
    def names(self) -> list[Name]:
        """The names that the front balances over sites."""
        return [Name(each.host, each.role, each.environment, each.stateful) for each in self.sites.names()]

    @property
    def subjects(self) -> list[Name]:
        """The names that an incident at a role hits: the first stateful one, and the first of the others."""
        return [*self._first(stateful=True), *self._first(stateful=False)]

    @property
    def computed(self) -> float:
        """Seconds that it takes to detect at most: here probes come more often, and wait as long for an answer."""
        health = self.sites.front.stack.health
        saved = health.interval * health.consecutive_down * (1 - PACE)
        return detection.times(health).detect - saved

    @property
    def returning(self) -> float:
        """How long it takes at most until what is well again is known to be, in the same way."""
        health = self.sites.front.stack.health
        return detection.times(health).recover - health.interval * health.consecutive_up * (1 - PACE)

    @property
    def metadata_host(self) -> str:
        """The host name at which clients are told which site is active."""
        return f"{self.sites.failover.host}.{self.sites.front.stack.zone}"

    def site_of(self, region: str) -> str:
        """Return which site is in a region; '' for none."""
        return next((name for name, each in self.sites.members.items() if each.stack.region == region), "")

    @contextmanager
    def broken(self, conditions: Conditions, *, flaps: bool) -> Iterator[None]:
        """Have it be so for as long as the block; then nothing is wrong any more."""
        wrong = {kind: [each.format_map(self._filling()) for each in names] for kind, names in conditions.items()}
        over = threading.Event()
        flapping = threading.Thread(target=self._flap, args=(wrong, over))
        try:
            if flaps:
                flapping.start()
            else:
                self.tell("/conditions", wrong)
            yield
        finally:
            over.set()
            if flaps:
                flapping.join()
            self.mend()

    def mend(self) -> None:
        """Have nothing be wrong."""
        self.tell("/faults", [])
        self.tell("/conditions", {})

    def tell(self, path: str, document: Any) -> None:
        """Tell the sandbox something.

        Raises:
            Failed: it does not run, or does not take it.
        """
        try:
            said = Control(self.own).ask(path, document)
        except GoneError:
            said = None
        if said is None:
            raise Failed(f"the sandbox does not take {path}: {document}; ./inv sandbox.status")

    @property
    def own(self) -> Path:
        """The sandbox's own folder."""
        return (self.folder / sandbox.FOLDER).resolve()

    @contextmanager
    def watched(self) -> Iterator[list[Verdict]]:
        """Yield what the pools are found to be, which grows with every change for as long as the block."""
        verdicts: list[Verdict] = []
        over = threading.Event()
        watching = threading.Thread(target=self._watch, args=(verdicts, over))
        watching.start()
        try:
            yield verdicts
        finally:
            over.set()
            watching.join()

    def served(self, since: float) -> list[Served]:
        """Return the requests of the names since a time that had a backend, from the front's log."""
        hosts = {each.host for each in self.names}
        return [
            Served(each.time, each.host, self.site_of(each.region), each.region)
            for each in front.requests(self.own, since)
            if each.host in hosts and each.address
        ]

    def held(self) -> set[str]:
        """Return the keys of the messages that the databases have which serve now.

        Raises:
            Failed: one can't be asked.
        """
        return {key for environment in self.sites.environments() for key in self._held(self.sites.active, environment)}

    def wait(self, what: str, within: float, is_so: Callable[[], bool]) -> bool:
        """Wait until something is so, and say where it never is."""
        until = time.monotonic() + within
        while not is_so():
            if time.monotonic() > until:
                say(f"not within {within:.0f} s: {what}")
                return False
            time.sleep(LOOKS_EVERY)
        return True

    def is_well(self) -> bool:
        """Whether every pool that is probed is well."""
        found = front.status(self.own)
        return found is not None and False not in found.pools.values()

    def is_shared(self, name: Name) -> bool:
        """Whether all sites serve a name."""
        return self.sites.front.stack.roles[name.role].sites == "active-active"

    def _first(self, *, stateful: bool) -> list[Name]:
        return [each for each in self.names if each.stateful is stateful][:1]

    def _filling(self) -> dict[str, str]:
        """What is meant in an incident's conditions: parts of the site that serves."""
        stack = self.sites.active.stack
        servers = [self._servers(each) for each in self.subjects]
        environment = self.subjects[0].environment
        return {
            "region": stack.region,
            "probe": self.sites.front.stack.probe_regions()[0],
            "all": f"{stack.label}-*",
            "database": self._database(self.sites.active, environment),
            "server": servers[0][0],
            "servers": servers[0][1],
            "page": servers[-1][0],
            "pages": servers[-1][1],
        }

    def _servers(self, name: Name) -> tuple[str, str]:
        """Return the label of a name's last server, and a pattern of all of them."""
        stack = self.sites.active.stack
        environment = stack.environments[name.environment]
        last = max(server_numbers(environment.groups[name.role]))
        label = labels.server(stack.label, environment.label, name.role, *last)
        return label, f"{label.rpartition('-g')[0]}-*"

    def _database(self, site: Site, environment: str) -> str:
        settings = site.stack.environments[environment]
        return labels.database(site.stack.label, settings.label, settings.database.serves)

    def _held(self, site: Site, environment: str) -> set[str]:
        label = self._database(site, environment)
        at = sandbox.data(self.folder, say).databases.get(label)
        client, path = clouds.connect(site.project).platform, "/databases/postgresql/instances"
        known = {each["label"]: each["id"] for each in clouds.pages(client, path)}
        if at is None or label not in known:
            raise Failed(f"{site.name}: nothing serves {label}; ./inv sandbox.status")
        login = client.get(f"{path}/{known[label]}/credentials")
        try:
            with psycopg.connect(
                host=at.host,
                hostaddr=at.hostaddr,
                port=at.port,
                sslmode="prefer",
                dbname="defaultdb",
                user=login["username"],
                password=login["password"],
                connect_timeout=10,
            ) as connection:
                return {key for (key,) in connection.execute(HELD)}
        except psycopg.Error as error:
            raise Failed(f"{label} can't be asked for its messages: {error}") from None

    def _watch(self, verdicts: list[Verdict], over: threading.Event) -> None:
        last: dict[str, bool | None] = {}
        while not over.wait(LOOKS_EVERY):
            found = front.status(self.own)
            for pool, healthy in found.pools.items() if found else ():
                if healthy is not None and last.get(pool) != healthy and pool in (whose := self._pools()):
                    verdicts.append(Verdict(time.time(), *whose[pool], healthy))
                last[pool] = healthy

    def _pools(self) -> dict[str, tuple[str, str]]:
        """Return the name and the site of each pool, by its label."""
        stack = self.sites.front.stack
        found: dict[str, tuple[str, str]] = {}
        for name in self.names:
            label = stack.environments[name.environment].label
            for site in self.sites.members:
                other = "" if site == self.sites.front.name else site
                found[labels.pool(stack.label, label, name.role, other)] = (name.host, site)
        return found

    def _flap(self, wrong: Mapping[str, Sequence[str]], over: threading.Event) -> None:
        while not over.wait(FLAPS_EVERY / 2):
            self.tell("/conditions", wrong)
            with contextlib.suppress(Failed):
                over.wait(FLAPS_EVERY / 2)
                self.tell("/conditions", {})
