"""Servers that are being born: that takes minutes, and whoever needs them waits for it."""

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

from operations.console import say
from operations.servers import reach, rolling
from operations.servers.fleet import Fleet, Member
from operations.servers.remote import Remote, Unreachable

BORN_WITHIN = 1200.0  # seconds: a server upgrades its packages and pulls the images first
# SSH opens just before the end of a first boot. How that ended, whoever works on the server finds out.
_IS_OVER = "cloud-init status --wait >/dev/null || true"


def late(fleet: Fleet, waits: Callable[[Mapping[str, str]], bool] = bool) -> dict[str, str]:
    """Wait until all servers of a fleet are born; return by label why those are not that take too long.

    `waits` says whether to wait for those that are silent, by label: without it, for each.

    Raises:
        Failed: a server shows another host key, or lets nobody in.
    """
    patience = rolling.patience(fleet)
    within = patience.healthy if fleet.project.sandbox else BORN_WITHIN
    until = time.monotonic() + within
    silent = _silent(fleet, within)
    if waits(silent):
        say(f"{', '.join(silent)}: no answer over SSH yet; waiting for it, {within:.0f} s at most")
    while waits(silent) and time.monotonic() < until:
        time.sleep(patience.asks)
        fleet = fleet.of(partial(_is_among, silent))
        silent = _silent(fleet, until - time.monotonic())
    return silent


def _silent(fleet: Fleet, within: float) -> dict[str, str]:
    """Return by label why servers don't answer. One that does is waited for until its first boot is over."""
    endpoint, question = reach.endpoints(fleet.project), partial(_wait, within=max(within, 1.0))
    answers = fleet.at_once(lambda member: rolling.ask(member, endpoint(member), question))
    return {label: str(answer) for label, answer in answers.items() if isinstance(answer, Unreachable)}


def _is_among(labels: Collection[str], member: Member) -> bool:
    return member.label in labels


def _wait(remote: Remote, within: float) -> None:
    remote.run(_IS_OVER, within=within)
