"""What the checks make of the clouds' answers: each that fails says what is wrong, and what to do about it."""

import datetime as dt
from email.utils import format_datetime
from typing import Any

import pytest

from components import settings
from operations import preflight, scopes, survey
from operations.clouds import Clouds
from operations.scopes import COPIES, EDGE, PLATFORM
from operations.survey import Answer, Answers, Question
from tests.configuration import ROOT

REGION = "/regions/us-central"
ZONE = "/zones/zone"
POOLS = "/accounts/account/load_balancers/pools"


def given() -> dict[Question, Answer]:
    """Return answers with which everything is well."""
    now = {"Date": format_datetime(dt.datetime.now(dt.UTC), usegmt=True)}
    region = {"capabilities": sorted(preflight.CAPABILITIES), "status": "ok"}
    good: dict[tuple[str, str], Any] = {
        (account, scope.path.format(zone="zone", account="account")): []
        for account, each in scopes.SCOPES.items()
        for scope in each
    }
    good |= {
        (PLATFORM, "/account"): {"euuid": "1", "company": "Chat-Tonic"},
        (COPIES, "/account"): {"euuid": "2", "company": "", "email": "copies@chat-tonic.com"},
        (PLATFORM, REGION): {**region, "placement_group_limits": {"maximum_pgs_per_customer": 100}},
        (PLATFORM, f"{REGION}/availability"): [],
        (COPIES, "/regions/us-ord"): {"capabilities": ["Object Storage"], "status": "ok"},
        (COPIES, "/regions/us-iad"): {"capabilities": ["Object Storage"], "status": "ok"},
        (PLATFORM, survey.PLANS): {"data": [{"id": f"g6-{each}"} for each in ("nanode-1", "standard-1", "standard-2")]},
        (PLATFORM, survey.IMAGES): {"data": [{"id": "linode/debian12"}, {"id": "linode/debian13"}]},
        (PLATFORM, survey.DATABASE_PLANS): {"data": [{"id": "g6-dedicated-2"}, {"id": "g6-standard-1"}]},
        (EDGE, ZONE): {"name": "chat-tonic-us.example", "status": "active", "account": {"id": "account"}},
    }
    return {Question(*key): Answer(200, body, now) for key, body in good.items()}


def failing(answers: dict[Question, Answer]) -> dict[str, str]:
    """Return what fails, by check."""
    opened = Clouds(None, None, None, "account", "zone")
    known = Answers(settings.load(ROOT, "us-central"), opened, answers)
    return {each.check: each.found for check in preflight.CHECKS for each in check(known) if not each.well}


def test_with_good_answers_nothing_fails() -> None:
    assert failing(given()) == {}


@pytest.mark.parametrize(
    ("account", "path", "change", "check", "says"),
    [
        (PLATFORM, REGION, {"capabilities": ["Linodes"]}, "region us-central", "it has no Backups, Cloud Firewall, "),
        (PLATFORM, REGION, {"status": "outage"}, "region us-central", "its status is 'outage'; wait until it is ok"),
        (
            PLATFORM,
            REGION,
            {"placement_group_limits": {"maximum_pgs_per_customer": 5}},
            "placement groups",
            "8 are needed, and the account may have 5; ask for more",
        ),
        (COPIES, "/regions/us-ord", {"capabilities": []}, "region us-ord", "it has no Object Storage; choose another"),
        (COPIES, "/regions/us-iad", {"capabilities": []}, "region us-iad", "it has no Object Storage; choose another"),
        (COPIES, "/account", {"euuid": "1"}, "two accounts", "both tokens open one; set chat-tonic:copiesToken to "),
        (PLATFORM, survey.IMAGES, {"data": []}, "images", "Linode has no linode/debian12, linode/debian13; choose "),
        (PLATFORM, survey.PLANS, {"data": []}, "plans", "Linode has no g6-nanode-1, g6-standard-1, g6-standard-2; "),
        (EDGE, ZONE, {"status": "pending"}, "zone chat-tonic-us.example", "it is 'pending'; set its name servers at "),
        (EDGE, ZONE, {"name": "a.com"}, "zone chat-tonic-us.example", "the id is that of a.com; set "),
        (EDGE, ZONE, {"account": {"id": "b"}}, "zone chat-tonic-us.example", "it is in another account; set "),
    ],
)
def test_an_answer_that_is_not_what_the_stack_needs_fails_its_check_alone(
    account: str, path: str, change: dict[str, Any], check: str, says: str
) -> None:
    answers = given()
    before = answers[Question(account, path)]
    answers[Question(account, path)] = Answer(200, {**before.body, **change}, before.headers)
    assert [(name, found[: len(says)]) for name, found in failing(answers).items()] == [(check, says)]


def test_a_plan_that_the_region_is_out_of_fails() -> None:
    answers = given()
    gone = [{"region": "us-central", "plan": "g6-standard-2", "available": False}]
    answers[Question(PLATFORM, f"{REGION}/availability")] = Answer(200, gone, {})
    assert failing(answers) == {"plans in us-central": "it is out of g6-standard-2; choose another in platform.yaml"}


@pytest.mark.parametrize(
    ("answer", "check", "says"),
    [
        (Answer(401, "Invalid Token", {}), "Linode, platform: token", "Invalid Token; make a token with account:read"),
        (Answer(0, "refused", {}), "Linode, platform: API", "no answer: refused; try again"),
        (Answer(503, "later", {}), "Linode, platform: API", "no answer: later; try again"),
        (
            Answer(401, "Your OAuth token is not authorized to use this endpoint.", {}),
            "Linode, platform: scopes",
            "the token lacks nodebalancers:read_write; make a token with",
        ),
        (Answer(403, "Unauthorized", {}), "Linode, platform: scopes", "the token lacks nodebalancers:read_write; "),
    ],
)
def test_a_refusal_is_told_from_silence_and_from_a_token_that_nobody_knows(
    answer: Answer, check: str, says: str
) -> None:
    answers = given()
    answers[Question(PLATFORM, "/nodebalancers")] = answer
    assert [(name, found[: len(says)]) for name, found in failing(answers).items()] == [(check, says)]


@pytest.mark.parametrize("said", ["*", "nodebalancers:read_write", "linodes:read_only nodebalancers:read_write"])
def test_scopes_that_linode_names_are_compared(said: str) -> None:
    answers = given()
    question = Question(PLATFORM, "/nodebalancers")
    answers[question] = Answer(200, [], {"X-OAuth-Scopes": said})
    assert failing(answers) == {}
    answers[question] = Answer(200, [], {"X-OAuth-Scopes": "nodebalancers:read_only"})
    assert failing(answers)["Linode, platform: scopes"].startswith("the token lacks nodebalancers:read_write; ")


def test_an_account_without_load_balancing_fails() -> None:
    answers = given()
    answers[Question(EDGE, POOLS)] = Answer(403, "load balancing is not enabled (1002)", {})
    assert failing(answers)["load balancing"].startswith("load balancing is not enabled (1002); buy Load Balancing for")


def test_a_wrong_clock_fails() -> None:
    answers = given()
    question = Question(PLATFORM, "/account")
    then = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    answers[question] = Answer(200, answers[question].body, {"Date": format_datetime(then, usegmt=True)})
    (check,) = failing(answers).items()
    assert check[0] == "clock"
    assert check[1].endswith("set this machine's clock (timedatectl set-ntp true)")
