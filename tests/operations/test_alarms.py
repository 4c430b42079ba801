"""Alarms through a real SMTP relay: one message an incident and one when it is over, whatever happens meanwhile."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from operations import alarms, mail
from operations.environments import report
from operations.environments.found import Environment
from operations.errors import Failed
from operations.incidents import Incident
from operations.servers import listing
from operations.servers.listing import Row
from tests.configuration import REMOVED, ROOT, change_platform, change_stack, copy_of_the_committed_files
from tests.operations.checkout import Checkout
from tests.operations.relay import PASSWORD, USER, Relay

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

BOARD, ON_CALL = "support-board@chat-tonic.example", "on-call@chat-tonic.example"
LEAK = Incident(
    "leak 1", "us-central: the cellar is under water", "`./inv pump us-central`", "the cellar is dry", "It drips"
)
BEGINS, ENDS = f"[chat-tonic] {LEAK.what}", f"[chat-tonic] over: {LEAK.what}"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = dt.datetime(2026, 3, 1, 4, 5, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_of_the_committed_files(tmp_path / "checkout")


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    made = Relay(tmp_path / "relay.pem")
    monkeypatch.setenv(mail.VARIABLE, made.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    monkeypatch.delenv(alarms.VARIABLE, raising=False)
    made.start()
    yield made
    made.stop()


Run = Callable[..., None]


@pytest.fixture
def run(root: Path, clock: Clock) -> Run:
    """A job that finds what is given, and ends as its `end` does."""

    def job(*found: Incident, end: Callable[[], None] = lambda: None, stack: str = "us-central") -> None:
        with alarms.Job(root, f"inspect {stack}", stack, alarm=True, on_sandbox=False, clock=clock) as inspection:
            inspection.report(stack, "leaks", found)
            end()

    return job


def ends_with(code: int) -> Callable[[], None]:
    return lambda: sys.exit(code)


def fails() -> None:
    raise Failed("the pump is broken")


def breaks() -> None:
    raise ValueError(f"smtps://{USER}:{PASSWORD}@localhost")


def test_an_incident_has_one_message_when_it_begins_and_one_when_it_is_over(
    relay: Relay, run: Run, root: Path, clock: Clock
) -> None:
    for found in [(LEAK,), (LEAK,), ()]:
        run(*found)
        clock.time += dt.timedelta(hours=1)
    run()
    assert relay.subjects() == [BEGINS, ENDS]
    assert [each.recipients for each in relay.taken] == [[ON_CALL, BOARD]] * 2
    first, last = (each.message for each in relay.taken)
    assert first["From"] == f"Chat-Tonic alarms <{USER}>"
    assert first.get_content().splitlines() == [
        "us-central: the cellar is under water",
        "",
        "It drips",
        "",
        "Since 2026-03-01 04:05 UTC.",
        "",
        "What to do: `./inv pump us-central`",
        "",
        "It is over when the cellar is dry; a message will say so. Until then there is no other.",
    ]
    assert "It began 2026-03-01 04:05 UTC, and was found over 2026-03-01 06:05 UTC." in last.get_content()
    assert last["In-Reply-To"] == first["Message-ID"]
    assert list((root / alarms.FOLDER / "us-central").glob("*.json")) == []


def test_an_incident_that_comes_back_is_a_new_one(relay: Relay, run: Run, clock: Clock) -> None:
    for found in [(LEAK,), (), (LEAK,), ()]:
        run(*found)
        clock.time += dt.timedelta(minutes=1)
    assert relay.subjects() == [BEGINS, ENDS] * 2
    assert len({each.message["Message-ID"] for each in relay.taken}) == 4


def test_a_scope_ends_only_its_own_incidents(relay: Relay, root: Path, run: Run) -> None:
    run(LEAK)
    with alarms.Job(root, "other", "us-central", alarm=True, on_sandbox=False) as job:
        job.report("us-central", "fires", [])
    assert relay.subjects() == [BEGINS]


def test_a_relay_that_is_down_for_an_hour_loses_nothing_and_the_job_says_so(
    relay: Relay, run: Run, root: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.stop()
    other = Incident("leak 2", "us-central: the roof as well", "`./inv roof us-central`", "it is tight")
    for found in [(LEAK,), (LEAK, other), (other,)]:
        with pytest.raises(Failed, match="an alarm could not be sent") as failed:
            run(*found)
        assert failed.value.code == 1
        clock.time += dt.timedelta(minutes=20)
    said = capsys.readouterr().err
    assert f"us-central: 3 messages wait in {root / alarms.FOLDER / 'us-central'}: the relay localhost" in said
    relay.start()
    run(other)
    run(other)
    assert relay.subjects() == [BEGINS, f"[chat-tonic] {other.what}", ENDS]
    sent = [dt.datetime.strptime(each.message["Date"], "%a, %d %b %Y %H:%M:%S %z") for each in relay.taken]
    assert [each.strftime("%H:%M") for each in sent] == ["04:05", "04:25", "04:45"]


@pytest.mark.parametrize("answer", ["451 try again later", "554 no"])
def test_a_message_that_is_refused_waits_and_does_not_keep_others_back(
    relay: Relay, run: Run, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    relay.answers = [answer]
    other = Incident("leak 2", "us-central: the roof as well", "`./inv roof us-central`", "it is tight")
    with pytest.raises(Failed):
        run(LEAK, other)
    [kept] = {BEGINS, f"[chat-tonic] {other.what}"} - set(relay.subjects())
    assert f"'{kept.removeprefix('[chat-tonic] ')}' waits in" in (said := capsys.readouterr().err)
    assert answer in said
    run(LEAK, other)
    assert sorted(relay.subjects()) == sorted([BEGINS, f"[chat-tonic] {other.what}"])


def test_a_recipient_who_is_refused_is_told_alone_when_the_address_is_right(
    relay: Relay, run: Run, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.refused[ON_CALL] = "550 nobody here"
    with pytest.raises(Failed):
        run(LEAK)
    assert f"for {ON_CALL}: 550 nobody here" in capsys.readouterr().err
    change_stack(root, "us-central", {"alarms.on_call": "night@chat-tonic.example"})
    run(LEAK)
    run(LEAK)
    assert [each.recipients for each in relay.taken] == [[BOARD], ["night@chat-tonic.example"]]


def test_a_relay_that_took_a_message_and_hung_up_gets_it_again_with_the_same_id(relay: Relay, run: Run) -> None:
    relay.hangs_up = True
    with pytest.raises(Failed):
        run(LEAK)
    run(LEAK)
    first, again = (each.message["Message-ID"] for each in relay.taken)
    assert first == again


JOB = """\
import sys
from pathlib import Path
from operations import alarms
from operations.incidents import Incident
from operations.servers import listing
from operations.servers.listing import Row
with alarms.Job(Path(sys.argv[1]), "inspect us-central", "us-central", alarm=True, on_sandbox=False) as job:
    job.report("us-central", "leaks", [Incident(*sys.argv[2:])])
"""


def start(root: Path, **environment: str) -> "subprocess.Popen[str]":
    found = [LEAK.key, LEAK.what, LEAK.do, LEAK.ends, LEAK.details]
    command = [sys.executable, "-c", JOB, str(root), *found]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)


def test_a_job_that_is_killed_while_it_delivers_loses_nothing(relay: Relay, run: Run, root: Path) -> None:
    relay.open.clear()
    with start(root) as job:
        assert relay.asked.wait(60)
        job.kill()
    assert relay.left.wait(60)
    relay.open.set()
    run(LEAK)
    run(LEAK)
    assert relay.subjects() == [BEGINS]


def test_two_jobs_at_once_tell_once(relay: Relay, root: Path) -> None:
    relay.open.clear()
    with start(root) as first:
        assert relay.asked.wait(60)
        with start(root) as second:
            assert second.stderr
            assert "another process is at work on" in second.stderr.readline()
            relay.open.set()
        first.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert relay.subjects() == [BEGINS]


@pytest.mark.parametrize("plain", [False, True])
def test_a_relay_without_tls_from_the_first_byte_is_told_by_starttls_where_it_offers_it(
    relay: Relay, run: Run, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    relay.stop()
    relay.scheme, relay.plain = "smtp", plain
    monkeypatch.setenv(mail.VARIABLE, relay.url)
    relay.start()
    run(LEAK)
    assert relay.subjects() == [BEGINS]


def test_no_password_goes_in_clear_to_another_machine(
    relay: Relay, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.stop()
    relay.scheme, relay.plain = "smtp", True
    relay.start()
    monkeypatch.setenv(mail.VARIABLE, relay.url.replace("localhost", "127.1"))  # a name that we don't know as our own
    with pytest.raises(Failed):
        run(LEAK)
    assert "offers no TLS, and the password must not go in clear" in capsys.readouterr().err
    assert (relay.logins, relay.taken) == (0, [])


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_relay_that_cannot_prove_who_it_is_gets_no_password(
    relay: Relay, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scheme: str
) -> None:
    relay.stop()
    relay.scheme = scheme
    monkeypatch.setenv(mail.VARIABLE, relay.url)
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    relay.start()
    with pytest.raises(Failed):
        run(LEAK)
    assert "certificate verify failed" in capsys.readouterr().err
    assert (relay.logins, relay.taken) == (0, [])


@pytest.mark.parametrize(
    ("right", "wrong", "what"),
    [
        ("p%40ss", "p%40st", "lets nobody in: 535"),
        ("@localhost", "localhost", "is not given as smtps://user:password@host:port"),
    ],
)
def test_a_relay_that_is_set_wrong_is_told_without_its_password(
    relay: Relay, root: Path, right: str, wrong: str, what: str
) -> None:
    with start(root, **{mail.VARIABLE: relay.url.replace(right, wrong)}) as job:
        _, said = job.communicate()
    assert job.returncode == 1
    assert what in said
    assert "p@s" not in said
    assert "p%40s" not in said


@pytest.mark.parametrize(
    ("end", "raised", "told"),
    [
        (fails, Failed, "Exit code 1: the pump is broken"),
        (breaks, ValueError, "It broke off: ValueError."),
        (ends_with(4), SystemExit, "Exit code 4."),
    ],
)
def test_a_job_that_fails_is_an_incident_until_it_ends_well(
    relay: Relay, run: Run, end: Callable[[], None], raised: type[BaseException], told: str
) -> None:
    for _ in range(2):
        with pytest.raises(raised):
            run(end=end)
    run()
    what = "us-central: `./inv inspect us-central` failed"
    assert relay.subjects() == [f"[chat-tonic] {what}", f"[chat-tonic] over: {what}"]
    text = relay.taken[0].message.get_content()
    assert told in text
    assert PASSWORD not in text


@pytest.mark.parametrize("code", [1, 7])
def test_an_exit_code_that_says_no_more_than_what_was_found_is_no_incident(relay: Relay, run: Run, code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        run(LEAK, end=ends_with(code))
    assert ended.value.code == code
    assert relay.subjects() == [BEGINS]


def test_a_test_environment_that_could_not_be_ended_is_an_incident(relay: Relay, root: Path) -> None:
    end = dt.datetime(2026, 2, 28, 12, tzinfo=dt.UTC)
    over = Environment("bot7", "support", end, objects=(), has_state=True, has_file=False)
    for left in [(over,), ()]:
        with alarms.Job(root, "env.sweep", "test", alarm=True, on_sandbox=False) as job:
            report.tell(job, left)
    what = "bot7: this test environment is over its time, and could not be ended"
    assert relay.subjects() == [f"[chat-tonic] {what}", f"[chat-tonic] over: {what}"]
    text = relay.taken[0].message.get_content()
    assert "Its owner is support; it was to end at 2026-02-28 12:00 UTC, and costs 0.00 dollars a month." in text


def test_servers_that_are_not_healthy_are_one_incident_of_their_stack(relay: Relay, root: Path) -> None:
    well = Row("us-prod-api-g1-1", "production", "api", 1, "192.0.2.1", "api", (), "well", "accept, UP", healthy=True)
    sick = replace(well, server="us-prod-api-g1-2", health="no answer", balancer="accept, DOWN", healthy=False)
    for found in [[well, sick], [sick, sick], [well, well]]:
        with alarms.Job(root, "servers.list us-central", "us-central", alarm=True, on_sandbox=False) as job:
            listing.tell(job, {"us-central": found})
    what = "us-central: 1 of 2 servers are not healthy"
    assert relay.subjects() == [f"[chat-tonic] {what}", f"[chat-tonic] over: {what}"]
    assert "  us-prod-api-g1-2: no answer, accept, DOWN" in relay.taken[0].message.get_content().splitlines()


@pytest.mark.parametrize(("code", "task_ends"), [(0, 1), (7, 1), (4, 4)])
def test_an_alarm_that_cannot_be_sent_ends_a_job_that_was_well_with_1(
    relay: Relay, run: Run, code: int, task_ends: int
) -> None:
    relay.stop()
    with pytest.raises((SystemExit, Failed)) as ended:
        run(LEAK, end=ends_with(code))
    assert alarms.code(ended.value) == task_ends


@pytest.mark.parametrize("stack", ["test", "nowhere", "all"])
def test_a_stack_without_addresses_uses_those_of_one_of_its_jurisdiction(
    relay: Relay, run: Run, root: Path, stack: str
) -> None:
    change_stack(
        root, "us-central", {"alarms.board": "us@chat-tonic.example", "alarms.on_call": "us@chat-tonic.example"}
    )
    change_stack(
        root, "eu-frankfurt", {"alarms.board": "eu@chat-tonic.example", "alarms.on_call": "eu@chat-tonic.example"}
    )
    run(LEAK, stack=stack)
    first = "us@chat-tonic.example" if stack == "test" else "eu@chat-tonic.example"
    assert [each.recipients for each in relay.taken] == [[first]]


def test_a_stack_whose_file_is_wrong_does_not_silence_its_job(relay: Relay, run: Run, root: Path) -> None:
    change_stack(root, "us-central", {"region": "us-nowhere"})
    with pytest.raises(Failed):
        run(end=fails)
    assert [each.recipients for each in relay.taken] == [[ON_CALL, BOARD]]


def test_where_no_stack_has_addresses_a_job_cannot_alarm(
    run: Run, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_platform(root, {"environments.production": REMOVED, "environments.bot-testing": REMOVED})
    with pytest.raises(Failed, match="an alarm could not be sent"):
        run(LEAK)
    assert "no stack here says where alarms go" in capsys.readouterr().err


def test_the_folder_can_be_named_and_is_its_owners_alone(
    relay: Relay, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(alarms.VARIABLE, str(tmp_path / "elsewhere"))
    run(LEAK)
    [remembered] = (tmp_path / "elsewhere" / "us-central").glob("*.json")
    assert remembered.parent.stat().st_mode & 0o777 == 0o700
    assert PASSWORD not in remembered.read_text()
    run()
    assert relay.subjects() == [BEGINS, ENDS]


def test_a_real_job_takes_the_relay_from_its_stack(relay: Relay, checkout: Checkout) -> None:
    checkout.make_real("us-central")
    checkout.environment |= {"SSL_CERT_FILE": str(relay.authority)}
    checkout.environment.pop(mail.VARIABLE)
    checkout.use_idle_engine(config_get=(0, f"{relay.url}\n"), preview=(255, "the token may too little"))
    ended = checkout.run("drift", "us-central", "--alarm")
    assert ended.code == 1
    assert "us-central: told board@chat-tonic.com, call@chat-tonic.com: us-central: `./inv drift" in ended.errors
    [sent] = relay.taken
    assert "us-central: the clouds can't be compared: the token may too little" in sent.message.get_content()
    assert [call.arguments[:3] for call in checkout.calls()][-1] == ["config", "get", "chat-tonic:smtp"]
