"""The workflows: well formed, given no more than they need, and every task that they run runs."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.backups import second
from tests.configuration import REMOVED, ROOT, change_platform, change_stack, git, leave_only
from tests.operations.checkout import COPIED, LINKED, Checkout, sandboxed
from tests.programs import put_python
from toolchain import tools

FOLDER = ROOT / ".github" / "workflows"
# The base loader leaves `on` a word, and everything else too.
WORKFLOWS = {path.stem: yaml.load(path.read_text(), yaml.BaseLoader) for path in sorted(FOLDER.glob("*.yml"))}  # noqa: S506
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"].values()]
STEPS = [(name, step) for name, job in JOBS for step in job.get("steps", [])]
ON_REAL_ACCOUNTS = "./.github/workflows/task.yml"
COMMENTS, REGIONS = "comment", {"us-central", "us-standby", "eu-frankfurt", "eu-standby"}
ALL_ENVIRONMENTS = {"test", *REGIONS}

RUNS_ELSEWHERE = {"./inv test", "./inv --list", "./inv $TASK"}
"""Not run here: the tests themselves, no task, and the line that stands for all those of ON_REAL_ACCOUNTS."""
RUN_OF_ONE = "eu-standby"
"""Not run here either: what is done with this one is what is done with the other standby, and tested to be."""


def triggers(workflow: dict[str, Any]) -> set[str]:
    return set(workflow["on"])


def of_real_accounts() -> list[dict[str, str]]:
    """Return what each job has done on real accounts: what deploys comes first, as the others need something there."""
    jobs = sorted(JOBS, key=lambda each: each[0] != "deploy")
    return [job["with"] for _, job in jobs if job.get("uses") == ON_REAL_ACCOUNTS]


def lines() -> list[str]:
    """Return every task that is run here, once, in the order of the files and jobs."""
    run = [line.partition(" #")[0] for _, step in STEPS for line in step.get("run", "").splitlines()]
    ours = [line for line in run if line.startswith("./inv") and line not in RUNS_ELSEWHERE]
    real = (f"./inv {each['task']}" for each in of_real_accounts() if RUN_OF_ONE not in each["task"])
    return [*dict.fromkeys([*real, *ours])]


def test_actionlint_has_nothing_to_say() -> None:
    checked = subprocess.run(
        [tools.ensure("actionlint", print), "-shellcheck=", "-pyflakes=", "-no-color", *FOLDER.glob("*.yml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_actions_are_pinned_by_commit() -> None:
    used = {step["uses"] for _, step in STEPS if "uses" in step}
    # Its commit could not be looked up from two places that agree.
    assert {each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)} == {"pulumi/actions@v6"}


def test_nothing_may_write_but_what_puts_a_comment() -> None:
    for name, workflow in WORKFLOWS.items():
        of_jobs = [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job]
        granted = [workflow["permissions"], *of_jobs]
        may_write = any("write" in each.values() for each in granted)
        assert may_write == (name == COMMENTS)
        assert all(set(each) <= {"contents", "actions", "pull-requests"} for each in granted)


def test_what_runs_a_pull_request_has_no_secret_and_no_runner_of_ours() -> None:
    for name in (name for name, workflow in WORKFLOWS.items() if "pull_request" in triggers(workflow)):
        text = (FOLDER / f"{name}.yml").read_text()
        assert not re.search(r"secrets[.:\[]", text)
        assert "self-hosted" not in text
        assert "task.yml" not in text
    assert not any("pull_request_target" in triggers(workflow) for workflow in WORKFLOWS.values())


def test_what_may_write_runs_nothing_that_a_pull_request_brings() -> None:
    steps = [step for name, step in STEPS if name == COMMENTS]
    assert [step for step in steps if "uses" in step] == []
    assert not any("${{" in step["run"] for step in steps)
    assert "./inv" not in "".join(step["run"] for step in steps)


def test_every_job_ends_in_time_and_no_checkout_leaves_a_token() -> None:
    assert all("timeout-minutes" in job for _, job in JOBS if "uses" not in job)
    assert {each.get("minutes") for each in of_real_accounts()} == {None, "720"}  # a large database takes hours
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_a_stack_is_worked_on_by_its_jurisdictions_runner_in_its_own_environment() -> None:
    for each in of_real_accounts():
        stack = each["environment"].removesuffix("-watch")
        assert stack in ALL_ENVIRONMENTS
        assert each["runner"] == ("eu" if stack.startswith("eu-") else "us")
        changes_the_stack = each["task"].startswith("up ")
        assert each["environment"] == (stack if changes_the_stack else f"{stack}-watch")
        assert stack in each["task"] or each["task"].startswith("env.")
        assert each["task"].endswith(" --alarm")
    (task,) = WORKFLOWS["task"]["jobs"].values()
    assert task["runs-on"][1] == task["steps"][-1]["env"][second.VARIABLE] == "${{ inputs.runner }}"


def test_what_could_be_restored_is_looked_at_daily_and_proved_and_brought_away_weekly_in_every_region() -> None:
    done = {each["task"].removesuffix(" --alarm") for each in of_real_accounts()}
    assert {f"backups.status {stack}" for stack in ALL_ENVIRONMENTS} <= done
    weekly = {f"backups.{what}" for stack in REGIONS for what in (f"drill {stack}", f"copy {stack} --second")}
    assert weekly <= done
    assert [
        each["cron"].split()[-1] for name in ("backups", "proofs") for each in WORKFLOWS[name]["on"]["schedule"]
    ] == ["*", "0"]


def test_both_jurisdictions_have_the_same_done_and_their_fronts_are_asked_every_hour() -> None:
    done = sorted(each["task"] for each in of_real_accounts() if each["runner"] == "us" and "test" not in each["task"])
    there = (each["task"] for each in of_real_accounts() if each["runner"] == "eu")
    here = (each.replace("eu-frankfurt", "us-central").replace("eu-standby", "us-standby") for each in there)
    assert sorted(here) == [each for each in done if not each.startswith("env.")]
    hourly = {job["with"]["task"] for job in WORKFLOWS["failover"]["jobs"].values()}
    assert hourly == {"failover.status us-central --alarm", "failover.status eu-frankfurt --alarm"}
    assert WORKFLOWS["failover"]["on"]["schedule"][0]["cron"].split()[1:] == ["*"] * 4


def test_whoever_runs_a_task_on_real_accounts_has_its_environments_secrets() -> None:
    # Without it they are empty, whatever the called workflow says (actions/runner#4453).
    assert {job.get("secrets") for _, job in JOBS if job.get("uses") == ON_REAL_ACCOUNTS} == {"inherit"}


def test_a_deployment_is_alone_and_each_stack_waits_for_the_health_of_the_one_before_a_standby_before_its_front() -> (
    None
):
    deploy = WORKFLOWS["deploy"]
    assert deploy["concurrency"] == {"group": "deploy", "cancel-in-progress": "false"}
    order: list[str] = []
    job = "eu-frankfurt-health"
    while job:
        order.insert(0, deploy["jobs"][job]["with"]["task"].removesuffix(" --alarm"))
        job = deploy["jobs"][job].get("needs")
    assert order == [
        f"{task} {stack}{option}"
        for stack in ("test", "us-standby", "us-central", "eu-standby", "eu-frankfurt")
        for task, option in (("up", " --yes"), ("servers.apply", " --yes"), ("servers.list", " --healthy"))
    ]
    assert len(order) == len(deploy["jobs"])


FEWER = {"ops": None, "copies": None}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout with every stack, each with one environment of one role: a stateless one, so no data can be lost."""
    for checkout in sandboxed(tmp_path_factory.mktemp("small")):
        roles = {f"groups.{role}": REMOVED for role in ("api", "chat", "customer-service")}
        one_role = {"production": {**roles, "groups.web-chat.count": 1, "database.copies": False}, "internal": roles}
        for environment, changes in one_role.items():
            change_platform(checkout.root, {f"environments.{environment}.{key}": to for key, to in changes.items()})
        for stack in ("us-central", "eu-frankfurt"):
            change_stack(checkout.root, stack, {**FEWER, "environments.bot-testing": REMOVED})
        for stack in ("us-standby", RUN_OF_ONE):
            change_stack(checkout.root, stack, FEWER)
        yield checkout


@pytest.mark.parametrize("line", lines())
def test_a_task_runs_on_the_sandbox(small: Checkout, line: str) -> None:
    words = line.split()[1:]
    if "$BASE" in line:  # a repository with the test stack alone, and a change
        leave_only(small.root, "test")
        git(small.root, "init", "--quiet")
        git(small.root, "add", *COPIED, "platform.yaml", "Pulumi.test.yaml", *LINKED)
        git(small.root, "commit", "--quiet", "-m", "Begin")
        change_stack(small.root, "test", {"admin_sources": ["203.0.113.0/25"]})
        base = git(small.root, "rev-parse", "HEAD")
        words = [base if word == '"$BASE"' else word for word in words]
    ended = small.run(*words, *(["--sandbox"] if "--sandbox" not in words else []))
    assert ended.code == 0, ended.output + ended.errors
    if "--summary" in words:
        assert "203.0.113.0/25" in (small.root / words[words.index("--summary") + 1]).read_text()


# Answers as `gh` does, from a file: pull requests, comments, the preview; notes what it is asked to write.
GITHUB = """\
import json, pathlib, subprocess, sys
world = json.loads(pathlib.Path({world!r}).read_text())
arguments = sys.argv[1:]
if arguments[:2] == ["run", "download"]:
    if "preview" not in world:
        sys.exit("no artifact matches")
    folder = pathlib.Path(arguments[arguments.index("--dir") + 1])
    folder.mkdir()
    (folder / "preview.md").write_text(world["preview"])
    sys.exit()
path = next(each for each in arguments if each.startswith("repos/"))
if "--jq" in arguments:
    query = arguments[arguments.index("--jq") + 1]
    answer = json.dumps(world[path.rpartition("/")[2]])
    sys.exit(subprocess.run(["jq", "-r", query], input=answer, text=True).returncode)
method = arguments[arguments.index("--method") + 1]
with open({written!r}, "a") as file:
    file.write(json.dumps([method, path, pathlib.Path("body").read_text()]) + "\\n")
"""
PULL = {"number": 7, "head": {"sha": "c0ffee"}}
BODY = "<!-- preview -->\n{}\n\nOf c0ffee ([log](https://github.example/log)).\n"


def comment(login: str, text: str, number: int) -> dict[str, Any]:
    return {"id": number, "user": {"login": login}, "body": text}


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is missing: apt-get install jq")
@pytest.mark.parametrize(
    ("world", "written"),
    [
        ({"pulls": [PULL], "comments": [], "preview": "+1 server"}, [["POST", "issues/7/comments", "+1 server"]]),
        (
            {
                "pulls": [PULL],
                "comments": [
                    comment("somebody", "<!-- preview --> mine", 1),
                    comment("github-actions[bot]", "something else", 2),
                    comment("github-actions[bot]", "<!-- preview -->\nolder", 3),
                ],
                "preview": "+2 servers",
            },
            [["PATCH", "issues/comments/3", "+2 servers"]],
        ),
        (
            {"pulls": [PULL], "comments": []},
            [["POST", "issues/7/comments", "There is no preview: the log says why."]],
        ),
        ({"pulls": [{"number": 7, "head": {"sha": "newer"}}], "comments": [], "preview": "+1 server"}, []),
        ({"pulls": [], "comments": [], "preview": "+1 server"}, []),
    ],
    ids=["first", "again", "without a preview", "of an older commit", "of a closed pull request"],
)
def test_a_pull_request_has_one_comment_that_is_kept_up_to_date(
    tmp_path: Path, world: dict[str, Any], written: list[list[str]]
) -> None:
    [step] = (step for name, step in STEPS if name == COMMENTS)
    (tmp_path / "world").write_text(json.dumps(world))
    notes = tmp_path / "written"
    notes.touch()
    put_python(tmp_path / "bin" / "gh", GITHUB.format(world=str(tmp_path / "world"), written=str(notes)))
    given = {"GH_REPO": "one/two", "RUN": "1", "HEAD": "a:b", "COMMIT": "c0ffee", "LOG": "https://github.example/log"}
    subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=tmp_path,
        env={**os.environ, **given, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    assert [json.loads(line) for line in notes.read_text().splitlines()] == [
        [method, f"repos/one/two/{path}", BODY.format(text)] for method, path, text in written
    ]
