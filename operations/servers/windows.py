"""The hours in which the provider backs servers up: set on them after an update, for no resource has them.

The engine's plugin for Linode only reads them (facts: an output). They are no input, so a drift does not see them.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from components import settings
from components.topology import Stack
from operations import clouds, engine, guards
from operations.errors import Failed
from operations.project import Project
from operations.servers.linodes import Linodes

_AT_ONCE = 8


def keep(project: Project, say: Callable[[str], None]) -> None:
    """Have every server of a stack be backed up in the hours that its configuration says.

    Raises:
        Failed: a server is not, for its cloud refuses or does not answer; the update itself is done.
    """
    ours = {
        each["id"] for each in engine.resources(project) if each["type"] == guards.SERVER and not each.get("delete")
    }
    if not ours:
        return
    differences = settings.differences(project.folder, project.stack)
    schedule = wanted(settings.resolve(project.root, project.stack, differences))
    try:
        linodes = Linodes(clouds.connect(project).platform)
        due = [
            each
            for each in linodes.all()
            if str(each["id"]) in ours and each["backups"]["enabled"] and each["backups"]["schedule"] != schedule
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda each: linodes.change(each["id"], backups={"schedule": dict(schedule)}), due))
    except Failed as error:
        raise Failed(
            f"{project.stack}: the update is done, but not every server has its backup window: {error.message}; "
            f"`{project.task('up')}` sets it again"
        ) from None
    if due:
        at = f"{schedule['day']}, {schedule['window']}"
        say(f"{project.stack}: {len(due)} servers are backed up in the window of the configuration now ({at}, UTC)")


def wanted(stack: Stack) -> Mapping[str, Any]:
    """Return a stack's backup hours as Linode's API says them: a window of two hours by its first one."""
    return {"day": stack.backups.day.capitalize(), "window": f"W{stack.backups.hour}"}
