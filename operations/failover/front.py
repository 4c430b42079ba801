"""The front alone: its pools, load balancers, metadata and alarms, brought to what the files say, and nothing else.

It is a targeted update, which asks Cloudflare only, and nothing is refreshed: so it works while the data center of the
front's own stack is gone, and its state says what nobody can check any more.
"""

from operations import clouds, engine, guards, plans, policy, updates
from operations.errors import Failed, Refused
from operations.failover.sites import Site
from operations.plans import Plan, Step
from operations.updates import Agreed

COMPONENTS = ("chat-tonic:dns:BalancedName", "chat-tonic:metadata:Metadata", "chat-tonic:alarms:Alarms")
"""What the front is made of in the program: a URN has the types of all that a resource is in."""

_LOAD_BALANCER = "cloudflare:index/loadBalancer:LoadBalancer"
_POOL = "cloudflare:index/loadBalancerPool:LoadBalancerPool"

_TYPES = tuple(each for each in clouds.KINDS if each.startswith("cloudflare:"))


def is_of_front(step: Step) -> bool:
    """Whether a step of a plan is the front's."""
    return any(each in step.urn for each in COMPONENTS)


def planned(front: Site, *, with_others: bool = True) -> list[Step]:
    """Return what an update of the front would change.

    Raises:
        Refused: other changes wait in its stack, and it is not said that these may go on waiting.
        Failed: the engine can't plan it.
    """
    _, plan = plans.preview(front.project, engine.answer)
    if not plan.complete:
        raise Failed("\n".join(f"{front.name}: {each}" for each in plan.errors))
    waiting = [step for step in plan.changes if not is_of_front(step)]
    if waiting and not with_others:
        shown = [f"{step.op} {step.kind} {step.name}" for step in waiting[: updates.NAMED]]
        shown += [f"{len(waiting) - len(shown)} others"] if len(waiting) > len(shown) else []
        raise Refused(
            f"{front.name}: other changes wait in this stack: {', '.join(shown)}. Bring it up first, or take them "
            "back; with --with-other-changes they go on waiting, and the front alone is changed"
        )
    return [step for step in plan.changes if is_of_front(step)]


def serving(front: Site) -> dict[str, str]:
    """Return by host name the site to which its load balancer sends traffic first, as the state says.

    Raises:
        Failed: the engine does not answer.
    """
    found = [each for each in engine.resources(front.project) if not each.get("delete")]
    sites = {each["id"]: each["inputs"]["origins"][0]["name"] for each in found if each["type"] == _POOL}
    balancers = [each["inputs"] for each in found if each["type"] == _LOAD_BALANCER]
    return {each["name"]: sites.get(each["defaultPools"][0], "") for each in balancers}


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
        Refused: other changes wait, as for `planned`; or it would replace or delete what is under guard.
        Failed: it can't be done.
    """
    settle(front)
    steps = planned(front, with_others=with_others)
    guards.require(front.project, Plan(front.name, tuple(steps), (), (), complete=True), guards.Asked())
    targets = [argument for each in COMPONENTS for argument in ("--target", f"**{each}**")]
    pack = policy.arguments(front.project)
    if code := engine.run(front.project, "up", *pack, *targets, "--yes", "--skip-preview"):
        raise Failed(f"{front.name}: the update of its front ended with {code}; mend what it says above")
