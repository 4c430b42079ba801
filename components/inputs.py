"""The inputs of a stack that are not in the topology: ids, certificates and secrets, from Pulumi's configuration."""

import time
from typing import Any

import pulumi

from components import outfit
from components.settings import PROJECT, required_inputs
from components.topology import Stack


class Inputs:
    """Reads a stack's inputs, all at once, so that one that is missing stops the run before anything is declared.

    Raises:
        pulumi.ConfigMissingError: an input is not set; the message has the command that sets it.
        ValueError: one that is no secret has not the form of what it is for.
    """

    def __init__(self, stack: Stack) -> None:
        self._plain: dict[str, str] = {}
        self._secret: dict[str, pulumi.Output[str]] = {}
        for needed in required_inputs(stack):
            namespace, name = needed.key.split(":")
            config = pulumi.Config(namespace)
            if needed.secret:
                # A secret is checked where it is known, in previews too, long before a server is made of it.
                self._secret[needed.key] = config.require_secret(name).apply(needed.check)
            else:
                self._plain[needed.key] = needed.check(config.require(name))

    def plain(self, name: str) -> str:
        """Return an input that is no secret, by its name in the project's namespace."""
        return self._plain[f"{PROJECT}:{name}"]

    def secret(self, name: str) -> pulumi.Output[str]:
        """Return a secret input, by its name in the project's namespace."""
        return self._secret[f"{PROJECT}:{name}"]

    def authorized_keys(self) -> tuple[str, ...]:
        """Return the public SSH keys of those who may log in."""
        return outfit.keys(self.plain("authorizedKeys"))


def deployed_outputs() -> dict[str, Any]:
    """Return the stack's own outputs as the last update left them; none before the first.

    The engine's `readStackOutputs` is what a StackReference asks; asked directly, its answer is there before the first
    resource is declared, so that a step that leaves no proved servers is refused before anything is created.

    Raises:
        Exception: the engine cannot read the state.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    for _ in range(_ATTEMPTS - 1):
        try:
            return _outputs(name)
        except Exception:  # noqa: BLE001 - the SDK raises nothing narrower
            time.sleep(_PAUSE)
    return _outputs(name)


# An update writes the state while this reads it, on a `file://` backend in pieces: it may be found half written.
_ATTEMPTS, _PAUSE = 20, 0.1  # seconds


def _outputs(stack: str) -> dict[str, Any]:
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value or {}
    return dict(answer.get("outputs") or {})
