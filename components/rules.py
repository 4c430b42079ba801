"""Rules over more than one value of a stack, or over all stacks. Each yields the key that is wrong, and why.

A rule may look only at sections that are valid by themselves: reading another one ends the rule in silence, because
that section's own problem is already reported.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from components import catalog, labels, reboots, site_rules
from components.topology import BACKUP_HOURS, MAINTENANCE_HOURS, Environment, Stack, host_label, server_numbers

Key = tuple[str, ...]
Found = Iterator[tuple[Key, str]]


def regions_stay_in_the_jurisdiction(stack: Stack) -> Found:
    """P7: every region of a stack is inside its jurisdiction."""
    for key, region in (
        (("region",), stack.region),
        (("copies", "region"), stack.copies and stack.copies.region),
        (("copies", "second"), stack.copies and stack.copies.second),
    ):
        if region and catalog.REGIONS[region].jurisdiction != stack.jurisdiction:
            inside = (name for name, known in catalog.REGIONS.items() if known.jurisdiction == stack.jurisdiction)
            yield (
                key,
                f"'{region}' is outside the jurisdiction '{stack.jurisdiction}'; inside are {', '.join(inside)}",
            )


def copies_leave_the_data_center(stack: Stack) -> Found:
    """P4: copies are kept in another data center than their database, one that has object storage."""
    if stack.copies is None:
        return
    if stack.copy_region() is None:
        yield ("copies", "region"), f"the catalog has no copy region for '{stack.region}'; name one"
    for key, region in (("region", stack.copy_region()), ("second", stack.copies.second)):
        if region == stack.region:
            yield ("copies", key), f"'{region}' is the databases' own region; name another one"
        elif region and not catalog.REGIONS[region].object_storage:
            yield ("copies", key), f"'{region}' has no object storage; name a region that has"


def copies_have_a_place_and_a_worker(stack: Stack) -> Found:
    """P4: a database that is copied needs a bucket's region and an ops server that makes the copy."""
    for name, environment in stack.environments.items():
        for section in ("copies", "ops"):
            if environment.database.copies and getattr(stack, section) is None:
                yield (
                    ("environments", name, "database", "copies"),
                    f"copies need '{section}', which this stack sets to null; declare it, or set this to false",
                )


def copies_and_backups_are_undisturbed(stack: Stack) -> Found:
    """P3, P4: no server may reboot while it is backed up, nor the ops server or a database while a copy is made."""
    servers = _Hours(stack.reboots.hour, stack.reboots.hours)
    if _Hours(stack.backups.hour, BACKUP_HOURS).meets(servers):
        yield (
            ("backups", "hour"),
            f"servers may reboot from {servers} ('reboots'), and would be backed up from "
            f"{_Hours(stack.backups.hour, BACKUP_HOURS)}; choose another hour",
        )
    if stack.copies is None:
        return
    copy = _Hours(stack.copies.hour, 1)
    if copy.meets(servers):
        yield (
            ("copies", "hour"),
            f"the ops server may reboot from {servers} ('reboots'), and would make copies from {copy}; choose another",
        )
    for name, environment in stack.environments.items():
        restarts = _Hours(environment.database.maintenance.hour, MAINTENANCE_HOURS)
        if environment.database.copies and copy.meets(restarts):
            yield (
                ("environments", name, "database", "maintenance", "hour"),
                f"the provider may restart it from {restarts}, and it is copied from {copy} ('copies.hour'); "
                "choose another hour for one of them",
            )


@dataclass(frozen=True)
class _Hours:
    """Some hours of every day, UTC, from one on."""

    first: int
    many: int

    def meets(self, other: "_Hours") -> bool:
        """Whether both have an hour in common."""
        return not self.all().isdisjoint(other.all())

    def all(self) -> set[int]:
        """Return each of them."""
        return {(self.first + later) % 24 for later in range(self.many)}

    def __str__(self) -> str:
        return f"{self.first}:00 to {(self.first + self.many) % 24}:00"


def databases_are_offered(stack: Stack) -> Found:
    """Not every plan has every number of nodes."""
    for name, environment in stack.environments.items():
        database = environment.database
        offered = catalog.DATABASE_PLANS[database.plan].price_by_nodes
        if database.nodes not in offered:
            numbers = " or ".join(map(str, offered))
            yield (
                ("environments", name, "database", "nodes"),
                f"the plan '{database.plan}' is not offered with {database.nodes} nodes; it has {numbers}",
            )


def databases_are_told_apart(stack: Stack) -> Found:
    """What a database serves as, or comes from, is said of one that there is."""
    for name, environment in stack.environments.items():
        database, at = environment.database, ("environments", name, "database")
        known = ", ".join(map(str, database.generations))
        if database.serves not in database.generations:
            yield (*at, "serving"), f"there is no generation {database.serves}; 'generations' has {known}"
        for section in ("forks", "restored"):
            for generation in getattr(database, section):
                if generation not in map(str, database.generations):
                    yield (*at, section, generation), f"there is no generation {generation}; 'generations' has {known}"
        for generation, fork in database.forks.items():
            if fork.of not in database.generations or str(fork.of) == generation:
                what = f"generation {fork.of} is none that it could be a fork of; 'generations' has {known}"
                yield (*at, "forks", generation, "of"), what


def groups_are_of_known_roles(stack: Stack) -> Found:
    """A group is named after a role."""
    for name, _, role, _ in stack.groups():
        if role not in stack.roles:
            yield (
                ("environments", name, "groups", role),
                f"unknown role '{role}'; known are {', '.join(stack.roles)}",
            )


def generations_are_declared(stack: Stack) -> Found:
    """A group's generations are among the stack's."""
    for number in stack.generations:
        if not re.fullmatch(r"[1-9]\d{0,2}", number):
            yield ("generations", number), f"'{number}' is not a generation's number; use 1 to 999"
    for name, _, role, group in stack.groups():
        for generation in group.generations:
            if str(generation) not in stack.generations:
                yield (
                    ("environments", name, "groups", role, "generations"),
                    f"generation {generation} has no image; add it to 'generations' in platform.yaml",
                )


def servers_have_reboot_windows_of_their_own(stack: Stack) -> Found:
    """P2: no two servers of a role reboot in one window."""
    most = reboots.most(stack.reboots)
    for name, _, role, group in stack.groups():
        at_group: Key = ("environments", name, "groups", role)
        if group.count > most:
            yield (
                (*at_group, "count"),
                f"{group.count} servers, and 'reboots' has windows for {most} in each of two generations; lower the "
                "count, or give 'reboots' more 'days' or 'hours', or a lower 'every'",
            )
        if len({reboots.lane(generation) for generation in group.generations}) < len(group.generations):
            numbers = ", ".join(map(str, group.generations))
            yield (
                (*at_group, "generations"),
                f"the generations {numbers} would share windows of 'reboots'; run two side by side, an odd and an "
                "even number",
            )


def published_environments_have_a_zone(stack: Stack) -> Found:
    """Names need a zone, and a zone needs somebody to tell."""
    for name, environment in stack.environments.items():
        if environment.publish != "none" and stack.zone is None:
            yield (
                ("environments", name, "publish"),
                "publishing needs the stack's 'zone'; set it, or publish 'none'",
            )
    if stack.zone is not None and stack.alarms is None:
        yield ("alarms",), "a stack with a zone needs 'alarms' with 'board' and 'on_call'"
    if stack.zone is None and stack.failover is not None:
        yield ("failover",), "only a stack with a 'zone' has names that could move; set it, or remove this"
    if stack.standby is not None and stack.failover is not None:
        what = f"a standby has no front; that of '{stack.standby.of}' says which sites there are; remove this"
        yield ("failover",), what


def host_names_are_one_level_below_the_zone(stack: Stack) -> Found:
    """The edge certificate covers no deeper name."""
    for name, environment, role, group in stack.groups():
        host = host_label(environment, role)
        at_group: Key = ("environments", name, "groups", role, "host")
        key = at_group if group.host is not None else ("environments", name, "host_prefix")
        if "." in host:
            yield (
                key,
                f"'{host}' is deeper than one level below the zone; the edge certificate covers '<name>.<zone>'",
            )
        elif not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", host):
            yield key, f"'{host}' is no host name's label; use a-z, 0-9 and hyphens, 63 at most"


def host_names_are_distinct(stack: Stack) -> Found:
    """Two roles cannot answer to one name."""
    seen = {stack.failover.host: "the metadata ('failover.host')"} if stack.failover else {}
    for name, environment, role, _ in stack.groups():
        if environment.publish == "none":
            continue
        host = host_label(environment, role)
        place = f"{role} of {name}"
        if host in seen:
            yield (
                ("environments", name, "groups", role, "host"),
                f"the host name '{host}' is already that of {seen[host]}; set another 'host' or 'host_prefix'",
            )
        seen.setdefault(host, place)


def environment_labels_are_distinct(stack: Stack) -> Found:
    """Environments share no label."""
    count = Counter(environment.label for environment in stack.environments.values())
    for name, environment in stack.environments.items():
        if count[environment.label] > 1:
            yield (
                ("environments", name, "label"),
                f"the label '{environment.label}' stands twice; give each its own",
            )
        for label, owner in (("ops", "the ops server's"), ("voice", "that of phone names")):
            if environment.label == label:
                yield ("environments", name, "label"), f"the label '{label}' is {owner}; choose another"


def test_environments_are_told_by_their_label(stack: Stack) -> Found:
    """P6: what `env.sweep` ends is known by its label alone, and holds nothing that anybody relies on."""
    looks_like_one = stack.label.startswith(labels.TEST_ENVIRONMENT)
    if stack.lifetime is None:
        if looks_like_one:
            what = f"labels that begin with '{labels.TEST_ENVIRONMENT}' are those of test environments; choose another"
            yield ("label",), what
        return
    if not looks_like_one:
        yield ("lifetime",), f"only a test environment has one, with a label '{labels.TEST_ENVIRONMENT}...'; remove it"
    for section in ("zone", "ops", "copies"):
        if getattr(stack, section) is not None:
            yield (section,), "a stack with a lifetime is closed, and is ended whole; set this to null"


def composed_labels_fit(stack: Stack) -> Found:
    """Every label that the program will compose is one that its kind of object accepts."""
    for name, environment in stack.environments.items():
        for role in environment.groups:
            for compose in _labels_of_group(stack, environment, role):
                try:
                    compose()
                except labels.LabelError as error:
                    yield ("environments", name, "groups", role), str(error)
                    break


def _labels_of_group(stack: Stack, environment: Environment, role: str) -> Iterator[Callable[[], str]]:
    parts = (stack.label, environment.label, role)
    generation, number = max(server_numbers(environment.groups[role]))
    yield lambda: labels.label("balancer", *parts)
    for site in ("", *stack.other_sites()):
        yield lambda site=site: labels.pool(*parts, site=site)  # type: ignore[misc]
    yield lambda: labels.label("firewall", *parts, "lb")
    for kind in ("server", "balancer node"):
        yield lambda kind=kind: labels.label(kind, *parts, f"g{generation}", str(number))  # type: ignore[misc]


def probes_fit_their_interval(stack: Stack) -> Found:
    """F4: a probe with all its retries is over before the next one begins; the API wants room between."""
    health = stack.health
    longest = health.timeout * (health.retries + 1)
    if longest >= health.interval:
        yield (
            ("health", "timeout"),
            f"a probe takes up to {longest} s ({health.timeout} s, {health.retries} retries), not less than the "
            f"interval of {health.interval} s; lower the timeout or the retries, or raise the interval",
        )


def balancer_checks_fit_their_interval(stack: Stack) -> Found:
    """The API wants an interval greater than the timeout."""
    check = stack.balancer_check
    if check.timeout >= check.interval:
        yield (
            ("balancer_check", "timeout"),
            f"{check.timeout} s is not less than the interval of {check.interval} s; lower it",
        )


def sources_fit_a_firewall_rule(stack: Stack) -> Found:
    """Networks that lie inside one another say the same thing twice."""
    networks = [ipaddress.ip_network(source) for source in stack.admin_sources]
    for inner in networks:
        for outer in networks:
            if inner != outer and inner.version == outer.version and inner.subnet_of(outer):  # type: ignore[arg-type]
                yield ("admin_sources",), f"'{inner}' lies inside '{outer}'; keep one"


STACK_RULES: tuple[Callable[[Stack], Found], ...] = (
    regions_stay_in_the_jurisdiction,
    copies_leave_the_data_center,
    copies_have_a_place_and_a_worker,
    copies_and_backups_are_undisturbed,
    databases_are_offered,
    databases_are_told_apart,
    groups_are_of_known_roles,
    generations_are_declared,
    servers_have_reboot_windows_of_their_own,
    published_environments_have_a_zone,
    host_names_are_one_level_below_the_zone,
    host_names_are_distinct,
    environment_labels_are_distinct,
    test_environments_are_told_by_their_label,
    composed_labels_fit,
    probes_fit_their_interval,
    balancer_checks_fit_their_interval,
    sources_fit_a_firewall_rule,
    *site_rules.STACK_RULES,
)


def stacks_fit_together(name: str, stack: Stack, others: Mapping[str, Stack]) -> Found:
    """Rules over all stack files: labels and zones are not shared, and the account's pools are enough."""
    for other_name, other in others.items():
        if other.label == stack.label:
            yield (
                ("label",),
                f"the label '{stack.label}' is also that of the stack '{other_name}'; choose another",
            )
        if (
            stack.zone is not None
            and other.zone == stack.zone
            and not site_rules.are_a_pair(name, stack, other_name, other)
        ):
            yield (
                ("zone",),
                f"the zone '{stack.zone}' is also that of the stack '{other_name}'; each has its own, and only a "
                "standby has its primary's",
            )
    yield from site_rules.sites_fit_together(name, stack, others)
    if stack.parity.peer == name:
        yield ("parity", "peer"), "it is this very stack; name the one that it is kept like"
    pools = {each_name: _pools(each) for each_name, each in {**others, name: stack}.items()}
    if sum(pools.values()) > catalog.MAX_POOLS and pools[name]:
        counts = ", ".join(f"{each} {count}" for each, count in sorted(pools.items()) if count)
        yield (
            ("environments",),
            f"{sum(pools.values())} pools over all stacks ({counts}), and an account holds {catalog.MAX_POOLS}; "
            "publish fewer environments as 'load-balancer'",
        )


# RFC 2606 and RFC 6761 keep these names, RFC 5737 and RFC 3849 these networks, for documentation.
_DOCUMENTATION_NAMES = (".example", ".invalid", ".test", ".localhost", "example.com", "example.net", "example.org")
_DOCUMENTATION_NETWORKS = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)


def placeholders(stack: Stack) -> Found:
    """Values that stand for real ones, which a real run must not use."""
    named: dict[Key, str | None] = {("zone",): stack.zone, ("registry", "host"): stack.registry.host}
    if stack.alarms:
        named |= {("alarms", "board"): stack.alarms.board, ("alarms", "on_call"): stack.alarms.on_call}
    for key, name in named.items():
        if name and name.partition(":")[0].endswith(_DOCUMENTATION_NAMES):
            yield key, f"'{name}' is a name reserved for documentation; write yours"
    for source in map(ipaddress.ip_network, stack.admin_sources):
        if any(source.version == n.version and source.subnet_of(n) for n in _DOCUMENTATION_NETWORKS):  # type: ignore[arg-type]
            yield ("admin_sources",), f"'{source}' is a network reserved for documentation; write yours"
    for role, settings in stack.roles.items():
        if settings.image.endswith("sha256:" + "0" * 64):
            yield ("roles", role, "image"), "no release is set; write the digest of the image to run"
    yield from _placeholders_of_sites(stack)


def _placeholders_of_sites(stack: Stack) -> Found:
    addresses: dict[Key, str] = {
        ("failover", "sites", site, "addresses", environment, role): address
        for site, settings in stack.other_sites().items()
        for environment, roles in settings.addresses.items()
        for role, address in roles.items()
    }
    for site, voice in stack.voice.sites.items() if stack.voice else ():
        addresses |= {("voice", "sites", site, "edges", edge): address for edge, address in voice.edges.items()}
    for key, address in addresses.items():
        if any(ipaddress.ip_address(address) in each for each in _DOCUMENTATION_NETWORKS):
            yield key, f"'{address}' is an address reserved for documentation; write yours"


def _pools(stack: Stack) -> int:
    """Count the pools of a stack, with those of sites that have no addresses yet."""
    return sum(1 for _ in stack.names()) * (1 + len(stack.other_sites()))
