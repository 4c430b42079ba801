"""The tasks of the project, for `./inv`: arguments in, printing out.

STACK is one name, names joined by commas, or `all`. Operations are imported when a task runs, so that
`./inv --list` answers at once.
"""
# ruff: noqa: PLC0415

import json as json_format
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task as invoke_task

ROOT = Path(__file__).parent
STACK = "one name, names joined by commas, or 'all'"
SANDBOX = "run on the sandbox, a local Linode and Cloudflare: no account is touched"
YES = "do not ask"
LOCAL_STATE = "accept a state that only this machine has"
ADOPT = "take over what exists under the label of something to be made, and belongs to no stack"
REPLACE = "replace this server, database, bucket or load balancer; can be repeated, or names joined by commas"
DELETE = "delete this one, in the same way"
JSON = "print JSON"
MACHINES = "have real processes play its servers and balancers: SSH, HTTP, HAProxy"
DATA = "also have real PostgreSQL and S3 servers run in the place of its databases and buckets"
ROLE = "of this role only"
MAX_UNAVAILABLE = "how many servers of a role may be out at once"
FRONT = "also have its public names answered and probed: a real proxy, and real probes of the machines behind it"
PUBLISH = "add the evidence to docs/evidence"
ALARM = "tell the board and those on call what is wrong, that it failed, and when that is over"
ENVIRONMENT = "of this environment only"
SECOND = "bring the newest copies into the second buckets instead, which the ops server can't reach"
OWNER = "whose it is; without it, whose git's user.email or the machine's user says"

# Short flags made up from first letters change their meaning whenever a flag is added.
task = partial(invoke_task, auto_shortflags=False)


def _end(code: int) -> None:
    """End with a code that is not 0; otherwise tasks that were named after this one go on."""
    if code:
        sys.exit(code)


@task()
def demo(_: Context) -> None:
    """Bring every stack up on the sandbox, without a cloud account, and show what there is."""
    from operations import demo as demonstration

    _end(demonstration.run(ROOT))


@task(help={"all": "add the exhaustive tests, which kill a run after every single write"})
def test(_: Context, all: bool = False) -> None:  # noqa: A002, PT028
    """Check the code, then run all tests."""
    from operations import quality

    _end(quality.test(ROOT, exhaustive=all))


@task()
def lint(_: Context) -> None:
    """Check the code: rules, format, types."""
    from operations import quality

    _end(quality.lint(ROOT))


@task()
def bench(_: Context) -> None:
    """Measure speed, as ratios within one run."""
    from operations import quality

    _end(quality.bench(ROOT))


@task(help={"stack": STACK, "sandbox": SANDBOX})
def setup(_: Context, stack: str, sandbox: bool = False) -> None:
    """Ask for, or make, what a stack needs on real accounts; then check the accounts."""
    from operations import setup as first_use

    _end(first_use.run(ROOT, stack, on_sandbox=sandbox))


@task(
    help={
        "stack": STACK,
        "sandbox": SANDBOX,
        "expect_no_changes": "end with 7 where there is anything to change",
        "json": JSON,
        "summary": "write the difference to this file as Markdown, for the comment of a pull request",
        "base": "bring this commit up in a sandbox of its own, and compare with that; needs --sandbox and no secret",
    }
)
def preview(
    _: Context,
    stack: str,
    sandbox: bool = False,
    expect_no_changes: bool = False,
    json: bool = False,
    summary: str | None = None,
    base: str | None = None,
) -> None:
    """Show what `up` would change."""
    from operations import bases, previews

    options = previews.Options(sandbox, expect_no_changes, Path(summary) if summary else None)
    if base:
        code = bases.preview(ROOT, stack, base, options, json=json)
    elif json:
        code, plans = previews.preview_data(ROOT, stack, options)
        print(json_format.dumps(plans, indent=2))
    else:
        code = previews.preview(ROOT, stack, options)
    _end(code)


@task(
    help={
        "stack": STACK,
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
        "adopt": ADOPT,
        "alarm": ALARM,
        "replace": REPLACE,
        "delete": DELETE,
    },
    iterable=["replace", "delete"],
)
def up(
    _: Context,
    stack: str,
    sandbox: bool = False,
    yes: bool = False,
    local_state: bool = False,
    adopt: bool = False,
    alarm: bool = False,
    replace: Iterable[str] | None = None,  # invoke makes lists of them
    delete: Iterable[str] | None = None,
) -> None:
    """Create and change what the configuration says: shows the plan, and asks; replaces and deletes what is named."""
    from operations import alarms, guards, updates

    agreed = updates.Agreed(yes, local_state, adopt, guards.parse(replace or (), delete or ()))
    with alarms.Job(ROOT, f"up {stack}", stack, alarm, sandbox):
        _end(updates.up(ROOT, stack, agreed, on_sandbox=sandbox))


@task(help={"stack": STACK, "sandbox": SANDBOX, "yes": YES, "local_state": LOCAL_STATE, "adopt": ADOPT})
def destroy(
    _: Context, stack: str, sandbox: bool = False, yes: bool = False, local_state: bool = False, adopt: bool = False
) -> None:
    """Remove all that a stack holds: shows the plan, and asks; real production needs its name typed."""
    from operations import updates

    _end(updates.destroy(ROOT, stack, updates.Agreed(yes, local_state, adopt), on_sandbox=sandbox))


@task(help={"stack": STACK, "sandbox": SANDBOX, "json": JSON, "alarm": ALARM})
def drift(_: Context, stack: str, sandbox: bool = False, json: bool = False, alarm: bool = False) -> None:
    """Show what the clouds hold and the program does not say, without writing anything; ends with 7 for any."""
    from operations import alarms, console
    from operations import drift as drifts

    with alarms.Job(ROOT, f"drift {stack}", stack, alarm, sandbox) as job:
        code, found = drifts.report(ROOT, stack, on_sandbox=sandbox)
        drifts.tell(job, found)
        if json:
            print(json_format.dumps(found, indent=2))
        else:
            console.show(drifts.table(found))
        _end(code)


@task(help={"sandbox": SANDBOX, "json": JSON, "alarm": ALARM})
def parity(_: Context, sandbox: bool = False, json: bool = False, alarm: bool = False) -> None:
    """Compare US with EU, and a primary site with its standby; ends with 7 where they differ and nobody wants it."""
    from operations import alarms, console
    from operations import parity as comparison

    with alarms.Job(ROOT, "parity", "all", alarm, sandbox) as job:
        code, pairs = comparison.report(ROOT, on_sandbox=sandbox)
        comparison.tell(job, pairs)
        if json:
            print(json_format.dumps(pairs, indent=2))
        else:
            console.show(comparison.table(pairs))
            for line in comparison.notes(pairs):
                console.say(line)
        _end(code)


@task(help={"stack": STACK, "json": JSON})
def cost(_: Context, stack: str, json: bool = False) -> None:
    """Show what a stack costs a month."""
    from operations import console, costs

    report = costs.report(ROOT, stack)
    if json:
        print(json_format.dumps(report, indent=2))
    else:
        console.show(costs.table(report))


@task(help={"machines": MACHINES, "data": DATA, "front": FRONT})
def sandbox_start(_: Context, machines: bool = False, data: bool = False, front: bool = False) -> None:
    """Start the sandbox, a local Linode and Cloudflare."""
    from operations import console, sandbox

    started = sandbox.start(ROOT)
    if machines:
        sandbox.machines(ROOT, console.say)
    if data:
        sandbox.data(ROOT, console.say)
    if front:
        sandbox.front(ROOT, console.say)
    print(sandbox.describe(started))


@task()
def sandbox_stop(_: Context) -> None:
    """Stop the sandbox; what it holds stays."""
    from operations import sandbox

    sandbox.stop(ROOT)
    print(sandbox.describe(None))


@task()
def sandbox_reset(_: Context) -> None:
    """Stop the sandbox and forget all that it holds, with the stacks and secrets of its runs."""
    from operations import sandbox

    sandbox.reset(ROOT)
    print(sandbox.describe(None))


@task(help={"json": JSON})
def sandbox_status(_: Context, json: bool = False) -> None:
    """Show whether the sandbox runs, and where; and its machines, databases and buckets."""
    from operations import sandbox

    status = sandbox.status(ROOT)
    print(json_format.dumps(sandbox.report(status), indent=2, default=str) if json else sandbox.describe(status))


@task(
    help={
        "name": "what it is called: 1 to 7 characters a-z, 0-9",
        "ttl": "how long it lives from now, such as 90m, 8h or 2d; 8h unless it has an end already",
        "allow": "network that reaches it, in CIDR; can be repeated. Without it, those that reach the test stack",
        "owner": OWNER,
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
    },
    iterable=["allow"],
)
def env_up(
    _: Context,
    name: str,
    ttl: str = "",
    allow: list[str] | None = None,
    owner: str = "",
    sandbox: bool = False,
    yes: bool = False,
    local_state: bool = False,
) -> None:
    """Bring a test environment of your own up, or go on with it: shows its cost and the plan, and asks."""
    from operations import updates
    from operations.environments import lifecycle

    wanted = lifecycle.Wanted(name, ttl, tuple(allow or ()), owner)
    _end(lifecycle.up(ROOT, wanted, updates.Agreed(yes, local_state), on_sandbox=sandbox))


@task(help={"sandbox": SANDBOX, "json": JSON})
def env_list(_: Context, sandbox: bool = False, json: bool = False) -> None:
    """Show the test environments: age, owner, cost so far, end; also those whose state is missing."""
    from operations import console
    from operations.environments import report

    found = report.report(ROOT, on_sandbox=sandbox)
    if json:
        print(json_format.dumps(found, indent=2))
    else:
        console.show(report.table(found))


@task(help={"name": "its name", "owner": OWNER, "sandbox": SANDBOX, "yes": YES, "local_state": LOCAL_STATE})
def env_down(
    _: Context, name: str, owner: str = "", sandbox: bool = False, yes: bool = False, local_state: bool = False
) -> None:
    """End a test environment: shows what goes away, and asks."""
    from operations import updates
    from operations.environments import lifecycle

    _end(lifecycle.down(ROOT, name, owner, updates.Agreed(yes, local_state), on_sandbox=sandbox))


@task(help={"sandbox": SANDBOX, "yes": YES, "local_state": LOCAL_STATE, "alarm": ALARM})
def env_sweep(
    _: Context, sandbox: bool = False, yes: bool = False, local_state: bool = False, alarm: bool = False
) -> None:
    """End the test environments that are over their time: shows what goes away, and asks."""
    from operations import alarms, updates
    from operations.environments import lifecycle, names, report

    with alarms.Job(ROOT, "env.sweep", names.TEST, alarm, sandbox) as job:
        code, left = lifecycle.sweep(ROOT, updates.Agreed(yes, local_state), on_sandbox=sandbox)
        report.tell(job, left)
        _end(code)


@task(
    help={
        "stack": STACK,
        "sandbox": SANDBOX,
        "json": JSON,
        "healthy": "end with 1 where a server is not",
        "alarm": ALARM,
    }
)
def servers_list(
    _: Context, stack: str, sandbox: bool = False, json: bool = False, healthy: bool = False, alarm: bool = False
) -> None:
    """Show which server runs what, and how it does."""
    from operations import alarms, console
    from operations.servers import listing

    with alarms.Job(ROOT, f"servers.list {stack}", stack, alarm, sandbox) as job:
        code, found = listing.report(ROOT, stack, on_sandbox=sandbox, healthy=healthy)
        listing.tell(job, found)
        if json:
            print(json_format.dumps(listing.data(found), indent=2))
        else:
            console.show(listing.table(found))
        _end(code)


@task(
    help={
        "stack": STACK,
        "role": ROLE,
        "max_unavailable": MAX_UNAVAILABLE,
        "sandbox": SANDBOX,
        "yes": YES,
        "alarm": ALARM,
    }
)
def servers_apply(
    _: Context,
    stack: str,
    role: str = "",
    max_unavailable: int = 1,
    sandbox: bool = False,
    yes: bool = False,
    alarm: bool = False,
) -> None:
    """Push to servers what changed since they were born, one after the other, out of their balancers meanwhile."""
    from operations import alarms
    from operations.servers import jobs

    with alarms.Job(ROOT, f"servers.apply {stack}", stack, alarm, sandbox):
        _end(jobs.apply(ROOT, stack, jobs.Asked(role or None, max_unavailable, yes, sandbox)))


@task(
    help={
        "stack": STACK,
        "role": ROLE,
        "package": "this package only",
        "reboot": "'auto': where it is required; 'always': where packages changed since the boot; 'never'",
        "check": "only show which servers lack a version; ends with 1 for any",
        "max_unavailable": MAX_UNAVAILABLE,
        "sandbox": SANDBOX,
        "yes": YES,
        "json": "print JSON, with --check",
    }
)
def servers_patch(
    _: Context,
    stack: str,
    role: str = "",
    package: str = "",
    reboot: str = "auto",
    check: bool = False,
    max_unavailable: int = 1,
    sandbox: bool = False,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Upgrade packages on servers, one after the other, and reboot where that takes it."""
    from operations import console
    from operations.servers import jobs, patch

    asked = jobs.Asked(role or None, max_unavailable, yes, sandbox)
    if not check:
        _end(jobs.patch(ROOT, stack, asked, patch.Wanted(package, reboot)))
        return
    code, found = jobs.lacking(ROOT, stack, asked, package)
    if json:
        print(json_format.dumps(found, indent=2))
    else:
        console.show(jobs.lacking_table(found))
    _end(code)


@task(
    help={
        "stack": STACK,
        "role": "the role",
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
    }
)
def servers_roll(
    _: Context, stack: str, role: str = "", sandbox: bool = False, yes: bool = False, local_state: bool = False
) -> None:
    """Bring a role to the generations of the configuration: the new added and proved, the old drained and removed."""
    from operations.servers import jobs
    from operations.servers import roll as rolls

    asked = jobs.Asked(role or None, yes=yes, on_sandbox=sandbox)
    _end(rolls.roll(ROOT, stack, asked, local_state=local_state))


@task(help={"stack": STACK, "environment": ENVIRONMENT, "sandbox": SANDBOX, "json": JSON, "alarm": ALARM})
def backups_status(
    _: Context, stack: str, environment: str = "", sandbox: bool = False, json: bool = False, alarm: bool = False
) -> None:
    """Show what servers and databases can be restored from, and how old that is; ends with 1 where it is too old."""
    from operations import alarms, console
    from operations.backups import status

    with alarms.Job(ROOT, f"backups.status {stack}", stack, alarm, sandbox) as job:
        code, found = status.report(ROOT, stack, environment, on_sandbox=sandbox)
        status.tell(job, found)
        if json:
            print(json_format.dumps(status.data(found), indent=2))
        else:
            console.show(status.table(found))
        _end(code)


@task(
    help={
        "stack": STACK,
        "environment": ENVIRONMENT,
        "second": SECOND,
        "back": "bring this one of the second copies, by its id, into the first bucket again; with --environment",
        "sandbox": SANDBOX,
        "alarm": ALARM,
    }
)
def backups_copy(
    _: Context,
    stack: str,
    environment: str = "",
    second: bool = False,
    back: str = "",
    sandbox: bool = False,
    alarm: bool = False,
) -> None:
    """Copy the databases now, besides every day; or bring their newest copies into the second buckets."""
    from operations import alarms
    from operations.backups import copy

    line = f"backups.copy {stack}{' --second' if second else ''}"
    with alarms.Job(ROOT, line, stack, alarm, sandbox):
        if second or back:
            made = copy.again(ROOT, stack, environment, back, on_sandbox=sandbox)
        else:
            made = copy.now(ROOT, stack, environment, on_sandbox=sandbox)
        for told in made:
            print(told)


@task(
    help={
        "stack": STACK,
        "environment": ENVIRONMENT,
        "copy": "this copy, by its id; without it, the newest",
        "publish": PUBLISH,
        "sandbox": SANDBOX,
        "json": JSON,
        "alarm": ALARM,
    }
)
def backups_drill(
    _: Context,
    stack: str,
    environment: str = "",
    copy: str = "",
    publish: bool = False,
    sandbox: bool = False,
    json: bool = False,
    alarm: bool = False,
) -> None:
    """Prove that copies restore, on the ops server; ends with 1 where one is not proved."""
    from operations import alarms, console
    from operations.backups import drill

    with alarms.Job(ROOT, f"backups.drill {stack}", stack, alarm, sandbox) as job:
        wanted = drill.Wanted(environment, copy, publish)
        code, found = drill.run(ROOT, stack, wanted, on_sandbox=sandbox)
        drill.tell(job, found)
        if json:
            print(json_format.dumps(found, indent=2))
        else:
            console.show(drill.table(found))
        _end(code)


@task(
    help={
        "stack": "the server's stack",
        "server": "its label",
        "backup": "the id of the backup; without it, the newest that can be restored",
        "in_place": "over the server itself, whose disks are deleted; its name has to be typed",
        "delete": "delete a server that was replaced so, with its backups; its name has to be typed",
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
    }
)
def servers_restore(
    _: Context,
    stack: str,
    server: str,
    backup: int = 0,
    in_place: bool = False,
    delete: bool = False,
    sandbox: bool = False,
    yes: bool = False,
    local_state: bool = False,
) -> None:
    """Restore a server from a backup: a new one takes its place once it is healthy, and the old one is kept."""
    from operations.servers import restore

    asked = restore.Asked(server, backup or None, in_place, delete, yes, local_state, sandbox)
    _end(restore.restore(ROOT, stack, asked))


@task(
    help={
        "stack": "the stack's name",
        "environment": "the environment whose database it is; need not be said where the stack has one only",
        "copy": "the copy to restore, by its id",
        "at": "the time, in UTC, as of which the provider is to fork it: 2026-11-22T18:00:00Z",
        "back": "have the old database serve again",
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
    }
)
def backups_restore(
    _: Context,
    stack: str,
    environment: str = "",
    copy: str = "",
    at: str = "",
    back: bool = False,
    sandbox: bool = False,
    yes: bool = False,
    local_state: bool = False,
) -> None:
    """Restore a database into a new one beside the old, and have servers use that: shows what is lost, and asks."""
    from operations.backups import restore

    _end(restore.restore(ROOT, stack, restore.Asked(environment, copy, at, back, yes, sandbox, local_state)))


@task(
    help={
        "stack": "one name",
        "region": "build it in this region of the same jurisdiction, as when the data center is gone",
        "sandbox": SANDBOX,
        "beside": "build it beside the living stack, under labels of its own, and destroy it then; for real always",
        "keep_state": "leave out the second part, in which the state is lost as well",
        "publish": PUBLISH,
        "yes": YES,
        "local_state": LOCAL_STATE,
    }
)
def rebuild_drill(
    _: Context,
    stack: str,
    region: str = "",
    sandbox: bool = False,
    beside: bool = False,
    keep_state: bool = False,
    publish: bool = False,
    yes: bool = False,
    local_state: bool = False,
) -> None:
    """Build a region from nothing, by this commit and the last copies; prints the evidence: steps, times, data lost."""
    from operations.rebuild import drill

    asked = drill.Asked(region, beside, keep_state, publish, yes, local_state, sandbox)
    code, evidence = drill.run(ROOT, stack, asked)
    print(json_format.dumps(evidence, indent=2))
    _end(code)


@task(help={"stack": STACK, "sandbox": SANDBOX, "json": JSON, "alarm": ALARM})
def failover_status(_: Context, stack: str, sandbox: bool = False, json: bool = False, alarm: bool = False) -> None:
    """Show which site serves what, how the sites do, and what a move would cost now; ends with 1 where one is down."""
    from operations import alarms, console
    from operations.failover import status

    with alarms.Job(ROOT, f"failover.status {stack}", stack, alarm, sandbox) as job:
        code, found = status.report(ROOT, stack, on_sandbox=sandbox)
        status.tell(job, found)
        if json:
            print(json_format.dumps(status.data(found), indent=2))
        else:
            for table in (each for front in found for each in status.tables(front)):
                console.show(table)
        _end(code)


_BACK = "have the site go on that served before, as long as no traffic has moved"
_WITH_OTHER_CHANGES = "change the front although changes wait in its stack, and leave those of other parts waiting"


@task(
    help={
        "stack": "the front's stack, or that of one of its sites",
        "to": "the site to move to; need not be said where there is only one other",
        "back": _BACK,
        "last_copy": "take the last copy of the data, even where the database answers",
        "data_is_there": "bring nothing: the data was restored at the other site by hand",
        "with_other_changes": _WITH_OTHER_CHANGES,
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
    }
)
def failover_engage(
    _: Context,
    stack: str,
    to: str = "",
    back: bool = False,
    last_copy: bool = False,
    data_is_there: bool = False,
    with_other_changes: bool = False,
    sandbox: bool = False,
    yes: bool = False,
    local_state: bool = False,
) -> None:
    """Move the stateful names to another site, with the newest data: shows what is lost, and asks."""
    from operations.failover import engage, move

    asked = move.Asked(
        to, back, last_copy, data_is_there, with_other_changes, yes=yes, on_sandbox=sandbox, local_state=local_state
    )
    _end(engage.engage(ROOT, stack, asked))


@task(
    help={
        "stack": "the front's stack, or that of one of its sites",
        "back": _BACK,
        "with_other_changes": _WITH_OTHER_CHANGES,
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
    }
)
def failover_failback(
    _: Context,
    stack: str,
    back: bool = False,
    with_other_changes: bool = False,
    sandbox: bool = False,
    yes: bool = False,
    local_state: bool = False,
) -> None:
    """Move the stateful names back to the primary site, with every row that was written meanwhile, or not at all."""
    from operations.failover import failback, move

    asked = move.Asked(
        back=back, with_other_changes=with_other_changes, yes=yes, on_sandbox=sandbox, local_state=local_state
    )
    _end(failback.failback(ROOT, stack, asked))


@task(
    help={
        "stack": "the front's stack, or that of one of its sites",
        "with_other_changes": _WITH_OTHER_CHANGES,
        "sandbox": SANDBOX,
        "yes": YES,
        "local_state": LOCAL_STATE,
    }
)
def failover_keep(
    _: Context,
    stack: str,
    with_other_changes: bool = False,
    sandbox: bool = False,
    yes: bool = False,
    local_state: bool = False,
) -> None:
    """Have the site that serves the stateful names stay the primary, in configuration."""
    from operations.failover import keep, move

    asked = move.Asked(with_other_changes=with_other_changes, yes=yes, on_sandbox=sandbox, local_state=local_state)
    _end(keep.keep(ROOT, stack, asked))


@task(
    help={
        "stack": "the front's stack",
        "mode": "with the standby in this mode only: 'pilot-light', 'warm', 'active'; can be repeated",
        "incident": "this incident only, by its name in docs/failover.md; can be repeated",
        "sandbox": SANDBOX,
        "publish": PUBLISH,
        "yes": YES,
    },
    iterable=["mode", "incident"],
)
def failover_drill(
    _: Context,
    stack: str,
    mode: list[str] | None = None,
    incident: list[str] | None = None,
    sandbox: bool = False,
    publish: bool = False,
    yes: bool = False,
) -> None:
    """Break sites of a sandbox of its own while clients ask, and move; prints the evidence, ends with 1 for a bound."""
    from operations.failover.drill import run as drill

    code, evidence = drill.run(ROOT, stack, drill.Asked(mode or (), incident or (), publish, yes, sandbox))
    print(json_format.dumps(evidence, indent=2))
    _end(code)


namespace = Collection(demo, test, lint, bench, setup, preview, up, destroy, drift, parity, cost)
namespace.add_collection(
    Collection("sandbox", start=sandbox_start, stop=sandbox_stop, reset=sandbox_reset, status=sandbox_status)
)
namespace.add_collection(Collection("env", up=env_up, list=env_list, down=env_down, sweep=env_sweep))
namespace.add_collection(
    Collection(
        "servers",
        list=servers_list,
        apply=servers_apply,
        patch=servers_patch,
        roll=servers_roll,
        restore=servers_restore,
    )
)
namespace.add_collection(Collection("rebuild", drill=rebuild_drill))
namespace.add_collection(
    Collection("backups", status=backups_status, copy=backups_copy, drill=backups_drill, restore=backups_restore)
)
namespace.add_collection(
    Collection(
        "failover",
        status=failover_status,
        engage=failover_engage,
        failback=failover_failback,
        keep=failover_keep,
        drill=failover_drill,
    )
)
