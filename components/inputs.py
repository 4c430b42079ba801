"""The inputs of a stack that are not in the topology: ids, certificates and secrets, from Pulumi's configuration."""

import pulumi

from components.settings import PROJECT


class Inputs:
    """Reads a stack's inputs; what is secret stays a secret output. `settings.required_inputs` lists them."""

    def __init__(self) -> None:
        self._config = pulumi.Config(PROJECT)

    def plain(self, name: str) -> str:
        """Return an input that is no secret.

        Raises:
            pulumi.ConfigMissingError: it is not set; the message has the command that sets it.
        """
        return self._config.require(name)

    def secret(self, name: str) -> pulumi.Output[str]:
        """Return a secret input.

        Raises:
            pulumi.ConfigMissingError: it is not set; the message has the command that sets it.
        """
        return self._config.require_secret(name)

    def authorized_keys(self) -> tuple[str, ...]:
        """Return the public SSH keys of those who may log in."""
        return tuple(line.strip() for line in self.plain("authorizedKeys").splitlines() if line.strip())


def deployed_generations() -> dict[str, dict[str, dict[str, str]]]:
    """Return the stack's own output `generations` as the last update left it; empty before the first.

    The engine's `readStackOutputs` is what a StackReference asks; asked directly, its answer is there before the first
    resource is declared, so that a step that leaves no proved servers is refused before anything is created.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": name}).value or {}
    deployed: dict[str, dict[str, dict[str, str]]] = answer.get("outputs", {}).get("generations") or {}
    return deployed
