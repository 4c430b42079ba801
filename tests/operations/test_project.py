from pathlib import Path

import pytest

from operations.project import Project, without_real, without_sandbox

NEUTRAL = {"PATH": "/bin", "HOME": "/home/ops", "LANG": "C.UTF-8", "TERM": "xterm", "SSL_CERT_FILE": "/etc/ca.pem"}


@pytest.mark.parametrize(
    "name",
    [
        "LINODE_TOKEN",
        "LINODE_URL",
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_BASE_URL",
        "CF_API_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "PULUMI_ACCESS_TOKEN",
        "PULUMI_BACKEND_URL",
        "PULUMI_CONFIG_PASSPHRASE",
        "PULUMI_HOME",
        "PULUMI_STACK",
    ],
)
def test_a_sandbox_run_does_not_see_what_leads_to_real_accounts(name: str) -> None:
    assert without_real({**NEUTRAL, name: "real"}) == NEUTRAL


@pytest.mark.parametrize(
    "name",
    [
        "PULUMI_DEBUG_PROVIDERS",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
        "LINODE_URL",
        "CLOUDFLARE_BASE_URL",
    ],
)
def test_a_real_run_does_not_see_what_leads_to_a_sandbox(name: str) -> None:
    kept = {**NEUTRAL, "PULUMI_BACKEND_URL": "s3://state", "AWS_PROFILE": "state"}
    assert without_sandbox({**kept, name: "sandbox"}) == kept


@pytest.mark.parametrize(("sandbox", "task"), [(True, "./inv up test --sandbox"), (False, "./inv up test")])
def test_the_task_named_in_a_message_works_in_the_same_place(sandbox: bool, task: str) -> None:
    project = Project(Path("/p"), Path("/p/.sandbox"), "test", Path("/bin/pulumi"), {}, sandbox)
    assert project.task("up") == task
