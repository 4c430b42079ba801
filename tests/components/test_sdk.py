"""The fast import gives the same classes as the plain one; an update of an SDK that breaks it fails here."""

import re
import subprocess
import sys

import pytest

from tests.configuration import ROOT

USED = sorted(
    {
        name
        for path in (ROOT / "components").glob("*.py")
        for name in re.findall(r"\b(linode|cloudflare)\.(\w+)", path.read_text())
        if "components.sdk" in path.read_text()
    }
)

COMPARE = """
import inspect, sys
used = [pair.split(".") for pair in sys.argv[2:]]
if sys.argv[1] == "plain":
    import pulumi_linode as linode, pulumi_cloudflare as cloudflare
else:
    from components.sdk import cloudflare, linode
packages = {"linode": linode, "cloudflare": cloudflare}
for package, name in used:
    found = getattr(packages[package], name)
    print(package, name, found.__module__, getattr(found, "pulumi_type", ""), inspect.signature(found))
"""


def names(way: str) -> list[str]:
    command = [sys.executable, "-c", COMPARE, way, *(".".join(pair) for pair in USED)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()


def test_every_name_that_the_components_use_is_the_plain_packages_own() -> None:
    assert len(USED) > 25
    assert names("fast") == names("plain")


@pytest.mark.parametrize("module", ["components.settings", "components.cost", "operations.stacks", "tasks"])
def test_a_task_imports_no_provider_sdk(module: str) -> None:
    code = f"import sys, {module}; print([m for m in sys.modules if m.startswith(('pulumi', 'grpc'))])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"


def test_the_program_imports_of_a_cloud_only_what_its_stack_makes() -> None:
    code = (
        "import sys, components.region; "
        "print([m for m in sys.modules if m.startswith(('pulumi_linode.', 'pulumi_cloudflare.'))])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"
