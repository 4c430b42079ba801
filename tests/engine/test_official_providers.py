"""A stack's whole life through the official provider plugins, against the sandbox's REST APIs."""

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from sandbox import process
from tests.configuration import ROOT
from tests.engine.checkout import make_small

PLUGINS = [f"resource-{name}-v{version(f'pulumi_{name}')}" for name in ("linode", "cloudflare")]
INSTALLED = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi", "plugins")
MISSING = [name for name in PLUGINS if not (INSTALLED / name).exists()]


@pytest.mark.official_providers
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; `pulumi plugin install` brings them")
def test_a_stack_comes_up_plans_nothing_further_and_goes_through_the_official_plugins(tmp_path: Path) -> None:
    checkout = make_small(tmp_path / "checkout")
    project = checkout.project()
    running = process.status(checkout.folder)
    assert running is not None
    ours = ("PULUMI_DEBUG_PROVIDERS", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION")
    environment = {name: value for name, value in project.environment.items() if name not in ours}
    # The Linode plugin adds the API's version itself; the Python client does not.
    environment |= {
        "LINODE_URL": running.linode_url.removesuffix("/v4"),
        "CLOUDFLARE_BASE_URL": running.cloudflare_url,
    }
    Path(environment["PULUMI_HOME"], "plugins").symlink_to(INSTALLED)

    def pulumi(*arguments: str) -> None:
        command = [str(project.pulumi), *arguments, "--stack", project.stack, "--non-interactive"]
        ended = subprocess.run(
            command, cwd=project.folder, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    try:
        pulumi("up", "--yes", "--skip-preview")
        checkout.assert_objects_are_resources()
        pulumi("preview", "--expect-no-changes")
        pulumi("state", "unprotect", "--all", "--yes")
        pulumi("destroy", "--yes", "--skip-preview")
        assert checkout.objects() == set()
    finally:
        process.stop(checkout.folder)


def test_the_workflow_installs_the_versions_that_are_pinned() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["official-providers"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    for name in ("linode", "cloudflare"):
        assert f"pulumi plugin install resource {name} {version(f'pulumi_{name}')}" in commands
