"""The policy pack in the tasks' runs of the engine."""

from operations.project import Project


def arguments(project: Project) -> tuple[str, str]:
    """Return the engine's arguments that put a preview or an update under the pack."""
    return ("--policy-pack", str(project.root / "policies" / "pack"))
