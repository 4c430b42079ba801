"""The one reader of configuration: `platform.yaml`, laid over by a stack file, checked whole.

`Pulumi.<stack>.yaml` holds the stack's differences as one object, `chat-tonic:stack`, and beside it the inputs that
no file can share: account ids, certificates and secrets. Mappings are laid over key by key; anything else replaces.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from components import document, reference, rules, standby
from components.topology import Stack

__all__ = [
    "PLATFORM_FILE",
    "PROJECT",
    "STACK_KEY",
    "TEST_ENVIRONMENT",
    "ConfigurationError",
    "Input",
    "Problem",
    "Stack",
    "check_step",
    "databases",
    "declared",
    "differences",
    "generations",
    "hosts",
    "lay_over",
    "load",
    "missing_inputs",
    "refuse_placeholders",
    "refuse_wrong_inputs",
    "required_inputs",
    "resolve",
    "serving",
    "stack_file",
    "stack_names",
    "test_environments",
]

PROJECT = "chat-tonic"
PLATFORM_FILE = "platform.yaml"
STACK_KEY = f"{PROJECT}:stack"
# What only a stack file can say: where one of these is missing, it is missing there.
_OF_THE_STACK = frozenset(
    {
        "label",
        "jurisdiction",
        "region",
        "zone",
        "admin_sources",
        "alarms",
        "lifetime",
        "environments",
        "failover",
        "standby",
        "voice",
    }
)
STACK_FILE = re.compile(r"Pulumi\.([A-Za-z0-9._-]+)\.yaml")
TEST_ENVIRONMENT = "env-"
"""What the names of test environments' stacks begin with: their files are made by `env.up`, and not committed."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the file, the key in it (empty for the file itself), and what to write instead."""

    file: str
    key: str
    what: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.file}: {self.key}: {self.what}" if self.key else f"{self.file}: {self.what}"


class ConfigurationError(Exception):
    """The configuration cannot be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Input:
    """A configuration key that a stack file must set by itself; `secret` ones are stored encrypted.

    `form` is a pattern that the whole value matches.
    """

    key: str
    secret: bool
    purpose: str
    form: str = r"\S+"

    @property
    def of_lines(self) -> bool:
        """Whether its value has several lines, which a prompt does not take."""
        return r"\n" in self.form

    def check(self, value: str) -> str:
        """Return the value.

        Raises:
            ValueError: it has not the form of what it is for; the value is not repeated.
        """
        if not re.fullmatch(self.form, value.strip()):
            raise ValueError(f"{self.key}: its value is no {self.purpose}; set it again")
        return value


_CERTIFICATES = r"(-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\s*)+"
_PRIVATE_KEY = r"-----BEGIN (EC |RSA )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END (EC |RSA )?PRIVATE KEY-----"
_OPENSSH_KEY = r"-----BEGIN OPENSSH PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END OPENSSH PRIVATE KEY-----"
_RELAY = r"smtps?://[^\s:@/]+:[^\s@/]+@[^\s:@/]+:[0-9]{1,5}"
_PUBLIC_KEYS = r"((ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\n]*)?(\n+|$))+"


def stack_file(stack: str) -> str:
    """Return the name of a stack's file."""
    return f"Pulumi.{stack}.yaml"


def stack_names(root: Path) -> list[str]:
    """Return the stacks that have a committed file in the folder, sorted."""
    return [name for name in _names(root) if not name.startswith(TEST_ENVIRONMENT)]


def test_environments(root: Path) -> list[str]:
    """Return the stacks of the test environments that have a file in the folder, sorted."""
    return [name for name in _names(root) if name.startswith(TEST_ENVIRONMENT)]


def _names(root: Path) -> list[str]:
    return sorted(m[1] for path in root.glob("Pulumi.*.yaml") if (m := STACK_FILE.fullmatch(path.name)))


def load(root: Path, stack: str) -> Stack:
    """Read a stack's configuration from the files in a folder.

    Raises:
        ConfigurationError: a file is missing or unreadable, or anything in either is wrong.
    """
    config = _stack_config(root, stack)
    return resolve(root, stack, config.get(STACK_KEY))


def differences(root: Path, stack: str) -> dict[str, Any]:
    """Return what a stack's file says that it differs in, as it stands there.

    Raises:
        ConfigurationError: the file is missing or unreadable.
    """
    return dict(_stack_config(root, stack).get(STACK_KEY) or {})


def resolve(root: Path, stack: str, differences: object) -> Stack:
    """Lay a stack's differences over `platform.yaml` in a folder, and check the result with the other stacks there.

    Of a standby, what its mode keeps is returned; what it is when it serves, `declared` returns.

    Raises:
        ConfigurationError: anything is wrong.
    """
    return standby.sized(declared(root, stack, differences))


def declared(root: Path, stack: str, differences: object) -> Stack:
    """Return a stack as `resolve` does, in its full size whatever the mode of a standby.

    Raises:
        ConfigurationError: anything is wrong.
    """
    overlay = _Overlay(stack, _read(root, PLATFORM_FILE), differences)
    settings = overlay.stack()
    others: dict[str, Stack] = {}
    for name in _names(root):
        if name != stack:
            try:
                others[name] = _Overlay(name, overlay.platform, _stack_config(root, name).get(STACK_KEY)).stack()
            except ConfigurationError:
                continue  # its own problem, reported when it is that stack's turn
    _refuse(overlay.problem(key, what) for key, what in rules.stacks_fit_together(stack, settings, others))
    peer, known = settings.parity.peer, stack_names(root)
    if peer and peer not in known:
        what = f"there is no stack '{peer}'; {reference.nearest(peer, known)}"
        _refuse([overlay.problem(("parity", "peer"), what)])
    return settings


def lay_over(below: Any, above: Any) -> Any:
    """Return a value with another one laid over it: mappings key by key, anything else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: lay_over(below.get(key), value) for key, value in above.items()}}
    return above


def required_inputs(stack: Stack) -> tuple[Input, ...]:
    """Return what a stack's file must set besides its differences, in the order in which people get them."""
    always = [
        Input("linode:token", True, "Linode token of the platform's account"),
        Input(
            f"{PROJECT}:authorizedKeys",
            False,
            "public SSH keys of those who may log in, one a line",
            _PUBLIC_KEYS,
        ),
        Input(f"{PROJECT}:registryPassword", True, "password of the container registry"),
        Input(f"{PROJECT}:originCertificate", False, "certificate that the servers present, PEM", _CERTIFICATES),
        Input(f"{PROJECT}:originKey", True, "private key of that certificate, PEM", _PRIVATE_KEY),
        Input(
            f"{PROJECT}:pullCa",
            False,
            "authority of the client certificates that the servers accept, PEM",
            _CERTIFICATES,
        ),
    ]
    if stack.copies is not None:
        always += [
            Input(f"{PROJECT}:copiesToken", True, "Linode token of the copies account"),
            Input(f"{PROJECT}:copiesKey", True, "key that encrypts the copies of the databases"),
        ]
    if stack.alarms is not None:
        purpose = "SMTP relay that sends the servers' alarms, smtps://user:password@host:port"
        always.append(Input(f"{PROJECT}:smtp", True, purpose, _RELAY))
    if stack.zone is not None:
        # A standby asks Cloudflare for its networks only, which any token may.
        purpose = "for the zone and its account" if stack.has_front else "that is valid, whatever it may"
        always.append(Input("cloudflare:apiToken", True, f"Cloudflare token {purpose}"))
    if stack.has_front:
        always += [
            Input(f"{PROJECT}:cloudflareAccountId", False, "id of the Cloudflare account", r"[0-9a-f]{32}"),
            Input(f"{PROJECT}:cloudflareZoneId", False, f"id of the zone {stack.zone}", r"[0-9a-f]{32}"),
            Input(
                f"{PROJECT}:pullCertificate",
                False,
                "client certificate that Cloudflare presents, PEM",
                _CERTIFICATES,
            ),
            Input(f"{PROJECT}:pullKey", True, "private key of that certificate, PEM", _PRIVATE_KEY),
        ]
    # A standby that has no ops server yet gets one when it has to serve, and nobody is to look for a key then.
    owners = (*stack.environments, *(["ops"] if stack.ops or stack.standby else []))
    always += [
        Input(f"{PROJECT}:hostKey-{owner}", True, f"SSH host key of {owner}, OpenSSH private key", _OPENSSH_KEY)
        for owner in owners
    ]
    return tuple(always)


def missing_inputs(root: Path, stack: str, settings: Stack) -> tuple[Input, ...]:
    """Return the inputs that a stack's file does not set.

    Raises:
        ConfigurationError: the stack's file is missing or unreadable.
    """
    config = _stack_config(root, stack)
    return tuple(each for each in required_inputs(settings) if config.get(each.key) in (None, ""))


def refuse_wrong_inputs(root: Path, stack: str, settings: Stack) -> None:
    """Refuse inputs that a stack's file sets to what they are not for, and secrets that stand in clear.

    Raises:
        ConfigurationError: there are any, or the stack's file is missing or unreadable.
    """
    config = _stack_config(root, stack)
    present = [each for each in required_inputs(settings) if config.get(each.key) not in (None, "")]
    _refuse(Problem(stack_file(stack), each.key, what) for each in present for what in _wrong(each, config[each.key]))


def _wrong(needed: Input, value: object) -> Iterator[str]:
    if needed.secret:
        if not _is_encrypted(value):
            yield "it is a secret and stands in clear; set it again with --secret"
    elif not re.fullmatch(needed.form, str(value).strip()):
        yield f"it is no {needed.purpose}; set it again"


def refuse_placeholders(root: Path, stack: str, settings: Stack) -> None:
    """Refuse values that only stand for real ones: names and networks reserved for documentation, zero digests.

    The committed files hold such values, so that everything runs on the sandbox; a real run needs real ones.

    Raises:
        ConfigurationError: there are any.
    """
    overlay = _Overlay(stack, _read(root, PLATFORM_FILE), _stack_config(root, stack).get(STACK_KEY))
    _refuse(overlay.problem(key, what) for key, what in rules.placeholders(settings))


def check_step(stack: str, settings: Stack, deployed: Mapping[str, Any]) -> None:
    """Refuse a step from what runs to what is wanted that would leave no proved servers, or none of the data.

    `deployed` are the stack's outputs, of which `generations`, `databases` and `failover` are read; empty before the
    first update.

    Raises:
        ConfigurationError: a group, or an environment's databases, add and remove generations at once; a running
            one's image changed; a database is to serve that does not run yet, or one to go that serves; or the file is
            from before a move, and would take its traffic back without its data.
    """
    _refuse(
        Problem(stack_file(stack), f"{STACK_KEY}.failover.version", what)
        for what in _move_problems(stack, deployed.get("failover") or {}, serving(stack, settings) or {})
    )
    running, wanted = deployed.get("generations") or {}, generations(settings)
    _refuse(
        Problem(stack_file(stack), f"{STACK_KEY}.environments.{environment}.groups.{role}.generations", what)
        for environment, _, role, _ in settings.groups()
        if (before := running.get(environment, {}).get(role))
        for what in _step_problems(before, wanted[environment][role])
    )
    there, databases_wanted = deployed.get("databases") or {}, databases(settings)
    _refuse(
        Problem(stack_file(stack), f"{STACK_KEY}.environments.{environment}.database.{key}", what)
        for environment, after in databases_wanted.items()
        if (had := there.get(environment))
        for key, what in _database_problems(had, after)
    )


def serving(stack: str, settings: Stack) -> dict[str, Any] | None:
    """Return which site serves the stateful names, and the version of that; the stack's output `failover`."""
    if settings.failover is None:
        return None
    return {"active": settings.active(stack), "version": settings.failover.version}


def _move_problems(stack: str, running: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong: every move has a version, one higher than the last."""
    if not running:
        return
    is_newer = wanted["version"] > running["version"] if wanted else running["active"] == stack
    if not is_newer and wanted != running:
        said = f"version {wanted['version']}, by which {wanted['active']} serves" if wanted else "the section is gone"
        yield (
            f"{said}; what runs is version {running['version']:.0f}, by which {running['active']} serves the stateful "
            "names: `git pull` probably has the newer files, of all sites. Names move by `./inv failover.engage` and "
            "`failback`"
        )


def generations(settings: Stack) -> dict[str, dict[str, dict[str, str]]]:
    """Return what runs: image by generation, by role, by environment; the stack's output of this name."""
    running: dict[str, dict[str, dict[str, str]]] = {}
    for environment, _, role, group in settings.groups():
        images = {str(number): settings.generations[str(number)] for number in group.generations}
        running.setdefault(environment, {})[role] = images
    return running


def databases(settings: Stack) -> dict[str, dict[str, Any]]:
    """Return by environment the generations of its database and which of them serves; the output of this name."""
    return {
        name: {"generations": list(environment.database.generations), "serving": environment.database.serves}
        for name, environment in settings.environments.items()
        if environment.database.generations
    }


def hosts(settings: Stack) -> dict[str, dict[str, str]]:
    """Return the public host names, by role, by environment; what publishes nothing is not there."""
    public: dict[str, dict[str, str]] = {}
    for environment, _, role, _ in settings.groups():
        if host := settings.host(environment, role):
            public.setdefault(environment, {})[role] = host
    return public


def _database_problems(running: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    before, after = set(map(int, running["generations"])), set(map(int, wanted["generations"]))  # the engine's numbers
    if (added := after - before) and (removed := before - after):
        numbers = [", ".join(map(str, sorted(some))) for some in (added, removed)]
        yield (
            "generations",
            f"adds {numbers[0]} and removes {numbers[1]} in one step; add the new one first, and remove the old when "
            "the servers use the new (docs/restores.md)",
        )
    if wanted["serving"] in added:
        yield "serving", f"generation {wanted['serving']} is not there yet; make it first, and let it serve then"
    if running["serving"] not in after:
        yield "generations", f"generation {int(running['serving'])} serves, and can't go; let another serve first"


def _step_problems(running: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    added, removed = wanted.keys() - running.keys(), running.keys() - wanted.keys()
    if added and removed:
        yield (
            f"adds {', '.join(sorted(added))} and removes {', '.join(sorted(removed))} in one step; run the new beside "
            "the old first, and remove the old in a second update; ./inv servers.roll does both"
        )
    for number in sorted(wanted.keys() & running.keys()):
        if wanted[number] != running[number]:
            yield (
                f"generation {number} runs {running[number]} and cannot become {wanted[number]}; "
                "put the new image into a new generation"
            )


def _stack_config(root: Path, stack: str) -> dict[str, Any]:
    name = stack_file(stack)
    if not (root / name).is_file():
        known = _names(root)
        raise ConfigurationError(
            (Problem(name, "", f"there is no stack '{stack}'; {reference.nearest(stack, known)}"),)
        ) from None
    config = _read(root, name).get("config") or {}
    if not isinstance(config, dict):
        raise ConfigurationError((Problem(name, "config", "it holds no keys; write keys with values"),))
    return config


def _read(root: Path, name: str) -> dict[str, Any]:
    try:
        return document.read(root / name)
    except document.DocumentError as error:
        raise ConfigurationError((Problem(name, "", str(error)),)) from None


def _is_encrypted(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"secure"}


def _refuse(problems: Iterable[Problem]) -> None:
    if found := tuple(dict.fromkeys(problems)):
        raise ConfigurationError(found)


class _Overlay:
    """One stack file's differences laid over the platform file, remembering which file says what."""

    def __init__(self, stack: str, platform: dict[str, Any], differences: object) -> None:
        self.file = stack_file(stack)
        self.platform = platform
        if not isinstance(differences, dict):
            what = "is missing" if differences is None else "holds no keys"
            raise ConfigurationError(
                (Problem(self.file, f"config.{STACK_KEY}", f"{what}; write the stack's differences there"),)
            )
        self.differences: dict[str, Any] = differences

    def problem(self, key: tuple[str, ...], what: str) -> Problem:
        """Name the file that a key's value comes from, or would be written to, and the key as it stands there."""
        of_the_stack = key[0] in _OF_THE_STACK and (len(key) == 1 or not _has(self.platform, key[:-1]))
        if _has(self.differences, key) or of_the_stack:
            return Problem(self.file, ".".join((STACK_KEY, *key)), what)
        return Problem(PLATFORM_FILE, ".".join(key), what)

    def stack(self) -> Stack:
        """Return the stack.

        Raises:
            ConfigurationError: with everything that is wrong with it.
        """
        problems = list(self._unknown_environments())
        merged = self._merged()
        broken: set[tuple[str, ...]] = set()
        try:
            settings = Stack.model_validate_json(_json(merged))
        except ValidationError as error:
            for each in error.errors(include_url=False, include_context=False):
                key = tuple(str(part) for part in each["loc"] if part != "[key]")
                problems.append(self.problem(key, _explain(each["type"], each["msg"], each["input"], key)))
                broken.add(key)
            settings = _valid_part(merged, broken)
        for rule in rules.STACK_RULES:
            try:
                problems += [self.problem(key, what) for key, what in rule(settings)]
            except AttributeError as error:
                if error.obj is not settings:
                    raise
        _refuse(problems)
        return settings

    def _unknown_environments(self) -> Iterator[Problem]:
        known = _section(self.platform, "environments")
        for name in _section(self.differences, "environments"):
            if name not in known:
                what = f"unknown environment '{name}'; {reference.nearest(str(name), known)}"
                yield Problem(self.file, f"{STACK_KEY}.environments.{name}", what)

    def _merged(self) -> dict[str, Any]:
        """Lay over; of the platform's environments a stack has those that it names."""
        merged: dict[str, Any] = lay_over({**self.platform, "environments": None}, self.differences)
        if named := _section(self.differences, "environments"):
            known = _section(self.platform, "environments")
            merged["environments"] = {
                name: lay_over(known[name], {} if value is None else value)
                for name, value in named.items()
                if name in known
            }
        if merged["environments"] in (None, {}):
            del merged["environments"]
        return merged


def _section(document_: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = document_.get(name)
    return section if isinstance(section, dict) else {}


def _has(document_: object, key: tuple[str, ...]) -> bool:
    for part in key:
        if not isinstance(document_, dict) or part not in document_:
            return False
        document_ = document_[part]
    return True


def _json(value: object) -> str:
    # In JSON, strict validation keeps the types that YAML found and still takes a list for a tuple.
    return json.dumps(value)


def _valid_part(merged: Mapping[str, Any], broken: set[tuple[str, ...]]) -> Stack:
    """Return a stack that has only the sections, and the environments, in which nothing is broken."""
    environments = {
        name: value
        for name, value in _section(merged, "environments").items()
        if not any(key[:2] == ("environments", name) for key in broken)
    }
    valid: dict[str, Any] = {}
    for section, field in Stack.model_fields.items():
        if section == "environments" and environments:
            value = environments
        elif section not in {key[0] for key in broken}:
            value = merged.get(section, field.default)
        else:
            continue
        valid[section] = TypeAdapter[Any](Annotated[field.annotation, field]).validate_json(_json(value))  # type: ignore[arg-type]
    part = Stack.model_construct(**valid)
    for section in Stack.model_fields.keys() - valid.keys():
        part.__dict__.pop(section, None)
    return part


def _explain(kind: str, message: str, value: object, key: tuple[str, ...]) -> str:
    described = reference.describe(key)
    match kind:
        case "extra_forbidden":
            return f"unknown key; {reference.nearest(key[-1], described.siblings)}"
        case "missing":
            return f"is missing: {described.text}"
    what = message.removeprefix("Value error, ")
    got = "" if kind == "value_error" or isinstance(value, dict | list) else f", and it is {json.dumps(value)}"
    return f"{what[0].lower()}{what[1:]}{got} ({described.text})"
