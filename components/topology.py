"""The shape of the configuration: what `platform.yaml` and a stack file may say, key by key.

Each model checks the values that it holds; what needs more than one of them is in `rules.py`. The descriptions are
the reference that people read (docs/configuration.md is made of them), and end the message of a refused value.
"""

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from components import catalog, labels

T = TypeVar("T")
BACKUP_HOURS = 2  # of the provider's window for backups of servers
MAINTENANCE_HOURS = 4  # of its window for databases
MAX_SERVERS = 250  # in a group; an account's own limit is lower until the provider raises it


class Model(BaseModel):
    """Frozen; unknown keys are refused; a value must have the type it is declared with."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _matching(pattern: str, wanted: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"'{value}' is not {wanted}")
        return value

    return AfterValidator(check)


def _known(kind: str, known: Collection[T]) -> AfterValidator:
    def check(value: T) -> T:
        if value not in known:
            raise ValueError(f"unknown {kind} '{value}'; known are {', '.join(map(str, known))}")
        return value

    return AfterValidator(check)


def _distinct(what: str, key: Callable[[T], object] = lambda value: value) -> AfterValidator:
    def check(values: tuple[T, ...]) -> tuple[T, ...]:
        keys = [key(value) for value in values]
        if twice := [value for value, k in zip(values, keys, strict=True) if keys.count(k) > 1]:
            raise ValueError(f"the {what} '{twice[0]}' stands twice; keep one")
        return values

    return AfterValidator(check)


WIDEST = {4: 8, 6: 16}  # shortest prefix, by IP version


def _is_cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"'{value}' is no network: {error}") from None
    if "/" not in value:
        raise ValueError(f"'{value}' is an address; write the network, {network}")
    if network.prefixlen == 0:
        raise ValueError(f"'{value}' is the whole world; name the addresses that are yours")
    if network.prefixlen < WIDEST[network.version]:
        raise ValueError(f"'{value}' is wider than any network that is yours; name your addresses")
    return value


_WORD = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

Name = Annotated[str, _matching(_WORD, "a name of a-z, 0-9 and single hyphens")]
ShortLabel = Annotated[str, _matching(r"[a-z][a-z0-9]{0,11}", "a label of 1 to 12 characters a-z, 0-9")]
Cidr = Annotated[str, AfterValidator(_is_cidr)]
ContainerImage = Annotated[
    str,
    _matching(
        r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+(:[\w.-]+)?@sha256:[0-9a-f]{64}",
        "an image pinned by digest, <registry>/<path>@sha256:<64 hexadecimal digits>",
    ),
]
Email = Annotated[str, _matching(r"[^@\s,;<>\"]{1,64}@([\w-]+\.)+[\w-]{2,}", "an e-mail address")]
StackName = Annotated[str, _matching(r"[A-Za-z0-9._-]+", "a stack's name")]
KeyPattern = Annotated[
    str, _matching(r"[a-z0-9_.*-]+", "a dotted key such as environments.production.groups.api.count")
]
ServerPlan = Annotated[str, _known("plan", tuple(catalog.PLANS))]
ServerImage = Annotated[str, _known("image", catalog.SERVER_IMAGES)]
OpsImage = Annotated[str, _known("image of ops servers", catalog.OPS_IMAGES)]
RegionName = Annotated[str, _known("region", tuple(catalog.REGIONS))]


Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Role(Model):
    """What a kind of server runs."""

    image: ContainerImage = Field(description="container image, pinned by digest")
    port: Annotated[int, Field(ge=1024, le=65535)] = Field(description="local port on which the image serves HTTP")
    database: bool = Field(description="whether its servers reach the environment's database")
    affinity: Literal["none", "site"] = Field(
        description="'site' keeps a visitor at the site that answered first, 'none' does not"
    )
    state: Literal["stateful", "stateless"] = Field(
        default="stateful",
        description="'stateful': its name moves to another site by `failover.engage` only, after its data; "
        "'stateless': Cloudflare moves its traffic by itself",
    )
    sites: Literal["active-passive", "active-active"] = Field(
        default="active-passive",
        description="of a stateless role: whether one site serves while it is well, or all do, by their weights",
    )
    residency: Literal["jurisdiction", "unrestricted"] = Field(
        default="jurisdiction",
        description="'unrestricted': sites of another jurisdiction may serve it too; only what is stateless and "
        "without the database",
    )


class Registry(Model):
    """Where the images come from; its password is the secret `chat-tonic:registryPassword`."""

    host: Annotated[str, _matching(r"[a-z0-9.-]+(:\d+)?", "a host name, with a port if need be")] = Field(
        description="host of the container registry"
    )
    user: Annotated[str, _matching(r"[\w.+-]{1,64}", "a user name")] = Field(description="user that may pull")


class Health(Model):
    """How a server, its balancer and Cloudflare tell that a role works. Times are whole seconds."""

    path: Annotated[str, _matching(r"/[\w./-]*", "an absolute path")] = Field(
        description="path that answers 200 while the role works"
    )
    interval: Annotated[int, Field(ge=60, le=3600)] = Field(
        description="seconds between two probes by Cloudflare; under 60 is for its larger plans only"
    )
    timeout: Annotated[int, Field(ge=1, le=10)] = Field(description="seconds until a probe counts as failed")
    retries: Annotated[int, Field(ge=1, le=5)] = Field(description="retries of a failed probe, made at once")
    consecutive_down: Annotated[int, Field(ge=1, le=10)] = Field(description="failed probes that make an origin down")
    consecutive_up: Annotated[int, Field(ge=1, le=10)] = Field(description="good probes that make it healthy again")
    codes: Annotated[
        str, _matching(r"[1-5](\d\d|xx)(,[1-5](\d\d|xx))*", "HTTP status codes such as 200 or 2xx,301")
    ] = Field(default="200", description="status codes of a good answer, with commas; 2xx for all that begin with 2")
    probe_regions: Annotated[tuple[str, ...], Field(min_length=1), _distinct("region")] | None = Field(
        default=None,
        description="Cloudflare's regions that probe, by their codes, inside the jurisdiction; without it, the "
        "catalog's",
    )


class BalancerCheck(Model):
    """How a NodeBalancer tests that a server accepts connections. Times are whole seconds."""

    interval: Annotated[int, Field(ge=2, le=3600)] = Field(description="seconds between two checks of a server")
    timeout: Annotated[int, Field(ge=1, le=30)] = Field(description="seconds until a check counts as failed")
    attempts: Annotated[int, Field(ge=1, le=30)] = Field(description="failed checks that take a server out")


HostName = Annotated[str, _matching(rf"({_DNS_LABEL}\.)+{_DNS_LABEL}", "a host name")]


class Group(Model):
    """The servers of one role in one environment."""

    count: Annotated[int, Field(ge=1, le=MAX_SERVERS)] = Field(description="servers in each generation")
    plan: ServerPlan = Field(description="size of each server")
    generations: Annotated[tuple[int, ...], Field(min_length=1), _distinct("generation")] = Field(
        description="numbers of the generations that run side by side; one update adds, a second removes"
    )
    host: str | None = Field(
        default=None,
        description="first label of its host name; without it, the environment's host_prefix and the role's name",
    )
    serves: Annotated[tuple[HostName, ...], _distinct("host name")] = Field(
        default=(), description="names of other stacks' fronts that its servers answer to, beside its own"
    )


class Maintenance(Model):
    """The weekly window, four hours, in which the provider may restart a database."""

    day: Day = Field(description="day of the week, UTC")
    hour: Annotated[int, Field(ge=0, le=23)] = Field(description="hour in which it begins, UTC")


def _is_moment(value: str) -> str:
    try:
        labels.moment_of(value)
    except ValueError:
        raise ValueError(f"'{value}' is no time such as 2026-11-22t18.00.00z") from None
    return value


Moment = Annotated[str, AfterValidator(_is_moment)]
Generation = Annotated[int, Field(ge=1, le=99)]


class Fork(Model):
    """What a database is born as: another one of its environment, as that was at a time."""

    of: Generation = Field(description="generation that it is a fork of")
    at: Moment = Field(description="the time, in UTC: 2026-11-22t18.00.00z")


class Query(Model):
    """A question that a restored database must answer as expected."""

    sql: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="a query that returns one value")
    expects: Annotated[str, Field(max_length=200)] = Field(description="that value, as text")


class Database(Model):
    """The managed PostgreSQL of one environment."""

    version: Annotated[int, _known("PostgreSQL version", catalog.POSTGRESQL_VERSIONS)] = Field(
        description="PostgreSQL's major version"
    )
    plan: Annotated[str, _known("database plan", tuple(catalog.DATABASE_PLANS))] = Field(
        description="size of each node"
    )
    nodes: Annotated[int, Field(ge=1, le=3)] = Field(description="1, or 2 to 3 for a cluster that survives a host")
    maintenance: Maintenance = Field(description="when the provider may restart it")
    copies: bool = Field(description="whether it has a bucket for daily copies in the copy region")
    queries: dict[Name, Query] = Field(
        default={}, description="what a drill asks a database that it restored from a copy, by a name for each"
    )
    generations: Annotated[tuple[Generation, ...], Field(min_length=1, max_length=2), _distinct("generation")] = Field(
        default=(1,),
        description="numbers of the databases that are there: one, and beside it one that it was restored from",
    )
    serving: Generation | None = Field(
        default=None, description="generation that the servers use; without it, the first of them"
    )
    forks: dict[str, Fork] = Field(
        default={}, description="by generation, what a new one is a fork of; counts at its birth only"
    )
    restored: dict[str, Annotated[str, _matching(r"[0-9a-f]{8,64}", "a copy's id")]] = Field(
        default={}, description="by generation, the copy that `backups.restore` is filling it with"
    )

    @property
    def serves(self) -> int:
        """The generation that the servers use."""
        return self.generations[0] if self.serving is None else self.serving


class Reboots(Model):
    """When servers reboot that need it: a weekly window each, which no other server of the role has."""

    days: Annotated[tuple[Day, ...], Field(min_length=1), _distinct("day")] = Field(
        description="days of the week with windows, UTC; neighbours reboot on different days"
    )
    hour: Annotated[int, Field(ge=0, le=23)] = Field(description="hour in which a day's first window begins, UTC")
    hours: Annotated[int, Field(ge=1, le=24)] = Field(description="hours with windows, from that one on")
    every: Annotated[int, Field(ge=10, le=60)] = Field(
        description="minutes of a window, in which a server drains, reboots and serves again"
    )


class Environment(Model):
    """A separate platform inside a stack: it shares nothing with another but zone, certificates and ops server."""

    label: ShortLabel = Field(description="its part in the labels of its objects")
    publish: Literal["load-balancer", "proxied", "none"] = Field(
        description="'load-balancer': pools, monitors and load balancers of Cloudflare; 'proxied': proxied records "
        "with TCP health checks; 'none': no names, reachable from admin_sources only"
    )
    host_prefix: str = Field(default="", description="what its host names begin with, before the role's name")
    groups: Annotated[dict[Name, Group], Field(min_length=1)] = Field(description="its server groups, by role")
    database: Database = Field(description="its database")


class Ops(Model):
    """The ops server of a stack, from which servers are reached and copies are made."""

    plan: ServerPlan = Field(description="size of the ops server")
    image: OpsImage = Field(description="operating system image, at birth")


class Copies(Model):
    """Where the copies of the stack's databases are kept, how many, and when one is made."""

    region: RegionName | None = Field(
        default=None,
        description="region of the buckets; without it, the one that the catalog gives the region",
    )
    second: RegionName | None = Field(
        default=None,
        description="region of the second copies' buckets; without it, a third one of the jurisdiction",
    )
    kept: Annotated[int, Field(ge=30, le=400)] = Field(description="days of which the copy is kept, the newest ones")
    hour: Annotated[int, Field(ge=0, le=23)] = Field(description="hour in which the daily copy begins, UTC")


class Backups(Model):
    """When the provider takes its daily backup of every server: within two hours, and the weekly one on a day."""

    day: Day = Field(description="day of the week of the backup that is kept for a week, UTC")
    hour: Annotated[int, _known("hour in which the provider's windows begin", range(0, 24, 2))] = Field(
        description="even hour in which the window of two hours begins, UTC"
    )


class Alarms(Model):
    """Where alarms go."""

    board: Email = Field(description="e-mail address of the support board on Trello")
    on_call: Email = Field(description="e-mail address of those on call")


class Ceilings(Model):
    """What the policy pack refuses to go beyond, whatever the program declares."""

    plan: ServerPlan = Field(description="the dearest server plan")
    database_plan: Annotated[str, _known("database plan", tuple(catalog.DATABASE_PLANS))] = Field(
        description="the dearest database plan"
    )
    monthly: Annotated[int, Field(ge=1, le=100_000)] = Field(description="dollars a month for the whole stack")


class Lifetime(Model):
    """Whose a test environment is, and how long it lives: the tags of its objects say both."""

    owner: Annotated[str, _matching(r"[a-z0-9][a-z0-9.-]{0,30}", "a name of a-z, 0-9, dots and hyphens")] = Field(
        description="who made it"
    )
    ends: Moment = Field(description="when `env.sweep` may end it, in UTC, as a tag has it: 2026-11-22t18.00.00z")


def _is_address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError(f"'{value}' is no IPv4 address") from None


Address = Annotated[str, AfterValidator(_is_address)]
Weight = Annotated[int, Field(ge=1, le=100)]


class Site(Model):
    """Another site than the front's own: a stack elsewhere that can serve the front's names."""

    region: RegionName = Field(description="Linode data center of its servers")
    weight: Weight = Field(default=50, description="its share of what all sites serve, against the others' weights")
    addresses: dict[Name, dict[Name, Address]] = Field(
        default={},
        description="public IPv4 addresses of its balancers by role, by environment; set by `failover.engage`",
    )


class Moving(Model):
    """A move of the stateful names that has begun: written, and taken away, by `failover.engage` and `failback`."""

    source: StackName = Field(description="site that the names move from")
    to: StackName = Field(description="site that the names move to")
    databases: dict[Name, Generation] = Field(
        description="by environment, the generation of that site's database which takes the data"
    )
    since: Moment = Field(description="when it began, in UTC: 2026-11-22t18.00.00z")
    lossless: bool = Field(default=False, description="whether it is a failback: with every row, or not at all")


class Failover(Model):
    """The sites that a front sends traffic to, and what clients are told of them: docs/sites.md."""

    detect_within: Annotated[int, Field(ge=60, le=3600)] = Field(
        description="seconds in which Cloudflare has to notice that a site is down; what 'health' takes is computed"
    )
    ttl: Annotated[int, Field(ge=60, le=86_400)] = Field(
        default=60, description="seconds for which clients may keep what the metadata said"
    )
    host: Annotated[str, _matching(_DNS_LABEL, "a host name's label")] = Field(
        default="failover", description="first label of the host name at which the metadata is published"
    )
    version: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1, description="number of the metadata, by which clients tell the newer one; a move raises it"
    )
    home: StackName | None = Field(
        default=None,
        description="site that is the primary by decision, set by `failover.keep`; without it, this stack",
    )
    active: StackName | None = Field(
        default=None, description="site that serves the stateful names, set by a move; without it, 'home'"
    )
    since: Moment | None = Field(
        default=None,
        description="from when 'active' serves the stateful names, in UTC, set by a move: copies of its database that "
        "are older are of another time",
    )
    moving: Moving | None = Field(default=None, description="the move that is under way, if one is")
    weight: Weight = Field(default=50, description="this site's share of what all sites serve")
    identifiers: dict[StackName, dict[Name, Annotated[str, Field(min_length=1, max_length=200)]]] = Field(
        default={},
        description="by site, what clients need to know of it besides host names (integration, assistant, ids of "
        "public keys), by a name for each; public",
    )
    sites: dict[StackName, Site] = Field(default={}, description="the other sites, by the names of their stacks")


class Standby(Model):
    """Of which stack's names this one is another site, and how much of it is there: docs/sites.md."""

    of: StackName = Field(description="stack whose front sends traffic here, of the same jurisdiction and zone")
    mode: Literal["pilot-light", "warm", "active"] = Field(
        description="'pilot-light': firewalls, buckets and keys, which is not a replica; 'warm': every role, with one "
        "server, and the database, of the smallest sizes but for stateless roles; 'active': all that the configuration "
        "says"
    )


class VoiceSite(Model):
    """Where the phone calls of a site arrive."""

    edges: Annotated[dict[Name, Address], Field(min_length=2)] = Field(
        description="public IPv4 address of each SIP edge, by a name for it; each is a host of its own"
    )


class Voice(Model):
    """Names for the trunks of phone providers, and health checks of the SIP edges behind them: docs/voice.md."""

    host: Annotated[str, _matching(_DNS_LABEL, "a host name's label")] = Field(
        default="sip", description="what the host name of a site begins with, before the site's name: sip-us-central"
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=5061, description="TCP port at which every edge takes calls, and is probed"
    )
    ttl: Annotated[int, Field(ge=60, le=300)] = Field(
        default=60, description="seconds for which resolvers may keep an edge's address"
    )
    sites: Annotated[dict[StackName, VoiceSite], Field(min_length=1)] = Field(
        description="SIP edges by site: this stack, or one of failover.sites"
    )


class Parity(Model):
    """What a stack is kept like, and which differences are wanted."""

    peer: StackName | None = Field(
        default=None, description="stack that this one is compared with: of the other jurisdiction, or its primary site"
    )
    wanted: Annotated[tuple[KeyPattern, ...], _distinct("key")] = Field(
        default=(), description="keys in which the two may differ; * stands for any part of one"
    )
    largest_age: Annotated[int, Field(ge=0, le=365)] = Field(
        description="days after which a difference that nobody wants is too old"
    )


class Stack(Model):
    """A stack, whole: `platform.yaml` with the stack file's differences laid over it."""

    label: ShortLabel = Field(description="the stack's part in the labels of its objects; no two stacks share it")
    jurisdiction: Literal["us", "eu"] = Field(description="the law that its data stays under: us or eu")
    region: RegionName = Field(description="Linode data center of its servers, balancers and databases")
    zone: Annotated[str, _matching(rf"({_DNS_LABEL}\.)+{_DNS_LABEL}", "a domain name")] | None = Field(
        default=None,
        description="Cloudflare zone of its host names, its jurisdiction's own; none publishes nothing",
    )
    admin_sources: Annotated[
        tuple[Cidr, ...], Field(min_length=1, max_length=100), _distinct("network", ipaddress.ip_network)
    ] = Field(description="networks, in CIDR, from which people reach SSH and balancers")
    alarms: Alarms | None = Field(default=None, description="where Cloudflare's alarms go; needed with a zone")
    ops: Ops | None = Field(default=None, description="the ops server; null for none")
    copies: Copies | None = Field(default=None, description="place and time of database copies; null for none")
    backups: Backups = Field(description="when the provider backs up the servers")
    lifetime: Lifetime | None = Field(
        default=None, description="of a test environment, set by `env.up`; any other stack has none"
    )
    ceilings: Ceilings = Field(description="what no resource, and not all together, may go beyond")
    registry: Registry = Field(description="where images come from")
    caddy: ContainerImage = Field(description="image of Caddy, the TLS front on each server, pinned by digest")
    health: Health = Field(description="how Cloudflare tells that a role works")
    balancer_check: BalancerCheck = Field(description="how a NodeBalancer tests a server")
    generations: Annotated[dict[str, ServerImage], Field(min_length=1)] = Field(
        description="operating system image of each generation, by number; a new image is a new generation"
    )
    reboots: Reboots = Field(description="when servers reboot by themselves, where an update needs it")
    parity: Parity = Field(description="which stack it is kept like, for `parity`")
    failover: Failover | None = Field(
        default=None, description="the sites of a stack that publishes names; without it, this one alone"
    )
    standby: Standby | None = Field(default=None, description="of a stack that is another one's second site")
    voice: Voice | None = Field(
        default=None, description="names for phone trunks, of a stack with a zone; null for none"
    )
    roles: Annotated[dict[Name, Role], Field(min_length=1)] = Field(description="what servers can be")
    environments: Annotated[dict[Name, Environment], Field(min_length=1)] = Field(
        description="the stack file names those that the stack has, and their differences"
    )

    def host(self, environment: str, role: str) -> str | None:
        """Return the public host name of a role, or None where nothing is published."""
        settings = self.environments[environment]
        if settings.publish == "none" or self.zone is None:
            return None
        return f"{host_label(settings, role)}.{self.zone}"

    @property
    def has_front(self) -> bool:
        """Whether its names, their pools and the zone's settings are this stack's: a standby's are its primary's."""
        return self.zone is not None and self.standby is None

    def names(self) -> Iterator[tuple[str, str, str]]:
        """Yield environment, role and host name of everything that the front balances over sites."""
        for environment, settings, role, _ in self.groups():
            host = self.host(environment, role)
            if host and self.has_front and settings.publish == "load-balancer":
                yield environment, role, host

    def sites(self, name: str) -> dict[str, Site]:
        """Return the front's sites by name: this stack's own, which is called `name`, and then the others.

        Its own addresses are not configuration: they are those of its balancers.
        """
        if self.failover is None:
            return {name: Site(region=self.region)}
        return {name: Site(region=self.region, weight=self.failover.weight), **self.other_sites()}

    def other_sites(self) -> dict[str, Site]:
        """Return the front's sites but this stack's own, by name."""
        return self.failover.sites if self.failover else {}

    def is_inside(self, site: Site) -> bool:
        """Whether a site is in the stack's jurisdiction, which what has data never leaves."""
        return catalog.REGIONS[site.region].jurisdiction == self.jurisdiction

    def home(self, name: str) -> str:
        """Return the site that is the primary by decision; this stack is called `name`."""
        return (self.failover and self.failover.home) or name

    def active(self, name: str) -> str:
        """Return the site that serves the stateful names; this stack is called `name`."""
        return (self.failover and self.failover.active) or self.home(name)

    def voice_hosts(self) -> dict[str, str]:
        """Return the host names that phone trunks call, by site."""
        return {site: f"{self.voice.host}-{site}.{self.zone}" for site in self.voice.sites} if self.voice else {}

    def probe_regions(self) -> tuple[str, ...]:
        """Return Cloudflare's regions from which its sites are probed."""
        return self.health.probe_regions or catalog.JURISDICTIONS[self.jurisdiction].probe_regions

    def copy_region(self) -> str | None:
        """Return the region that holds the database copies, or None where there are none."""
        if self.copies is None:
            return None
        return self.copies.region or catalog.REGIONS[self.region].copy_region

    def second_copy_region(self) -> str | None:
        """Return the region of the second copies: neither the databases' nor the first ones' where there is a third."""
        first = self.copy_region()
        if self.copies is None or first is None:
            return None
        others = (
            name
            for name, region in catalog.REGIONS.items()
            if region.jurisdiction == self.jurisdiction and region.object_storage and name not in (self.region, first)
        )
        return self.copies.second or next(others, first)

    def groups(self) -> Iterator[tuple[str, Environment, str, Group]]:
        """Yield environment name, environment, role name and group, in the order of the configuration."""
        for environment_name, environment in self.environments.items():
            for role, group in environment.groups.items():
                yield environment_name, environment, role, group


def host_label(environment: Environment, role: str) -> str:
    """Return the first label of a role's host name."""
    return environment.groups[role].host or f"{environment.host_prefix}{role}"


def server_numbers(group: Group) -> Iterator[tuple[int, int]]:
    """Yield generation and number within it, both from 1, of every server of a group, in the group's order."""
    for generation in group.generations:
        for number in range(1, group.count + 1):
            yield generation, number
