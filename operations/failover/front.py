"""The front alone: its pools, load balancers, metadata and alarms, brought to what the files say, and nothing else.

It is a targeted update, which asks Cloudflare only, and nothing is refreshed: so it works while the data center of the
front's own stack is gone, and its state says what nobody can check any more.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from operations import clouds, engine, guards, plans, policy, updates
from operations.console import say
from operations.errors import Failed, Refused
from operations.failover.sites import Site
from operations.plans import Plan, Step
from operations.updates import Agreed

_METADATA = "chat-tonic:metadata:Metadata"

COMPONENTS = ("chat-tonic:dns:BalancedName", _METADATA, "chat-tonic:alarms:Alarms")
"""What the front is made of in the program: a URN has the types of all that a resource is in."""

_LOAD_BALANCER = "cloudflare:index/loadBalancer:LoadBalancer"
_POOL = "cloudflare:index/loadBalancerPool:LoadBalancerPool"

_TARGETS = tuple(argument for each in COMPONENTS for argument in ("--target", f"**{each}**"))

_TYPES = tuple(each for each in clouds.KINDS if each.startswith("cloudflare:"))


def is_of_front(step: Step) -> bool:
    """Whether a step of a plan is the front's."""
    return any(each in step.urn for each in COMPONENTS)


def require_updatable(front: Site, *, with_others: bool) -> None:
    """Refuse what ends with an update of the front before it begins, where changes wait, or policies would stop it.

    Where other changes may wait, those of the front itself go along with that update, and are said.

    Raises:
        Refused: changes wait in its stack, and it is not said that these may; or what is under guard would go.
        Failed: the engine can't plan it, or policies are violated.
    """
    pack = policy.arguments(front.project)
    if not with_others:
        _require_alone(front, _plan(front, *pack).changes, with_others=False)
        return
    plan = _plan(front, *pack, *_TARGETS)
    guards.require(front.project, plan, guards.Asked())
    if plan.changes:
        say(f"{front.name}: these changes wait at its front, and go along: {_shown(plan.changes)}")


def _plan(front: Site, *options: str) -> Plan:
    (code, _, errors), plan = plans.preview(front.project, engine.answer, *options)
    if code or not plan.complete:
        violated = (each.message for each in plan.violations)
        problems = [*plan.errors, *violated] or [errors.strip()]
        raise Failed("\n".join(f"{front.name}: {each}" for each in problems))
    return plan


def _require_alone(front: Site, changes: Sequence[Step], *, with_others: bool) -> None:
    if changes and not with_others:
        raise Refused(
            f"{front.name}: other changes wait in this stack: {_shown(changes)}. Bring it up first, or take them "
            "back; with --with-other-changes the front alone is changed, and all else goes on waiting"
        )


def _shown(steps: Sequence[Step]) -> str:
    named = [f"{step.op} {step.kind} {step.name}" for step in steps[: updates.NAMED]]
    return ", ".join(named + ([f"{len(steps) - len(named)} others"] if len(steps) > len(named) else []))


def serving(front: Site) -> dict[str, str]:
    """Return by host name the site to which its load balancer sends traffic first, as the state says.

    Raises:
        Failed: the engine does not answer.
    """
    found = [each for each in engine.resources(front.project) if not each.get("delete")]
    sites = {each["id"]: each["inputs"]["origins"][0]["name"] for each in found if each["type"] == _POOL}
    balancers = [each["inputs"] for each in found if each["type"] == _LOAD_BALANCER]
    return {each["name"]: sites.get(each["defaultPools"][0], "") for each in balancers}


def published(front: Site) -> int:
    """Return the metadata's version that clients were told last, as the state says; 0 where there is none.

    Raises:
        Failed: the engine does not answer.
    """
    found = [each.get("inputs", {}) for each in engine.resources(front.project) if _METADATA in each["urn"]]
    texts = [str(each["content"]) for each in found if each.get("type") == "TXT"]
    return max((int(said[1]) for text in texts if (said := re.match(r'"?v=(\d+) ', text))), default=0)


def settle(front: Site) -> None:
    """Find out what a run that was cut off has changed at the front.

    Raises:
        Refused: what was made can't be told from what was not.
        Failed: somebody is at work there, or Cloudflare does not answer.
    """
    updates.go_on(front.project, Agreed(yes=True, adopt=True), _TYPES)


def update(front: Site, *, with_others: bool) -> None:
    """Bring the front to what the files say.

    Raises:
        Refused: changes of other parts wait; or it would replace or delete what is under guard.
        Failed: it can't be done.
    """
    settle(front)
    plan = _plan(front)
    _require_alone(front, [step for step in plan.changes if not is_of_front(step)], with_others=with_others)
    of_front = tuple(step for step in plan.changes if is_of_front(step))
    guards.require(front.project, replace(plan, steps=of_front), guards.Asked())
    if code := engine.run(front.project, "up", *policy.arguments(front.project), *_TARGETS, "--yes", "--skip-preview"):
        raise Failed(f"{front.name}: the update of its front ended with {code}; mend what it says above")
