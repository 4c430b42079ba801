"""Where the engine runs for a stack, and the environments that keep real runs and the sandbox apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import document
from operations.errors import Refused

# With these in its environment a real run would talk to a sandbox, or to plugins that somebody is debugging.
POINTS_AT_SANDBOX = frozenset(
    {
        "CLOUDFLARE_BASE_URL",
        "LINODE_URL",
        "PULUMI_DEBUG_PROVIDERS",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    }
)
# With these a sandbox run could reach real accounts or a real state.
POINTS_AT_REAL = ("PULUMI_", "LINODE_", "CLOUDFLARE_", "CF_", "AWS_", "AZURE_", "ARM_", "GOOGLE_")


@dataclass(frozen=True)
class Apis:
    """Where the two clouds' REST APIs are: the real ones', unless it is said otherwise."""

    linode: str = "https://api.linode.com/v4"
    cloudflare: str = "https://api.cloudflare.com/client/v4"


@dataclass(frozen=True)
class Project:
    """One stack's place: the folder with its Pulumi.yaml, the whole environment of an engine there, and the clouds.

    `state` is the folder of its backend, where that is one of files.
    """

    root: Path
    folder: Path
    stack: str
    pulumi: Path
    environment: Mapping[str, str]
    sandbox: bool
    state: Path | None = None
    apis: Apis = Apis()

    @property
    def stack_file(self) -> Path:
        """The stack's configuration file, which the engine reads and writes."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def task(self, verb: str) -> str:
        """Return the command line of a task for this stack, for messages that say what to do."""
        return f"./inv {verb} {self.stack}{' --sandbox' if self.sandbox else ''}"


def read_project_file(root: Path) -> dict[str, Any]:
    """Return what Pulumi.yaml says.

    Raises:
        Refused: it cannot be read, or its backend is not one.
    """
    name = "Pulumi.yaml"
    try:
        content = document.read(root / name)
    except document.DocumentError as error:
        raise Refused(f"{name}: {error}") from None
    if not isinstance(content.get("backend") or {}, dict):
        raise Refused(f"{name}: backend: it holds no keys; write its `url` below it")
    return content


def without_sandbox(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what leads to a sandbox."""
    return {name: value for name, value in environment.items() if name not in POINTS_AT_SANDBOX}


def without_real(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what leads to real accounts or a real state."""
    return {name: value for name, value in environment.items() if not name.startswith(POINTS_AT_REAL)}
