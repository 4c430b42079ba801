"""Whoever has the official program uses it in the same checkout, without our tasks."""

import os
import subprocess
from pathlib import Path

import pytest

from components import settings
from operations import engine, throwaway
from sandbox import machines, process
from tests.engine.checkout import make


def test_plain_pulumi_previews_brings_up_and_destroys_in_the_checkout(tmp_path: Path) -> None:
    checkout = make(tmp_path / "checkout", "test")
    clouds = tmp_path / "clouds"
    running = process.start(clouds)
    (tmp_path / "state").mkdir()
    found = engine.ensure(lambda _: None)
    environment = {
        **found.environment,
        "HOME": os.environ["HOME"],
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "of this test",
        "PULUMI_DEBUG_PROVIDERS": running.providers,
    }

    def pulumi(*arguments: str, text: str = "") -> str:
        command = [str(found.pulumi), *arguments, "--non-interactive", "--stack", "test"]
        done = subprocess.run(
            command, cwd=checkout.root, env=environment, input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        stack = settings.load(checkout.root, "test")
        needed = {each.key: each for each in settings.required_inputs(stack)}
        pulumi("stack", "init")
        with pytest.raises(AssertionError, match="Missing required configuration variable 'linode:token'"):
            pulumi("preview")
        made = throwaway.renew(stack, process.tokens(clouds), needed, kept={}, login=machines.login(clouds))
        for key, value in made.items():
            pulumi("config", "set", "--secret" if needed[key].secret else "--plaintext", key, text=value)
        assert settings.missing_inputs(checkout.root, "test", stack) == ()
        assert "create" in pulumi("preview")
        pulumi("up", "--yes")
        assert "✅ chat-tonic@v" in pulumi("preview", "--expect-no-changes", "--policy-pack", "policies/pack")
        pulumi("state", "unprotect", "--all", "--yes")
        pulumi("destroy", "--yes")
    finally:
        process.stop(clouds)
