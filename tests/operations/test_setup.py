"""First use: on real accounts with the real engine, before hosts on the loopback; and on the sandbox."""

import json
import subprocess
import urllib.request
from collections.abc import Mapping

import pytest
import yaml
from cryptography import x509

from components import settings
from operations import credentials, sandbox, setup
from sandbox import process
from tests.configuration import ROOT, change_stack
from tests.operations.checkout import Checkout
from tests.operations.real_clouds import ZONE, RealClouds
from tests.operations.terminal import CTRL_C, ENTER, Terminal

PASSPHRASE = "the passphrase that nobody sees"  # noqa: S105
RELAY = "smtps://nobody:relay-password-of-nobody@smtp.chat-tonic.com:465"
REGISTRY_PASSWORD = "registry-password-of-nobody"  # noqa: S105
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrJ8s0h5gJ6vF1mC2m7bJcQ8fGk3Xz1m0n5y1Yd0a1b sysop@chat-tonic.com"
MISSING = {
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "CHAT_TONIC_ZONE",
    "CHAT_TONIC_BOARD",
    "CHAT_TONIC_ON_CALL",
    "CHAT_TONIC_REGISTRY_HOST",
    "LINODE_TOKEN",
    "CHAT_TONIC_AUTHORIZED_KEYS",
    "CHAT_TONIC_REGISTRY_PASSWORD",
    "CHAT_TONIC_SMTP",
    "CHAT_TONIC_COPIES_TOKEN",
    "CLOUDFLARE_API_TOKEN",
}


@pytest.fixture
def fresh(checkout: Checkout, hosts: RealClouds) -> Checkout:
    """A checkout as it is cloned, with the real engine, led to hosts on the loopback."""
    checkout.use_real_engine()
    checkout.environment |= {**hosts.environment, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    (checkout.folder / "state").mkdir()
    return checkout


def values(checkout: Checkout, hosts: RealClouds) -> dict[str, str]:
    """Return every value that is missing, by its variable."""
    return {
        "PULUMI_BACKEND_URL": (checkout.folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "CHAT_TONIC_ZONE": ZONE,
        "CHAT_TONIC_BOARD": "board@chat-tonic.com",
        "CHAT_TONIC_ON_CALL": "call@chat-tonic.com",
        "CHAT_TONIC_REGISTRY_HOST": "registry.chat-tonic.com",
        "LINODE_TOKEN": hosts.tokens.linode_platform,
        "CHAT_TONIC_AUTHORIZED_KEYS": PUBLIC_KEY,
        "CHAT_TONIC_REGISTRY_PASSWORD": REGISTRY_PASSWORD,
        "CHAT_TONIC_SMTP": RELAY,
        "CHAT_TONIC_COPIES_TOKEN": hosts.tokens.linode_copies,
        "CLOUDFLARE_API_TOKEN": hosts.tokens.cloudflare,
    }


def secrets_of(hosts: RealClouds) -> list[str]:
    tokens = hosts.tokens
    return [PASSPHRASE, REGISTRY_PASSWORD, RELAY, tokens.linode_platform, tokens.linode_copies, tokens.cloudflare]


def config_of(checkout: Checkout, stack: str) -> Mapping[str, object]:
    content = yaml.safe_load((checkout.root / f"Pulumi.{stack}.yaml").read_text())
    return dict(content["config"])


def sets(checkout: Checkout) -> list[str]:
    """Return the keys that the engine was told to set, in order."""
    return [call.arguments[6] for call in checkout.calls() if call.arguments[:2] == ["config", "set"]]


def require_no_secret_in_clear(checkout: Checkout, hosts: RealClouds) -> None:
    for path in checkout.folder.rglob("*"):
        if path.is_file() and path.name != "calls":  # it notes the environment, which gives the passphrase
            content = path.read_bytes()
            assert not [secret for secret in secrets_of(hosts) if secret.encode() in content], path
            assert path.suffix in {".crt", ".pem"} or b"PRIVATE KEY" not in content, path
    for call in checkout.calls():
        arguments = " ".join(call.arguments)
        assert not [secret for secret in secrets_of(hosts) if secret in arguments]
        assert not [s for s in secrets_of(hosts)[1:] if s in call.environment.values()]


def test_without_a_terminal_everything_that_is_missing_is_named_with_its_variable(checkout: Checkout) -> None:
    ended = checkout.run("setup", "us-central")
    assert ended.code == 2
    first, *others = ended.errors.splitlines()
    assert first.startswith("these are missing, and there is no terminal to ask on")
    assert {line.strip().partition(":")[0] for line in others} == MISSING
    assert checkout.calls() == []


def test_a_stack_with_values_in_the_environment_is_set_up_and_again_there_is_nothing_to_do(
    fresh: Checkout, hosts: RealClouds
) -> None:
    comments = [line for line in (fresh.root / "platform.yaml").read_text().splitlines() if "#" in line]
    fresh.environment |= values(fresh, hosts)
    ended = fresh.run("setup", "us-central")
    assert ended.code == 0, ended.output + ended.errors
    assert "FAILS" not in ended.output
    assert "no release is set" in ended.errors
    loaded = settings.load(fresh.root, "us-central")
    assert (loaded.zone, loaded.registry.host, loaded.registry.user) == (ZONE, "registry.chat-tonic.com", "deploy")
    assert comments == [line for line in (fresh.root / "platform.yaml").read_text().splitlines() if "#" in line]
    assert settings.missing_inputs(fresh.root, "us-central", loaded) == ()
    settings.refuse_wrong_inputs(fresh.root, "us-central", loaded)
    config = config_of(fresh, "us-central")
    assert config["chat-tonic:cloudflareZoneId"] == hosts.tokens.zone_ids[ZONE]
    assert config["chat-tonic:cloudflareAccountId"] == hosts.tokens.cloudflare_account_id
    certificate = x509.load_pem_x509_certificate(str(config["chat-tonic:originCertificate"]).encode())
    assert "Cloudflare Origin" in certificate.issuer.rfc4514_string()
    assert str(config[credentials.PULL_CA]).endswith("-----\n")  # OpenSSH reads no key without its last line's end
    assert yaml.safe_load((fresh.root / "Pulumi.yaml").read_text())["backend"] == {
        "url": (fresh.folder / "state").as_uri()
    }
    require_no_secret_in_clear(fresh, hosts)
    assert not [secret for secret in secrets_of(hosts) if secret in ended.output + ended.errors]
    asked = "pulumi config get chat-tonic:copiesKey --stack us-central"
    assert f"`{asked}` shows it" in ended.errors
    pulumi = [str(fresh.folder / "bin" / "pulumi"), *asked.split()[1:]]
    key = subprocess.run(
        pulumi, cwd=fresh.root, env=fresh.environment, capture_output=True, text=True, check=True
    ).stdout
    assert len(key := key.strip()) == 43
    assert key not in ended.output + ended.errors

    made = len(sets(fresh))
    assert made == len(settings.required_inputs(loaded))
    before = (fresh.root / "Pulumi.us-central.yaml").read_text()
    for name in MISSING - {"PULUMI_CONFIG_PASSPHRASE"}:
        del fresh.environment[name]
    assert fresh.run("setup", "us-central").code == 0
    assert len(sets(fresh)) == made
    assert (fresh.root / "Pulumi.us-central.yaml").read_text() == before

    # Its standby knows what Cloudflare presents to both, and nothing else of the front.
    fresh.environment |= values(fresh, hosts)
    change_stack(fresh.root, "us-standby", {"zone": ZONE})
    ended = fresh.run("setup", "us-standby")
    assert ended.code == 0, ended.output + ended.errors
    of_standby = config_of(fresh, "us-standby")
    assert of_standby[credentials.PULL_CA] == config[credentials.PULL_CA]
    assert not {credentials.PULL_KEY, "chat-tonic:cloudflareZoneId"} & of_standby.keys()
    assert settings.missing_inputs(fresh.root, "us-standby", settings.load(fresh.root, "us-standby")) == ()


def test_the_token_of_a_standby_is_asked_for_with_no_more_scopes_than_its_origin_certificate_takes() -> None:
    def hint(stack: str) -> str:
        asked = setup._Setup(ROOT, stack, {}).questions()
        return next(each.hint for each in asked if each.variable == "CLOUDFLARE_API_TOKEN")

    assert hint("us-standby") == "Cloudflare: make a token with Zone / SSL and Certificates: Edit."
    assert "Zone / DNS: Edit" in hint("us-central")


def test_somebody_at_a_terminal_is_asked_can_stop_and_goes_on(fresh: Checkout, hosts: RealClouds) -> None:
    def at_a_terminal() -> Terminal:
        return Terminal(fresh.command("setup", "test"), fresh.root, fresh.environment)

    first = at_a_terminal()
    for asked, typed in (
        ("URL of the state backend: ", (fresh.folder / "state").as_uri()),
        ("New passphrase of the stack's secrets: ", PASSPHRASE),
        ("The same again: ", "a slip"),
        ("New passphrase of the stack's secrets: ", PASSPHRASE),
        ("The same again: ", PASSPHRASE),
        ("Host of the container registry: ", "registry.chat-tonic.example"),
        ("Host of the container registry: ", "registry.chat-tonic.com"),
        ("User of the container registry [deploy]: ", ""),
        ("Linode token of the platform's account: ", hosts.tokens.linode_platform),
    ):
        first.wait_for(asked)
        first.type(typed + ENTER)
    assert "that was something else" in first.shown
    assert "'registry.chat-tonic.example' is a name reserved for documentation" in first.shown
    assert "make a token with account:read_only, linodes:read_write" in first.shown
    first.wait_for("(name the file): ")
    assert "linode:token is set" in first.shown
    first.type(CTRL_C)
    assert first.end() == 1
    assert "what was written stays. `./inv setup test` goes on from there." in first.shown
    assert settings.load(fresh.root, "test").registry.host == "registry.chat-tonic.com"

    keys = fresh.folder / "keys.pub"
    keys.write_text(PUBLIC_KEY)
    second = at_a_terminal()
    for asked, typed in (
        ("Passphrase of the stack's secrets: ", PASSPHRASE),
        ("(name the file): ", "/nowhere/keys"),
        ("(name the file): ", str(keys)),
        ("Password of the container registry: ", REGISTRY_PASSWORD),
    ):
        second.wait_for(asked)
        second.type(typed + ENTER)
    assert second.end() == 0, second.shown
    assert "Linode token" not in second.shown
    assert "/nowhere/keys can't be read" in second.shown
    assert not [secret for secret in secrets_of(hosts) if secret in first.shown + second.shown]
    assert settings.missing_inputs(fresh.root, "test", settings.load(fresh.root, "test")) == ()
    require_no_secret_in_clear(fresh, hosts)


def test_a_run_stopped_while_it_writes_goes_on_and_a_family_that_is_not_whole_is_made_anew(
    fresh: Checkout, hosts: RealClouds
) -> None:
    fresh.environment |= {**values(fresh, hosts), "CHAT_TONIC_REGISTRY_USER": "deploy"}
    stopped = Terminal(fresh.command("setup", "test"), fresh.root, fresh.environment)
    stopped.wait_for("linode:token is set")
    stopped.type(CTRL_C)
    assert stopped.end() == 1
    assert "Traceback" not in stopped.shown
    assert "`./inv setup test` goes on from there." in stopped.shown
    assert isinstance(config_of(fresh, "test")["linode:token"], dict)
    assert fresh.run("setup", "test").code == 0
    assert sets(fresh).count("linode:token") == 1
    assert {path.name for path in fresh.root.glob(".*")} <= {".sandbox"}
    before = config_of(fresh, "test")
    path = fresh.root / "Pulumi.test.yaml"
    content = yaml.safe_load(path.read_text())
    del content["config"][credentials.ORIGIN_CERTIFICATE]
    path.write_text(yaml.safe_dump(content))
    so_far = len(sets(fresh))
    assert fresh.run("setup", "test").code == 0
    assert sets(fresh)[so_far:] == [credentials.ORIGIN_KEY, credentials.ORIGIN_CERTIFICATE]
    assert config_of(fresh, "test")[credentials.PULL_CA] == before[credentials.PULL_CA]


def test_a_state_that_cannot_be_written_fails_its_check_of_a_stack_on_the_official_hosts(
    checkout: Checkout, hosts: RealClouds
) -> None:
    checkout.make_real("test")
    checkout.reach(hosts, "test")
    checkout.use_idle_engine(stack_init=(255, ""))
    hosts.requests.clear()
    ended = checkout.run("setup", "test")
    assert ended.code == 1, ended.errors
    assert hosts.asked() == {"api.linode.com"}
    failed = {check: found for check, found in results(ended.output).items() if found.startswith("FAILS")}
    assert failed.keys() == {"state"}
    assert "s3://chat-tonic-state can't be written" in failed["state"]
    assert "see to its address and its access keys" in failed["state"]


def test_a_wrong_value_in_the_environment_is_refused_by_name_and_nothing_of_it_is_written(
    fresh: Checkout, hosts: RealClouds
) -> None:
    given = values(fresh, hosts)
    fresh.environment |= {**given, "CHAT_TONIC_AUTHORIZED_KEYS": "rubbish"}
    ended = fresh.run("setup", "test")
    assert ended.code == 2
    assert "CHAT_TONIC_AUTHORIZED_KEYS: chat-tonic:authorizedKeys: its value is no public SSH keys" in ended.errors
    assert "chat-tonic:authorizedKeys" not in config_of(fresh, "test")


@pytest.fixture(scope="module")
def ready(sandbox_checkout: Checkout) -> Checkout:
    """A checkout that was set up on its sandbox."""
    ended = sandbox_checkout.run("setup", "us-central", "--sandbox")
    assert ended.code == 0, ended.output + ended.errors
    assert "FAILS" not in ended.output
    return sandbox_checkout


def restricted(checkout: Checkout, cloud: str, account: str, scopes: list[str]) -> str:
    """Return a token that opens an account for some things only."""
    folder = checkout.root / sandbox.FOLDER
    running = process.status(folder)
    assert running
    request = urllib.request.Request(  # noqa: S310 - the sandbox's own address
        f"{running.control_url}/tokens",
        json.dumps({"cloud": cloud, "account": account, "scopes": scopes}).encode(),
        {"Authorization": f"Bearer {process.tokens(folder).control}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return str(json.load(answer)["token"])


def results(output: str) -> dict[str, str]:
    """Return by check what the table says, rows that go on put together."""
    rows: list[list[str]] = []
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if len(cells) == 4 and cells[2]:
            rows.append(cells[1:])
        elif len(cells) == 4 and rows:
            rows[-1] = [f"{above} {below}".strip() for above, below in zip(rows[-1], cells[1:], strict=True)]
    return {check: f"{said} {found}" for check, said, found in rows}


@pytest.mark.parametrize(
    ("key", "access", "check", "says"),
    [
        (
            "linode:token",
            ("linode", process.PLATFORM, ["account:read_only", "linodes:read_write", "firewall:read_write"]),
            "Linode, platform: scopes",
            "FAILS the token lacks nodebalancers:read_write, databases:read_write, events:read_only; make a token with",
        ),
        (
            "chat-tonic:copiesToken",
            ("linode", process.PLATFORM, ["*"]),
            "two accounts",
            "FAILS both tokens open one; set chat-tonic:copiesToken to a token of an account for copies alone",
        ),
        (
            "cloudflare:apiToken",
            ("cloudflare", process.CLOUDFLARE, ["Zone Read", "DNS Write", "Load Balancers Write"]),
            "load balancing",
            "FAILS Authentication error (10000); buy Load Balancing for the account",
        ),
    ],
)
def test_a_token_that_may_too_little_fails_its_check_and_one_for_pools_stops_an_update(
    ready: Checkout, key: str, access: tuple[str, str, list[str]], check: str, says: str
) -> None:
    path = ready.root / sandbox.FOLDER / "Pulumi.us-central.yaml"
    before = path.read_text()
    content = yaml.safe_load(before)
    content["config"][key] = restricted(ready, *access)
    path.write_text(yaml.safe_dump(content))
    try:
        ended = ready.run("setup", "us-central", "--sandbox")
        assert ended.code == 1, ended.errors
        assert results(ended.output)[check].startswith(says)
        if key == "cloudflare:apiToken":
            refused = ready.run("up", "us-central", "--sandbox", "--yes")
            assert refused.code == 2
            assert f"us-central: {check}: {says.removeprefix('FAILS ')}" in refused.errors
    finally:
        path.write_text(before)
