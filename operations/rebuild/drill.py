"""The drill: a region that is gone is built again, from this repository at a commit and the last copies of its data.

On the sandbox the stack's own region collapses first. For real the stack is built beside the living one, under labels
of its own, and destroyed in the end, whatever became of it.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.settings import Stack
from operations import (
    clouds,
    costs,
    edits,
    engine,
    preflight,
    previews,
    recovery,
    runs,
    sandbox,
    stacks,
    updates,
    worktree,
)
from operations.backups import contents, reach
from operations.backups.contents import Contents
from operations.console import agrees, say, show
from operations.environments import files
from operations.errors import Failed, NotBegun, Refused, why
from operations.project import Project
from operations.rebuild import claim, collapse, data, health, overlay
from operations.rebuild.evidence import Evidence
from operations.rebuild.overlay import Rebuilt
from operations.servers import jobs
from operations.updates import Agreed

ACCESS = "**DatabaseAccessControls::**"
"""The URNs of what lets servers reach their databases: nobody writes into one before it has its data again."""

_MADE = "everything is made, and nobody reaches the databases yet"
"""The step that begins to build."""


@dataclass(frozen=True)
class Asked:
    """What was said on the command line: another region, a stack beside the living one, and what was agreed to.

    `keep_state` leaves the second part out, in which the state is lost as well.
    """

    region: str = ""
    beside: bool = False
    keep_state: bool = False
    publish: bool = False
    yes: bool = False
    local_state: bool = False
    on_sandbox: bool = False


@dataclass(frozen=True)
class _Drill:
    """A drill: the checkout, the folder with its files at a commit, the living stack, the one that is built."""

    root: Path
    folder: Path
    source: Project
    living: Stack
    rebuilt: Rebuilt
    asked: Asked

    @property
    def agreed(self) -> Agreed:
        """What every update of the stack that is built may do."""
        return Agreed(yes=True, local_state=self.asked.local_state, adopt=True)

    @property
    def begun(self) -> Path:
        """The file that says from which copies a region of the sandbox is built again, from its collapse on."""
        return self.root / sandbox.FOLDER / f"rebuild-{self.rebuilt.name}.json"

    def project(self) -> Project:
        """Return the project of the stack that is built, which is made in the backend if it is not there.

        Raises:
            Refused, Failed.
        """
        chosen = {self.rebuilt.name: self.rebuilt.stack}
        if not self.asked.on_sandbox and self.asked.beside:
            made = replace(self.source, root=self.folder, folder=self.folder, stack=self.rebuilt.name)
            if engine.answer(made, "stack", "output", "--json")[0] == engine.STACK_NOT_FOUND:
                files.make_stack(made, self.source)
            files.fill_in(made, self.rebuilt.stack, self.source)
        local = self.asked.local_state
        (project,) = runs.for_up(self.folder, chosen, on_sandbox=self.asked.on_sandbox, local_state=local)
        if self.asked.beside:
            claim.mark(project)
        return project


def run(root: Path, wanted: str, asked: Asked) -> tuple[int, dict[str, Any]]:
    """Build a stack's region again; return the exit code and the evidence.

    Raises:
        Refused: what is asked for can't be, or there is no copy to restore.
        NotBegun: somebody said no.
        Failed: the engine or a cloud does not answer before anything was begun.
    """
    asked = replace(asked, beside=asked.beside or not asked.on_sandbox)
    updates.require_consent(f"rebuild.drill {wanted}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    (name, living), *others = stacks.select(root, wanted).items()
    if others:
        raise Refused("a region is built again one at a time; name one stack")
    if not data.environments(living):
        raise Refused(f"{name}: none of its databases has copies, so there is nothing that could be restored")
    commit = worktree.git(root, "rev-parse", "HEAD")
    dirty = worktree.git(root, "status", "--porcelain").splitlines()
    with worktree.at(root, commit, "rebuild") as folder:
        committed = stacks.select(folder, name)[name]
        rebuilt = overlay.declare(folder, name, committed, region=asked.region, beside=asked.beside)
        _link(root, folder, asked)
        (source,) = runs.for_clouds(root, {name: living}, on_sandbox=asked.on_sandbox, local_state=asked.local_state)
        drill = _Drill(root, folder, source, living, rebuilt, asked)
        # One that was cut off may have left nothing that could list them.
        begun = json.loads(drill.begun.read_text(encoding="utf-8")) if drill.begun.exists() else None
        copies = begun or data.newest(source, living)
        evidence = Evidence(
            stack=name,
            built=rebuilt.name,
            place="sandbox" if asked.on_sandbox else "real",
            commit=commit,
            uncommitted=dirty,
            region=rebuilt.stack.region,
            of=living.region,
            images={role: each.image for role, each in rebuilt.stack.roles.items()},
            copies=copies,
        )
        for line in dirty:
            say(f"{name}: not committed, so it is not in what is built: {line}")
        if asked.beside:
            claim.require_free(replace(source, stack=rebuilt.name))
        _agree(drill)
        if asked.beside:
            drill.project()  # from here on it is this drill's, and what is there is destroyed
        code = _carry_out(drill, evidence, copies)
    return code, evidence.found


def _link(root: Path, folder: Path, asked: Asked) -> None:
    """Give a folder what no commit has: the environment of Python, and the sandbox of the checkout."""
    (folder / ".venv").symlink_to(sys.prefix)
    if asked.on_sandbox:
        sandbox.start(root)
        (folder / sandbox.FOLDER).symlink_to((root / sandbox.FOLDER).resolve())


def _agree(drill: _Drill) -> None:
    rebuilt, source = drill.rebuilt, drill.source
    show(costs.table(costs.of({rebuilt.name: rebuilt.stack})))
    if drill.asked.beside:
        say(
            f"{rebuilt.name}: built beside {source.stack} in {rebuilt.stack.region}, for as long as this takes, "
            "with the last copies of its data; then all of it is destroyed. Meanwhile its applications "
            "RUN ON THAT DATA, with no bar to where they call: one that sends mail by itself sends it"
        )
    else:
        gone = len(collapse.what(source, drill.living))
        say(
            f"{rebuilt.name}: {gone} objects of the sandbox are DELETED, with what its databases hold since their last "
            f"copies; all of it is built again in {rebuilt.stack.region}"
        )
    if not drill.asked.yes and not agrees(f"{rebuilt.name}: begin?"):
        raise NotBegun(f"{rebuilt.name}: declined; nothing was changed")


def _carry_out(drill: _Drill, evidence: Evidence, copies: Mapping[str, Mapping[str, Any]]) -> int:
    """Do it, and write down how it ended; then what was built beside the living stack is destroyed, come what may."""
    reason, left = _reason(drill, evidence, copies), ""
    evidence.end(reason)
    try:
        show(evidence.table())
        if drill.asked.publish and not reason:
            say(f"{drill.source.stack}: the evidence is in {evidence.publish(drill.root)}")
    except OSError as error:
        reason = f"the evidence can't be written: {error}"
    finally:
        left = _destroyed(drill, evidence) if drill.asked.beside else ""
    if left:
        evidence.found["left"] = left
    for each in filter(None, (reason, left)):
        say(f"{drill.rebuilt.name}: {each}")
    if not drill.asked.beside and drill.rebuilt.stack != drill.living:
        say(
            f"{drill.rebuilt.name}: the sandbox has it in {drill.rebuilt.stack.region} now, each environment with one "
            "database, which is not what the stack file says; ./inv sandbox.reset, or write that"
        )
    return engine.FAILED if reason or left else 0


def _reason(drill: _Drill, evidence: Evidence, copies: Mapping[str, Mapping[str, Any]]) -> str:
    """Do it; return why it did not come back, or nothing."""
    try:
        _recover(drill, evidence, copies)
        if not drill.asked.keep_state:
            _adopt(drill, evidence)
    except BaseException as error:  # noqa: BLE001 (whatever it is, there is evidence, and what was built goes)
        return why(error)
    return ""


def _recover(drill: _Drill, evidence: Evidence, copies: Mapping[str, Mapping[str, Any]]) -> None:
    """Bring everything back: from nothing to balancers that answer.

    Raises:
        Refused, NotBegun, Failed: it does not come back; with why.
    """
    project, stack = drill.project(), drill.rebuilt.stack
    taken = [str(each["taken"]) for each in copies.values()]
    if drill.asked.beside:
        with evidence.step("what an earlier drill left is destroyed"):
            _empty(drill, project)
        evidence.collapsed(taken, contents.now(drill.source))
    else:
        edits.write_private(drill.begun, json.dumps({name: dict(copy) for name, copy in copies.items()}))
        with evidence.step("the region collapses"):
            collapse.empty(project, collapse.what(project, drill.living))
        evidence.collapsed(taken, contents.now(drill.source))
        with evidence.step("the state forgets what is gone"):
            updates.settle(project)
            _require(project, engine.run(project, "refresh", "--yes", "--skip-preview"), "refresh")
    preflight.require([project], {project.stack: stack})
    with evidence.step(_MADE):
        _require(project, updates.bring_up(project, drill.agreed, "--exclude", ACCESS), "up")
    compared = evidence.found["compared"] = {}
    # Beside the living stack its ops server does it, with what that has: no key goes there that it does not hold.
    at_work, whose = (drill.source, drill.living) if drill.asked.beside else (project, stack)
    program = reach.program(at_work, whose)
    for environment, copy in copies.items():
        with evidence.step(f"{environment}: copy {copy['id']} is restored"):
            held = Contents(project, stack, environment, program)
            compared[environment] = data.restore(at_work, held, str(copy["id"]))
    with evidence.step("servers reach their databases"):
        _require(project, updates.bring_up(project, drill.agreed), "up")
    _apply(drill, evidence)
    with evidence.step("every balancer answers"):
        evidence.found["health"] = health.wait(project, stack, drill.source)
    evidence.recovered()
    drill.begun.unlink(missing_ok=True)
    _require_no_changes(drill, evidence)


def _adopt(drill: _Drill, evidence: Evidence) -> None:
    """Lose the state, and take over what lives: the same objects, and nothing twice but what nobody can read.

    Raises:
        Refused, NotBegun, Failed: something was made again, or is not known; with what.
    """
    project = drill.project()
    before = _objects(project)
    with evidence.step("the state is lost"):
        engine.ask(project, "stack", "rm", "--yes", "--force", "--preserve-config")
    with evidence.step("what lives is taken over"):
        project = drill.project()
        _require(project, updates.bring_up(project, drill.agreed), "up")
    after = _objects(project)
    for what, some in (("not known any more", before - after), ("made a second time", after - before)):
        if wrong := sorted(f"{type_} ({identity})" for type_, identity in some if clouds.KINDS[type_].readable):
            raise Failed(f"after its state was lost, this is {what}: {', '.join(wrong)}")
    superseded = [each.name for each in recovery.superseded(project)]
    evidence.found["adopted"] = {"objects": len(before & after), "superseded": superseded}
    _apply(drill, evidence)
    _require_no_changes(drill, evidence)


def _apply(drill: _Drill, evidence: Evidence) -> None:
    with evidence.step("servers hold what is configured"):
        asked = jobs.Asked(yes=True, on_sandbox=drill.asked.on_sandbox)
        code = jobs.apply(drill.folder, drill.rebuilt.name, asked)
        if code:
            raise Failed(f"servers.apply ended with {code}")


def _require_no_changes(drill: _Drill, evidence: Evidence) -> None:
    options = previews.Options(drill.asked.on_sandbox, expect_no_changes=True)
    with evidence.step("nothing is left to change"):
        code = previews.preview(drill.folder, drill.rebuilt.name, options)
        if code:
            raise Failed(f"the preview afterwards ended with {code}: not everything is as the configuration says")


def _require(project: Project, code: int, verb: str) -> None:
    if code:
        raise Failed(f"{project.stack}: `{verb}` ended with {code}")


def _objects(project: Project) -> set[tuple[str, str]]:
    """Return the type and id of what the state knows, as far as a cloud makes it."""
    return {(each["type"], each["id"]) for each in engine.resources(project) if each["type"] in clouds.KINDS}


def _destroyed(drill: _Drill, evidence: Evidence) -> str:
    """Destroy what was built beside the living stack; return what keeps it, or nothing."""
    try:
        project = drill.project()
        _empty(drill, project)
        engine.ask(project, "stack", "rm", "--yes", "--force", "--remove-backups")
        project.stack_file.unlink(missing_ok=True)
    except BaseException as error:  # noqa: BLE001 (it costs, so it is said whatever it is)
        again = f"`./inv rebuild.drill {drill.source.stack}` destroys it first"
        if _MADE not in (each["name"] for each in evidence.found["steps"]):
            return f"nothing was built; what an earlier drill may have left is not destroyed: {why(error)}; {again}"
        return f"what was built is NOT destroyed, and costs: {why(error)}; {again}"
    return ""


def _empty(drill: _Drill, project: Project) -> None:
    """Destroy all that there is of a stack, whatever its state knows of it."""
    updates.go_on(project, drill.agreed)
    if engine.resources(project):
        _require(project, updates.empty(project, yes=True), "destroy")
