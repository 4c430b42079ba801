"""What a real run needs before it may begin: a check yields what is wrong, and what to do about it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from components import settings
from components.settings import Stack
from operations.project import read_project_file
from operations.sandbox import is_sandbox_backend

PULUMI_CLOUD = "https://api.pulumi.com"
PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - a variable's name
PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105


@dataclass(frozen=True)
class Intent:
    """A real run that is asked for: which stack, from which checkout, in which environment."""

    root: Path
    name: str
    stack: Stack
    environment: Mapping[str, str]


def configuration(intent: Intent) -> Iterator[str]:
    """Yield values that only stand for real ones, and missing inputs, each with the line that sets it."""
    for refuse in (settings.refuse_placeholders, settings.refuse_wrong_inputs):
        try:
            refuse(intent.root, intent.name, intent.stack)
        except settings.ConfigurationError as error:
            yield from map(str, error.problems)
    for each in settings.missing_inputs(intent.root, intent.name, intent.stack):
        secret = "--secret " if each.secret else ""
        yield (
            f"{settings.stack_file(intent.name)}: {each.key}: the {each.purpose} is missing; "
            f"pulumi config set {secret}{each.key} --stack {intent.name}{' < FILE' if each.of_lines else ''}"
        )


def state(intent: Intent) -> Iterator[str]:
    """Yield what keeps the engine from the stack's state and secrets, or makes that state the wrong one."""
    url = backend_url(intent.root, intent.environment)
    if url is None:
        yield f"{intent.name}: its state has no place; set backend.url in Pulumi.yaml, or `pulumi login URL`"
    elif is_sandbox_backend(url, intent.root):
        yield f"{intent.name}: {url} holds a sandbox's state; choose the real one, or repeat with --sandbox"
    if needs_passphrase(intent, url):
        yield from _passphrase(intent)


def shared_state(intent: Intent) -> Iterator[str]:
    """Yield an objection to changing real accounts with a state that only this machine has."""
    url = backend_url(intent.root, intent.environment)
    if url and urlsplit(url).scheme == "file":
        yield (
            f"{intent.name}: its state would be on this machine only ({url}); set backend.url in Pulumi.yaml "
            "to a place that the team shares, or insist with --local-state"
        )


def real_state(name: str, outputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield an objection to a state that a sandbox run wrote, wherever it was brought since."""
    if outputs.get("sandbox"):
        yield f"{name}: its state was written by the sandbox; choose the real one, or repeat with --sandbox"


def backend_url(root: Path, environment: Mapping[str, str]) -> str | None:
    """Return where the engine keeps the state: environment, else Pulumi.yaml, else where somebody logged in.

    The order is the engine's own (pkg/v3/workspace/creds.go, GetCurrentCloudURL).
    """
    declared = (read_project_file(root).get("backend") or {}).get("url")
    cloud = PULUMI_CLOUD if environment.get("PULUMI_ACCESS_TOKEN") else None
    return environment.get("PULUMI_BACKEND_URL") or declared or _login(environment) or cloud


def state_folder(root: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the folder of the state, where the backend is one of files."""
    parts = urlsplit(backend_url(root, environment) or "")
    return root / Path(unquote(parts.netloc + parts.path)).expanduser() if parts.scheme == "file" else None


def _login(environment: Mapping[str, str]) -> str | None:
    home = environment.get("PULUMI_HOME") or Path(environment.get("HOME", "/"), ".pulumi")
    file = Path(environment.get("PULUMI_CREDENTIALS_PATH") or home, "credentials.json")
    try:
        return str(json.loads(file.read_text(encoding="utf-8")).get("current") or "") or None
    except (OSError, ValueError):
        return None


def needs_passphrase(intent: Intent, url: str | None) -> bool:
    """Tell whether a passphrase encrypts the secrets: the file says so, or nothing and no service does it."""
    content = _yaml(intent.root / settings.stack_file(intent.name))
    provider = content.get("secretsprovider") or "default"
    if provider == "default":
        return "encryptionsalt" in content or urlsplit(url or "").scheme != "https"
    return bool(provider == "passphrase")


def _passphrase(intent: Intent) -> Iterator[str]:
    file = intent.environment.get(PASSPHRASE_FILE)
    if PASSPHRASE in intent.environment:
        return
    if not file:
        yield (
            f"{intent.name}: the passphrase of its secrets is missing; set {PASSPHRASE_FILE} to a file that "
            f"holds it, or {PASSPHRASE}"
        )
    elif not Path(file).is_file():
        yield f"{intent.name}: {PASSPHRASE_FILE} names {file}, which is no file; name the one it is in"


def _yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
