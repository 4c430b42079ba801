"""The second copies: pulled from the first ones, into a bucket that the ops server can't reach.

It is done where the stack's state is at hand, as only that has the key. What is pulled is in `copies/pull.py`; with it,
the stack's state and file are kept, whose secrets stay encrypted.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from components import labels, outfit
from components.settings import Stack
from operations import engine, sandbox
from operations.backups import reach
from operations.backups.reach import Answer, Given, Private
from operations.console import say
from operations.errors import Refused
from operations.project import Project

BUCKET = "linode:index/objectStorageBucket:ObjectStorageBucket"
_KEY = "linode:index/objectStorageKey:ObjectStorageKey"
VARIABLE = "CHAT_TONIC_JURISDICTION"
"""The variable that says in which jurisdiction this machine is: a dump passes through it."""


def require_within(stacks: Mapping[str, Stack]) -> None:
    """Refuse to have the dumps of stacks pass through a machine outside their jurisdiction.

    Raises:
        Refused: this machine is elsewhere, or does not say where it is.
    """
    said = os.environ.get(VARIABLE, "")
    if problems := [
        f"{name}: its copies pass through the machine that does this, and must not leave the jurisdiction "
        f"'{stack.jurisdiction}'; {VARIABLE} is {repr(said) if said else 'not set'}. Do it on a machine there, with "
        f"{VARIABLE}={stack.jurisdiction} (docs/backups.md)"
        for name, stack in stacks.items()
        if said != stack.jurisdiction
    ]:
        raise Refused("\n".join(problems))


def pull(project: Project, stack: Stack, environment: str) -> Answer:
    """Pull the newest copy of an environment's database, and keep the stack's state beside it.

    Raises:
        Refused: it has no second bucket yet, or this machine no restic.
        Failed: it can't be pulled; the text says why.
    """
    first = _given(project, stack, environment, labels.copies_bucket)
    kept = {
        f"{project.stack}.json": engine.ask(project, "stack", "export"),
        project.stack_file.name: project.stack_file.read_text(encoding="utf-8"),
    }
    return program(project, stack)(environment, "pull", *_from(first), "--keep", Private(json.dumps(kept)))


def give_back(project: Project, stack: Stack, environment: str, copy: str) -> Answer:
    """Bring one of the second copies into the first bucket, from where it can be restored; raises as `pull` does."""
    there = _given(project, stack, environment, labels.second_bucket)
    here = reach.given(project, stack, environment)
    whole = replace(here, configuration={**here.configuration, "restic": reach.restic(project)})
    at_work = reach.answering(project, reach.here(lambda _: whole))
    return at_work(environment, "pull", *_from(there), "--copy", copy)


def _from(source: Given) -> tuple[str, Private]:
    return "--from", Private(json.dumps({**source.configuration, "database": reach.NO_DATABASE}))


def program(project: Project, stack: Stack) -> reach.Program:
    """Return the program, at work on the second copies on this machine; raises as `pull` does."""
    return reach.answering(
        project, reach.here(lambda environment: _given(project, stack, environment, labels.second_bucket))
    )


def _given(project: Project, stack: Stack, environment: str, bucket: Callable[[str, str], str]) -> Given:
    """Return what the program is given on this machine, with its restic and the key that only the second copies have.

    That key reads the first bucket, and writes the second. It never leaves this machine.
    """
    told = reach.given(project, stack, environment)
    parts = (stack.label, stack.environments[environment].label)
    found = {
        (each["type"], each["outputs"].get("label")): each["outputs"]
        for each in engine.resources(project, show_secrets=True)
        if each["type"] in (BUCKET, _KEY) and not each.get("delete")
    }
    try:
        store = outfit.store(found[BUCKET, bucket(*parts)], found[_KEY, labels.second_key(*parts)])
    except KeyError:
        raise Refused(f"{project.stack}: {environment} has no second bucket yet; {project.task('up')}") from None
    if project.sandbox:
        reach.serve_store(store, sandbox.data(project.root, say))
    return replace(told, configuration={**told.configuration, "repository": store, "restic": reach.restic(project)})
