"""Runs that somebody stops, and how they go on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import settings
from operations import engine, sandbox
from sandbox import process, store
from tests.operations.checkout import Checkout, sandboxed
from tests.operations.real_clouds import RealClouds
from tests.operations.terminal import CTRL_C, ENTER, Terminal
from tests.programs import put_python

LATENCY = 0.004
"""Of the clouds' own times: a database then takes some seconds."""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout whose sandbox takes its time."""
    for checkout in sandboxed(tmp_path_factory.mktemp("slow")):
        process.start(checkout.root / sandbox.FOLDER, latency=LATENCY)
        yield checkout


def at_a_terminal(checkout: Checkout, *arguments: str) -> Terminal:
    return Terminal(checkout.command(*arguments), checkout.root, checkout.environment)


def test_an_update_stopped_by_ctrl_c_says_how_to_go_on_and_goes_on(slow: Checkout) -> None:
    terminal = at_a_terminal(slow, "up", "test", "--sandbox", "--yes")
    terminal.wait_for("Updating (test)")
    terminal.wait_for("created")
    terminal.type(CTRL_C)
    assert terminal.end() == 1
    assert "^C received; cancelling" in terminal.shown
    assert "`./inv up test --sandbox` goes on from there." in terminal.shown
    locks = slow.root / sandbox.FOLDER / sandbox.BACKEND / ".pulumi" / "locks"
    assert list(locks.rglob("*.json")) == []
    process.start(slow.root / sandbox.FOLDER)  # without latency from here on
    assert slow.run("up", "test", "--sandbox", "--yes").code == 0
    assert slow.run("preview", "test", "--sandbox", "--expect-no-changes").code == 0


def test_without_yes_the_plan_is_shown_and_somebody_asked(slow: Checkout) -> None:
    terminal = at_a_terminal(slow, "destroy", "test", "--sandbox")
    terminal.wait_for("Do you want to perform this destroy?")
    terminal.type(f"no{ENTER}")
    assert terminal.end() == 1
    assert "confirmation declined" in terminal.shown
    assert "what was protected of them is protected again." in terminal.shown
    loaded = settings.load(slow.root, "test")
    project = sandbox.project(slow.root, "test", loaded, engine.ensure(lambda _: None), lambda _: None)
    protected = [each["type"] for each in engine.resources(project) if each.get("protect")]
    assert protected == ["linode:index/databasePostgresqlV2:DatabasePostgresqlV2"]


def test_a_destroy_that_is_interrupted_is_a_failure_and_going_on_finishes_it(slow: Checkout) -> None:
    process.start(slow.root / sandbox.FOLDER, latency=LATENCY)
    terminal = at_a_terminal(slow, "destroy", "test", "--sandbox", "--yes")
    terminal.wait_for("Destroying (test)")
    terminal.wait_for("deleted")
    terminal.type(CTRL_C)
    assert terminal.end() == 1
    assert "`./inv destroy test --sandbox` goes on from there." in terminal.shown
    process.start(slow.root / sandbox.FOLDER)
    assert slow.run("destroy", "test", "--sandbox", "--yes").code == 0
    objects = store.objects(process.file_of(slow.root / sandbox.FOLDER))
    assert [each for each in objects if each.kind.startswith("linode.")] == []


@pytest.mark.parametrize(("typed", "code"), [("us-centrall", 2), ("", 2), ("us-central", 0)])
def test_real_production_is_destroyed_only_after_its_name_is_typed(
    checkout: Checkout, hosts: RealClouds, typed: str, code: int
) -> None:
    checkout.make_real("us-central")
    checkout.reach(hosts, "us-central")
    terminal = at_a_terminal(checkout, "destroy", "us-central", "--yes")
    terminal.wait_for("Type its name, us-central, to agree:")
    assert [call.arguments[0] for call in checkout.calls()] == ["stack"]
    terminal.type(typed + ENTER)
    assert terminal.end() == code
    changed = [call.arguments[0] for call in checkout.calls() if call.arguments[0] in ("state", "destroy")]
    assert changed == (["state", "destroy"] if code == 0 else [])


STUBBORN = """\
import os, signal, sys, time
def end(number, _):
    os.write(1, f"finishing {number}\\n".encode())
    time.sleep(0.3)
    sys.exit(1)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
os.write(1, b"ready\\n")
time.sleep(30)
"""

DRIVER = """\
import sys
from pathlib import Path
from operations import engine
from operations.project import Project
print("ended", engine.run(Project(Path(), Path(), "test", Path(sys.argv[1]), {}, False)), flush=True)
"""


@pytest.mark.parametrize(
    ("number", "to_the_group"), [(signal.SIGINT, True), (signal.SIGTERM, False)], ids=["ctrl-c", "terminated"]
)
def test_a_task_outlives_the_engine_that_is_told_to_stop(
    tmp_path: Path, number: signal.Signals, to_the_group: bool
) -> None:
    program = tmp_path / "pulumi"
    put_python(program, STUBBORN)
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, program], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as task:
        assert task.stdout
        assert task.stdout.readline() == "ready\n"
        (os.killpg if to_the_group else os.kill)(task.pid, number)
        assert task.stdout.readline() == f"finishing {number.value}\n"
        assert task.stdout.readline() == "ended 1\n"
    assert task.returncode == 0
