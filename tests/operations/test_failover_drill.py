"""A drill breaks sites while clients ask, measures what comes of it, and ends with 1 where a bound does not hold."""

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import settings
from operations.failover.drill import bounds, measures, report
from operations.failover.drill.bounds import Found
from operations.failover.drill.clients import Clients, Name
from operations.failover.drill.incidents import INCIDENTS
from operations.failover.drill.measures import Attempt, Served, Verdict
from operations.failover.drill.stage import step_of
from sandbox import front
from sandbox.machines import Endpoint
from tests.configuration import REMOVED, ROOT, change_platform, change_stack, git
from tests.operations.checkout import Checkout, sandboxed
from toolchain import cache

STACK, STANDBY = "us-central", "us-standby"


def attempts(*said: tuple[str, float, int]) -> list[Attempt]:
    return [Attempt("api", key, at - 0.5, at, status) for key, at, status in said]


def served(*sites: str) -> list[Served]:
    return [Served(float(at), "api", site, f"region of {site}") for at, site in enumerate(sites)]


def test_a_message_failed_only_where_no_try_was_answered_well() -> None:
    said = attempts(("a", 1, 503), ("a", 2, 200), ("b", 3, 500), ("b", 4, 0), ("c", 5, 200), ("c", 6, 200))
    assert measures.failed(said) == {"b"}
    assert measures.acknowledged(said) == {"a": 2, "c": 5}


def test_nothing_is_served_for_the_longest_time_between_two_good_answers() -> None:
    said = attempts(("a", 1, 200), ("b", 2, 500), ("c", 4.5, 200), ("d", 5, 200), ("e", 9, 200))
    assert measures.outage(said, 1, 6) == 3.5
    assert measures.outage(said, 5.5, 8.5) == 3


def test_a_failure_is_detected_at_the_first_verdict_after_it_of_that_site() -> None:
    verdicts = [
        Verdict(at, name, site, healthy)
        for at, name, site, healthy in (
            (1, "api", "home", False),
            (2, "api", "home", True),
            (5, "api", "other", False),
            (9, "web", "home", True),
            (7, "api", "home", False),
            (8, "api", "home", False),
        )
    ]
    assert measures.detected(verdicts, "home", since=3) == {"api": 4}


def test_a_move_is_counted_when_requests_leave_home_and_not_when_they_come_back() -> None:
    assert measures.moves(served("home", "home"), "home") == 0
    assert measures.moves(served("home", "other", "other", "home"), "home") == 1
    assert measures.moves(served("home", "other", "home", "other"), "home") == 2
    shared = ["home", "other"] * 20
    assert measures.moves(served(*shared), "home", least=25) == 0
    assert measures.moves(served(*shared, *["other"] * 25, *shared), "home", least=25) == 1


def test_what_was_answered_and_is_not_held_is_lost() -> None:
    assert measures.lost({"a": 1, "b": 2}, {"b", "c"}) == {"a": 1}


def test_a_backend_at_an_address_that_nobody_has_is_in_no_region() -> None:
    strange = Served(3, "api", "", "")
    assert measures.where([*served("home", "home"), strange]) == {"nowhere": 1, "region of home": 2}


RECORDED = Path(__file__).with_name("front_access.jsonl")
"""The front's log of a drill, shortened: all servers of both roles are killed, `api` is moved and comes back."""


def test_the_log_of_a_real_drill_is_measured(tmp_path: Path) -> None:
    (tmp_path / front.FOLDER).mkdir()
    shutil.copy(RECORDED, tmp_path / front.FOLDER / front.LOG)
    log = sorted(front.requests(tmp_path), key=lambda each: each.time)
    for name, until, unserved in (("api", 400, 342.2), ("web-chat", 12, 7.9)):
        own = [each for each in log if each.host.startswith(f"{name}.")]
        asked = [Served(each.time, name, each.region, each.region) for each in own if each.address]
        assert measures.moves(asked, "us-central") == 1
        assert measures.where(asked).keys() == {"us-central", "us-ord"}
        said = [Attempt(name, "", 0, each.time, each.status) for each in own]
        assert measures.outage(said, log[0].time, log[0].time + until) == pytest.approx(unserved, abs=0.1)


WELL = Found(
    sent=1000,
    failed=0,
    detected={"api": 10.0},
    hit=["api"],
    computed=10.0,
    moves={"api": 1, "web-chat": 1},
    stateful=["api"],
    lost=[],
    copied=100.0,
    regions={"us-central": 10},
    allowed=["us-central", "us-ord"],
)


@pytest.mark.parametrize(
    ("incident", "change", "said"),
    [
        ("role", {}, None),
        ("role", {"failed": 900}, None),
        ("role", {"sent": 0}, "nobody asked anything"),
        ("role", {"detected": {"api": 12.0}}, None),
        ("role", {"detected": {"api": 12.1}}, "api: it took 12.1 s to detect; 12.0 s are 1.2 times what is computed"),
        ("role", {"detected": {}}, "api: it was never found to be down"),
        ("role", {"moves": {"api": 0, "web-chat": 1}}, "api: it moved 0 times, and not 1"),
        ("database", {}, "web-chat: it moved 1 times, and not 0"),
        ("role", {"moves": {"api": 1, "web-chat": 2}}, "web-chat: it moved 2 times, and not 1"),
        ("role", {"lost": [101.0]}, "1 messages that were answered are lost"),
        ("site", {"lost": [101.0]}, None),
        ("site", {"lost": [99.0, 101.0]}, "1 messages that were answered are lost, although they are older than the"),
        ("role", {"regions": {"eu-central": 3}}, "3 requests had a backend in 'eu-central', outside the jurisdiction"),
        ("role", {"regions": {"nowhere": 3}}, "3 requests had a backend at an address that nobody has"),
        ("blind", {"hit": [], "moves": {"api": 0, "web-chat": 1}}, None),
        ("blind", {"hit": [], "moves": {"web-chat": 2}}, "web-chat: it moved 2 times, and not 0 or 1"),
        ("errors", {"hit": [], "moves": {}, "failed": 250}, None),
        ("errors", {"hit": [], "moves": {}, "failed": 251}, "251 of 1000 messages failed in spite of retries; at most"),
        ("role", {"died": ["KeyError: 'x'"]}, "a client ended of what it should have met: KeyError: 'x'"),
        ("server", {"moves": {}, "failed": 1}, "1 of 1000 messages failed in spite of retries; at most 0% may"),
    ],
)
def test_a_bound_that_does_not_hold_is_said(incident: str, change: dict[str, object], said: str | None) -> None:
    broken = bounds.broken(INCIDENTS[incident], replace(WELL, **change))  # type: ignore[arg-type]
    assert len(broken) == (said is not None)
    assert not said or said in broken[0]


def test_a_client_that_dies_of_what_it_does_not_foresee_is_noticed() -> None:
    clients = Clients(Endpoint("127.0.0.1", 9), "metadata")
    with clients.asking([Name("no\nhost", "api", "production", stateful=True)], 2):
        for _ in range(100):
            time.sleep(0.1 * (len(clients.died) < 2))
    assert clients.died == ["ValueError: Invalid header value b'no\\nhost'"] * 2


def configure(checkout: Checkout) -> None:
    """Have the checkout be one in git, with a small environment at two sites, one name of each kind, quick probes."""
    (checkout.folder / "tmp").mkdir()
    checkout.environment["TMPDIR"] = str(checkout.folder / "tmp")
    checkout.environment["XDG_CACHE_HOME"] = str(cache.folder().parents[1])  # restic, PostgreSQL, the S3 server
    groups = "environments.production.groups"
    change_platform(
        checkout.root,
        {
            **{f"{groups}.{role}": REMOVED for role in ("chat", "customer-service")},
            **{
                f"{groups}.{role}": {"count": 2, "plan": "g6-standard-1", "generations": [1]}
                for role in ("api", "web-chat")
            },
            "environments.production.database.plan": "g6-nanode-1",
            "environments.production.database.nodes": 1,
            "health.timeout": 2,
        },
    )
    change_stack(checkout.root, STACK, {"environments.bot-testing": REMOVED})
    shutil.copy(ROOT / ".gitignore", checkout.root)
    git(checkout.root, "init", "--quiet", "--initial-branch", "main")
    git(checkout.root, "add", ".")
    git(checkout.root, "commit", "--quiet", "--message", "all")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    for checkout in sandboxed(tmp_path_factory.mktemp("drilled")):
        configure(checkout)
        yield checkout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((STACK,), "nothing is broken on real accounts; add --sandbox"),
        ((STACK, "--sandbox", "--mode", "hot"), "--mode hot: there is none; known are pilot-light, warm, active"),
        ((STACK, "--sandbox", "--incident", "rain"), "--incident rain: there is none; known are server, "),
        (("test", "--sandbox", "--yes"), "name one stack that has 'failover' with another site in its file"),
        ((STANDBY, "--sandbox", "--yes"), "name one stack that has 'failover' with another site in its file"),
        ((STACK, "--sandbox"), f"./inv failover.drill {STACK} --sandbox --yes"),
    ],
)
def test_what_can_not_be_drilled_is_refused(repository: Checkout, arguments: tuple[str, ...], why: str) -> None:
    ended = repository.run("failover.drill", *arguments)
    assert ended.code == 2
    assert why in ended.errors
    assert is_clean(repository)


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ({"active": STANDBY}, [f"failover.failback {STACK}"]),
        ({"home": STANDBY}, [f"failover.engage {STACK} --to {STACK}", f"failover.keep {STACK}"]),
        ({"home": STANDBY, "active": STACK}, [f"failover.keep {STACK}"]),
    ],
)
def test_a_drill_begins_at_home(checkout: Checkout, said: dict[str, str], first: list[str]) -> None:
    roles = settings.load(checkout.root, STACK).environments["production"].groups
    addresses = {"production": {role: f"198.51.100.{number}" for number, role in enumerate(roles, start=1)}}
    changes = {f"failover.sites.{STANDBY}.addresses": addresses}
    change_stack(checkout.root, STACK, changes | {f"failover.{key}": site for key, site in said.items()})
    ended = checkout.run("failover.drill", STACK, "--sandbox", "--yes")
    assert ended.code == 2
    assert ended.errors.rstrip().endswith(f": {' and '.join(f'`./inv {task}`' for task in first)} first")


def drilled(checkout: Checkout, mode: str, *incidents: str) -> dict[str, Any]:
    """Drill to the end, and return the evidence that is published."""
    options = [option for each in incidents for option in ("--incident", each)]
    command = ("failover.drill", STACK, "--sandbox", "--yes", "--publish", "--mode", mode, *options)
    with checkout.start(*command, output=subprocess.PIPE) as running:
        said = (running.stdout or io.StringIO()).read()
    assert running.returncode == 0, said[-6000:]
    published = sorted((checkout.root / "docs" / "evidence").glob(f"failover-{STACK}-*.json"))
    return dict(json.loads(published[-1].read_text()))


def test_monitors_that_move_for_nothing_or_notice_too_late_end_a_drill_badly() -> None:
    background = {"years": 1, "moves": 0, "seconds_to_detect": 134.9, "detect_within": 180}
    assert report.broken({"background": background, "incidents": []}) == []
    worse = {**background, "moves": 2, "detect_within": 120}
    assert report.broken({"background": worse, "incidents": []}) == [
        "in 1 simulated years of background errors it moved 2 times",
        "a simulated outage is noticed after 134.9 s, and 120 s are allowed ('detect_within')",
    ]


def test_a_step_that_is_done_again_is_the_same_whatever_its_numbers_and_copies_are() -> None:
    told = [f"us-standby: {rows} rows, as the copy {copy} says" for rows, copy in ((7, "deadbeef"), (12, "00c0ffee"))]
    assert len({step_of(line) for line in told}) == 1
    assert step_of(told[0]) != step_of("us-standby: 7 rows, as the database says")


def is_clean(checkout: Checkout) -> bool:
    """Whether no folder, work tree or process of a drill is left."""
    folder = Path(checkout.environment["TMPDIR"])
    commands = [each.read_bytes() for each in Path("/proc").glob("[0-9]*/cmdline") if each.exists()]
    return (
        not list(folder.glob("chat-tonic-*"))
        and git(checkout.root, "worktree", "list", "--porcelain").count("worktree ") == 1
        and not [each for each in commands if str(folder).encode() in each]
    )


def test_an_incident_that_does_not_come_to_its_end_is_noted_and_the_next_one_follows(repository: Checkout) -> None:
    good = git(repository.root, "rev-parse", "HEAD")
    (repository.root / "tasks.py").write_text("raise SystemExit('no task\\n\\nis any good')\n")
    git(repository.root, "commit", "--quiet", "--all", "--message", "tasks that fail")
    git(repository.root, "checkout", good, "--", "tasks.py")  # what is drilled is the commit
    command = ("failover.drill", STACK, "--sandbox", "--yes", "--mode", "warm")
    ended = repository.run(*command, "--incident", "server", "--incident", "errors")
    git(repository.root, "reset", "--quiet", "--hard", good)
    assert ended.code == 1
    found = json.loads(ended.output[ended.output.index("{") :])
    assert [each["incident"] for each in found["incidents"]] == ["server", "errors"]
    for each in found["incidents"]:
        why = f"it did not come to its end: `up {STANDBY}` ended with 1: no task / is any good"
        assert each["broken"] == [why]
    assert (found["result"], "reason" in found) == ("failed", False)
    assert is_clean(repository)


def test_a_server_that_is_killed_fails_no_message_and_moves_nothing(repository: Checkout) -> None:
    found = drilled(repository, "pilot-light", "server")
    (incident,) = found["incidents"]
    assert (found["result"], incident["broken"]) == ("held", [])
    assert (incident["failed"], incident["lost"]) == (0, 0)
    assert incident["messages"] > 100
    assert incident["moves"] == {"production/api": 0, "production/web-chat": 0}
    assert incident["requests_by_region"].keys() == {"us-central"}
    assert found["background"]["moves"] == 0
    assert 120 < found["background"]["seconds_to_detect"] <= 135
    assert is_clean(repository)


@pytest.mark.parametrize(
    ("mode", "incidents"),
    [
        ("warm", ("flapping", "blind", "errors")),
        ("pilot-light", ("site",)),
        ("warm", ("task",)),
        ("warm", ("database",)),
        ("active", ("role",)),
        ("active", ("api",)),
    ],
)
def test_every_bound_holds_in_every_mode(
    repository: Checkout, mode: str, incidents: tuple[str, ...], exhaustive: bool
) -> None:
    if not exhaustive:
        pytest.skip("an incident takes minutes where names are moved: ./inv test --all")
    found = drilled(repository, mode, *incidents)
    assert {each["incident"]: each["broken"] for each in found["incidents"]} == {each: [] for each in incidents}
    assert is_clean(repository)


def test_a_drill_that_is_ended_mends_and_leaves_nothing(repository: Checkout, exhaustive: bool) -> None:
    if not exhaustive:
        pytest.skip("both sites have to be made before something can be ended: ./inv test --all")
    command = ("failover.drill", STACK, "--sandbox", "--yes", "--mode", "pilot-light", "--incident", "errors")
    said = []
    with repository.start(*command, output=subprocess.PIPE) as running:
        for line in running.stdout or ():
            said.append(line)
            if line.startswith("-- pilot-light: 30 %") and not line.rstrip().endswith(" s"):
                os.killpg(running.pid, signal.SIGTERM)
    assert running.returncode == 1
    assert any("it was interrupted" in line for line in said)
    assert is_clean(repository)
