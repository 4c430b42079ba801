"""Rules over more than one value of a stack, or over all stacks. Each yields the key that is wrong, and why.

A rule may look only at sections that are valid by themselves: reading another one ends the rule in silence, because
that section's own problem is already reported.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from components import catalog, detection, labels, reboots
from components.topology import BACKUP_HOURS, MAINTENANCE_HOURS, Environment, Site, Stack, host_label, server_numbers

Key = tuple[str, ...]
Found = Iterator[tuple[Key, str]]


def regions_stay_in_the_jurisdiction(stack: Stack) -> Found:
    """P7: every region of a stack is inside its jurisdiction."""
    regions: dict[Key, str | None] = {("region",): stack.region}
    if stack.copies:
        regions |= {("copies", "region"): stack.copies.region, ("copies", "second"): stack.copies.second}
    for name, site in _other_sites(stack):
        if not _serves_only_what_may_leave(stack, site):
            regions[("failover", "sites", name, "region")] = site.region
    for key, region in regions.items():
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


def _other_sites(stack: Stack) -> Iterator[tuple[str, Site]]:
    yield from stack.failover.sites.items() if stack.failover else ()


def _serves_only_what_may_leave(stack: Stack, site: Site) -> bool:
    served = [stack.roles.get(role) for roles in site.addresses.values() for role in roles]
    return bool(served) and all(role is not None and role.residency == "unrestricted" for role in served)


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
    for site in ("", *(name for name, _ in _other_sites(stack))):
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


def probes_come_from_the_jurisdiction(stack: Stack) -> Found:
    """P7: nothing is asked from outside."""
    inside = catalog.JURISDICTIONS[stack.jurisdiction].probed_from
    for region in stack.health.probe_regions or ():
        if region not in inside:
            yield (
                ("health", "probe_regions"),
                f"'{region}' is none of Cloudflare's regions in '{stack.jurisdiction}'; those are {', '.join(inside)}",
            )


def failures_are_detected_in_time(stack: Stack) -> Found:
    """F4: what the probes take together is no longer than the stack allows."""
    if stack.failover is None:
        return
    health, longest = stack.health, detection.times(stack.health).detect
    if longest > stack.failover.detect_within:
        yield (
            ("failover", "detect_within"),
            f"a failure may take {longest} s to be detected: {health.consecutive_down} probes, one every "
            f"{health.interval} s, the last of up to {health.timeout} s with {health.retries} retries; lower those of "
            "'health', or allow more",
        )


def roles_move_as_their_data_lets_them(stack: Stack) -> Found:
    """F5, P7: what has data moves after its data, and stays in its jurisdiction."""
    for name, role in stack.roles.items():
        if role.database and role.state == "stateless":
            what = "its servers reach the database, which has to be moved first; a role with 'database' is stateful"
            yield ("roles", name, "state"), what
        if role.state == "stateful" and role.sites == "active-active":
            yield ("roles", name, "sites"), "a stateful role is served by one site at a time; write active-passive"
        if role.residency == "unrestricted" and (role.database or role.state == "stateful"):
            what = "only a role that is stateless and without 'database' may leave the jurisdiction; remove this"
            yield ("roles", name, "residency"), what


def sites_have_addresses_of_names(stack: Stack) -> Found:
    """F2: a pool is made of an address for a name; what serves the stateful names has them all."""
    names = {(environment, role) for environment, role, _ in stack.names()}
    for site, settings in _other_sites(stack):
        key: Key = ("failover", "sites", site, "addresses")
        has = {(environment, role) for environment, roles in settings.addresses.items() for role in roles}
        for environment, role in sorted(has - names):
            what = f"{role} of {environment} is not published as 'load-balancer' by this stack; remove it"
            yield (*key, environment, role), what
        if stack.failover and site == (stack.failover.active or stack.failover.home):
            for environment, role in sorted(names - has):
                if role in stack.roles and stack.roles[role].state == "stateful":
                    yield key, f"the site is active, and has no address for {role} of {environment}; set it"


def voice_is_beside_the_names(stack: Stack) -> Found:
    """F8: the names of phone trunks are names of the front, one level below the zone; no two have an edge in common."""
    if stack.voice is None:
        return
    if not stack.has_front:
        yield ("voice",), "only a stack with a 'zone' of its own has names for trunks; write it into that one's file"
    taken = {host_label(environment, role): f"{role} of {name}" for name, environment, role, _ in stack.groups()}
    taken |= {stack.failover.host: "the metadata ('failover.host')"} if stack.failover else {}
    seen: dict[str, str] = {}
    for site, settings in stack.voice.sites.items():
        key: Key = ("voice", "sites", site)
        host = f"{stack.voice.host}-{site}"
        if not re.fullmatch(r"[a-z0-9-]{1,63}", host):
            yield key, f"'{host}' is no host name's label; use a-z, 0-9 and hyphens, 63 at most"
        if host in taken:
            yield key, f"the host name '{host}' is already that of {taken[host]}; set another 'voice.host'"
        for edge, address in settings.edges.items():
            if address in seen:
                yield (*key, "edges", edge), f"'{address}' is also the address of {seen[address]}; an edge is a host"
            seen.setdefault(address, f"{edge} of {site}")


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
    probes_come_from_the_jurisdiction,
    failures_are_detected_in_time,
    roles_move_as_their_data_lets_them,
    sites_have_addresses_of_names,
    voice_is_beside_the_names,
    balancer_checks_fit_their_interval,
    sources_fit_a_firewall_rule,
)


def stacks_fit_together(name: str, stack: Stack, others: Mapping[str, Stack]) -> Found:
    """Rules over all stack files: labels and zones are not shared, and the account's pools are enough."""
    for other_name, other in others.items():
        if other.label == stack.label:
            yield (
                ("label",),
                f"the label '{stack.label}' is also that of the stack '{other_name}'; choose another",
            )
        if stack.zone is not None and other.zone == stack.zone and not _are_a_pair(name, stack, other_name, other):
            yield (
                ("zone",),
                f"the zone '{stack.zone}' is also that of the stack '{other_name}'; each has its own, and only a "
                "standby has its primary's",
            )
    yield from _standby_fits(name, stack, others)
    yield from _sites_fit(name, stack, others)
    yield from _voice_fits(name, stack)
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


def _are_a_pair(name: str, stack: Stack, other_name: str, other: Stack) -> bool:
    """Whether one is the other's standby."""
    return (stack.standby is not None and stack.standby.of == other_name) or (
        other.standby is not None and other.standby.of == name
    )


def _standby_fits(name: str, stack: Stack, others: Mapping[str, Stack]) -> Found:
    """F2: a standby serves its primary's names, elsewhere in the same jurisdiction."""
    if stack.standby is None:
        return
    of, key = stack.standby.of, ("standby", "of")
    primary = others.get(of)
    if primary is None or primary.standby is not None or of == name:
        fronts = ", ".join(each for each, other in others.items() if other.has_front) or "none"
        yield key, f"'{of}' is no other stack with names of its own; those are {fronts}"
        return
    if primary.jurisdiction != stack.jurisdiction:
        yield key, f"'{of}' is in the jurisdiction '{primary.jurisdiction}'; a standby never leaves its own"
    if primary.zone != stack.zone:
        yield ("zone",), f"a standby serves its primary's names, and '{of}' has the zone '{primary.zone}'; write that"
    if primary.region == stack.region:
        yield ("region",), f"'{stack.region}' is also that of '{of}', and would be lost with it; choose another"


def _sites_fit(name: str, stack: Stack, others: Mapping[str, Stack]) -> Found:
    """F2: a site is a stack, where that is; and what is said of sites is said of known ones."""
    if stack.failover is None:
        return
    known = stack.sites(name)
    for site, settings in stack.failover.sites.items():
        key: Key = ("failover", "sites", site)
        other = others.get(site)
        if other is None:
            yield key, f"a site is another stack, and there is none '{site}'; known are {', '.join(others)}"
        elif other.region != settings.region:
            yield (*key, "region"), f"the stack '{site}' is in '{other.region}'; write that"
        elif other.jurisdiction == stack.jurisdiction and (other.standby is None or other.standby.of != name):
            yield key, f"the stack '{site}' is no standby of this one; write 'standby' with 'of: {name}' into its file"
    moving = stack.failover.moving
    said: dict[Key, str | None] = {
        ("failover", "home"): stack.failover.home,
        ("failover", "active"): stack.failover.active,
        ("failover", "moving", "source"): moving.source if moving else None,
        ("failover", "moving", "to"): moving.to if moving else None,
        **{("failover", "identifiers", site): site for site in stack.failover.identifiers},
    }
    for key, site_name in said.items():
        if site_name and site_name not in known:
            yield key, f"there is no site '{site_name}'; known are {', '.join(known)}"


def _voice_fits(name: str, stack: Stack) -> Found:
    """F8, P7: calls arrive at sites of the front, inside the jurisdiction."""
    known = stack.sites(name)
    for site in stack.voice.sites if stack.voice else ():
        key: Key = ("voice", "sites", site)
        if site not in known:
            yield key, f"there is no site '{site}'; known are {', '.join(known)}"
        elif (found := catalog.REGIONS[known[site].region].jurisdiction) != stack.jurisdiction:
            yield key, f"the site is in the jurisdiction '{found}', and calls stay in '{stack.jurisdiction}'; remove it"


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
        for site, settings in _other_sites(stack)
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
    return sum(1 for _ in stack.names()) * (1 + sum(1 for _ in _other_sites(stack)))
