"""Whether the accounts are ready for a stack, as far as their APIs tell.

What the APIs do not say is not checked: Linode names no limits of servers, balancers or databases, and neither cloud
tells by reading whether a token may write. Linode names the scopes of a token beside its answers; these are compared.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from rich.table import Table

from components import catalog
from components.settings import Stack
from operations import clouds, scopes, survey
from operations.clouds import Clouds
from operations.errors import Refused
from operations.project import Project
from operations.scopes import COPIES, EDGE, PLATFORM, SCOPES
from operations.survey import Answers

LARGEST_DIFFERENCE = 60  # seconds between this machine's clock and the clouds'
CAPABILITIES = frozenset(
    {
        "Backups",
        "Cloud Firewall",
        "Disk Encryption",
        "Linodes",
        "Managed Databases",
        "Metadata",
        "NodeBalancers",
        "Placement Group",
    }
)


@dataclass(frozen=True)
class Result:
    """What a check found; where it is not well, `found` says also what to do."""

    check: str
    well: bool
    found: str


def require(projects: Sequence[Project], stacks: Mapping[str, Stack]) -> None:
    """Refuse to go on where an account is not ready, as far as a few calls tell.

    Raises:
        Refused: with every check that fails, of all stacks.
        Failed: the engine does not give a stack's configuration.
    """
    problems = [
        f"{project.stack}: {result.check}: {result.found}"
        for project in projects
        for result in check(clouds.connect(project), stacks[project.stack], thoroughly=False)
        if not result.well
    ]
    if problems:
        raise Refused("\n".join(problems))


def check(opened: Clouds, stack: Stack, *, thoroughly: bool) -> list[Result]:
    """Ask the clouds, and return what every check found."""
    answers = survey.ask(opened, stack, thoroughly=thoroughly)
    return [result for each in CHECKS for result in each(answers)]


def table(results: Mapping[str, Sequence[Result]]) -> Table:
    """Return the results of stacks for people."""
    shown = Table("Stack", "Check", "", "Found")
    for stack, found in results.items():
        for position, each in enumerate(found):
            shown.add_row("" if position else stack, each.check, "well" if each.well else "FAILS", each.found)
        shown.add_section()
    return shown


def _reached(answers: Answers) -> Iterator[Result]:
    """The clouds answer, and know the tokens."""
    for account in SCOPES:
        given = [answer for question, answer in answers.given.items() if question.account == account]
        if unknown := next((each for each in given if each.unknown_token), None):
            yield Result(f"{account}: token", False, f"{unknown.body}; {_renew(account)}")
        elif missing := next((each for each in given if each.missing), None):
            yield Result(
                f"{account}: API", False, f"no answer: {missing.body}; try again, from where it can be reached"
            )


def _accounts(answers: Answers) -> Iterator[Result]:
    """The copies are in another account than the platform."""
    found = {account: answers.of(account, survey.ACCOUNT) for account in (PLATFORM, COPIES)}
    known = {account: answer.body for account, answer in found.items() if answer and answer.good}
    for account, each in known.items():
        yield Result(f"{account}: account", True, str(each["company"] or each["email"]))
    if known.keys() == found.keys():
        same = known[PLATFORM]["euuid"] == known[COPIES]["euuid"]
        advice = f"both tokens open one; set {scopes.KEYS[COPIES]} to a token of an account for copies alone"
        yield Result("two accounts", not same, advice if same else "copies are in another account than the platform")


def _scopes(answers: Answers) -> Iterator[Result]:
    """The tokens may do what the program and the operations need."""
    for account, wanted in SCOPES.items():
        asked = [(scope.name, answers.of(account, scope.path)) for scope in wanted]
        known = [(name, answer) for name, answer in asked if answer]
        if lacking := [name for name, answer in known if answer.forbidden or not _granted(name, answer.headers)]:
            yield Result(f"{account}: scopes", False, f"the token lacks {', '.join(lacking)}; {_renew(account)}")
        elif len(known) == len(asked):
            yield Result(f"{account}: scopes", True, "it may read all that is needed")


def _granted(scope: str, headers: Mapping[str, str]) -> bool:
    """Whether the scopes that Linode says the token has hold one; where nothing is said, nothing is known."""
    said = headers.get("X-OAuth-Scopes")
    if not said:
        return True
    given = set(said.replace(",", " ").split())
    area = scope.partition(":")[0]
    return not given.isdisjoint({"*", scope, f"{area}:read_write", f"{area}:*"})


def _renew(account: str) -> str:
    return f"make a token with {scopes.wanted(account)}, and set {scopes.KEYS[account]} to it"


def _regions(answers: Answers) -> Iterator[Result]:
    """The regions have what is put there."""
    stack = answers.stack
    wanted: list[tuple[str, str | None, Collection[str]]] = [
        (PLATFORM, stack.region, CAPABILITIES),
        *((COPIES, region, {"Object Storage"}) for region in (stack.copy_region(), stack.second_copy_region())),
    ]
    for account, region, needed in wanted:
        answer = answers.of(account, f"/regions/{region}")
        if answer is None:
            continue
        name = f"region {region}"
        if not answer.good:
            yield Result(name, False, f"{answer.body}; choose another region")
        elif lacking := sorted(set(needed) - set(answer.body["capabilities"])):
            yield Result(name, False, f"it has no {', '.join(lacking)}; choose another region")
        elif answer.body["status"] != "ok":
            yield Result(name, False, f"its status is '{answer.body['status']}'; wait until it is ok")
        else:
            yield Result(name, True, f"has {', '.join(sorted(needed))}")


def _placement(answers: Answers) -> Iterator[Result]:
    """The region takes as many placement groups as the stack has."""
    answer = answers.of(PLATFORM, f"/regions/{answers.stack.region}")
    if answer is None or not answer.good:
        return
    limits = answer.body.get("placement_group_limits") or {}
    most = limits.get("maximum_pgs_per_customer")
    size = limits.get("maximum_linodes_per_pg") or catalog.PLACEMENT_GROUP_SIZE
    needed = sum(len(group.generations) * -(-group.count // size) for _, _, _, group in answers.stack.groups())
    if most is not None and needed > most:
        yield Result("placement groups", False, f"{needed} are needed, and the account may have {most}; ask for more")
    else:
        yield Result("placement groups", True, f"{needed} of {'any number' if most is None else most}")


def _offers(answers: Answers) -> Iterator[Result]:
    """Plans and images are to be had."""
    stack = answers.stack
    plans = {group.plan for _, _, _, group in stack.groups()} | ({stack.ops.plan} if stack.ops else set())
    images = {stack.generations[str(n)] for _, _, _, group in stack.groups() for n in group.generations}
    images |= {stack.ops.image} if stack.ops else set()
    bases = {environment.database.plan for environment in stack.environments.values()}
    for what, path, wanted in (
        ("plans", survey.PLANS, plans),
        ("images", survey.IMAGES, images),
        ("database plans", survey.DATABASE_PLANS, bases),
    ):
        answer = answers.of(PLATFORM, path)
        if answer is not None:
            offered = {each["id"] for each in answer.body["data"]} if answer.good else wanted
            yield _presence(what, wanted - offered, "Linode has no", wanted)
    answer = answers.of(PLATFORM, f"/regions/{stack.region}/availability")
    if answer is not None and answer.good:
        # It names only plans that are not everywhere.
        gone = {each["plan"] for each in answer.body if not each["available"]}
        yield _presence(f"plans in {stack.region}", plans & gone, "it is out of", plans)


def _presence(what: str, lacking: Collection[str], says: str, wanted: Collection[str]) -> Result:
    if lacking:
        return Result(what, False, f"{says} {', '.join(sorted(lacking))}; choose another in platform.yaml")
    return Result(what, True, ", ".join(sorted(wanted)))


def _zone(answers: Answers) -> Iterator[Result]:
    """The zone is the stack's, of that account, and Cloudflare answers for it."""
    answer = answers.of(EDGE, survey.ZONE)
    if answer is None:
        return
    name = f"zone {answers.stack.zone}"
    if not answer.good:
        yield Result(name, False, f"{answer.body}; {_renew(EDGE)}")
    elif answer.body["name"] != answers.stack.zone:
        yield Result(name, False, f"the id is that of {answer.body['name']}; set chat-tonic:cloudflareZoneId anew")
    elif answer.body["account"]["id"] != answers.clouds.account_id:
        yield Result(name, False, "it is in another account; set chat-tonic:cloudflareAccountId anew")
    elif answer.body["status"] != "active":
        yield Result(
            name,
            False,
            f"it is '{answer.body['status']}'; set its name servers at the registrar, and wait for 'active'",
        )
    else:
        yield Result(name, True, "active")


def _load_balancing(answers: Answers) -> Iterator[Result]:
    """The Cloudflare account has Load Balancing, where the stack needs it."""
    answer = answers.of(EDGE, survey.POOLS)
    needed = any(each.publish == "load-balancer" for each in answers.stack.environments.values())
    if answer is None or not needed:
        return
    if answer.good:
        yield Result("load balancing", True, f"{len(answer.body)} of {catalog.MAX_POOLS} pools are there")
    else:
        yield Result(
            "load balancing",
            False,
            f"{answer.body}; buy Load Balancing for the account (Traffic, Load Balancing), or {_renew(EDGE)}",
        )


def _clock(answers: Answers) -> Iterator[Result]:
    """Certificates and tokens are judged by this machine's clock, which is right."""
    answer = answers.of(PLATFORM, survey.ACCOUNT)
    said = answer and answer.headers.get("Date")
    if said:
        apart = round(abs((dt.datetime.now(dt.UTC) - parsedate_to_datetime(said)).total_seconds()))
        text = f"{apart} s from the cloud's"
        well = apart <= LARGEST_DIFFERENCE
        yield Result("clock", well, text if well else f"{text}; set this machine's clock (timedatectl set-ntp true)")


CHECKS: Sequence[Callable[[Answers], Iterator[Result]]] = (
    _reached,
    _accounts,
    _scopes,
    _regions,
    _placement,
    _offers,
    _zone,
    _load_balancing,
    _clock,
)
"""All checks, in the order in which people read them; one that its questions were not asked for finds nothing."""
