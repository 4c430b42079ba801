"""First use on real accounts: what a stack needs is asked for or made, written where it belongs, and checked.

What is set already is kept, so it can be repeated, and after an interruption it goes on. Secrets are encrypted before
they are written; the passphrase that does it is written nowhere.
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import cloudflare
import yaml

from components import settings
from components.settings import PROJECT, STACK_KEY, Input, Problem, Stack
from operations import (
    checks,
    clouds,
    credentials,
    edits,
    engine,
    inputs,
    mail,
    preflight,
    questions,
    runs,
    scopes,
    stacks,
)
from operations.console import say, show
from operations.errors import Failed, Refused
from operations.preflight import Result
from operations.project import Project, read_project_file, without_sandbox
from operations.questions import Question
from operations.sandbox import is_sandbox_backend

PROJECT_FILE = "Pulumi.yaml"
ACCOUNT_ID, ZONE_ID = f"{PROJECT}:cloudflareAccountId", f"{PROJECT}:cloudflareZoneId"
BACKEND = "PULUMI_BACKEND_URL"
ORIGIN_CERTIFICATE, ORIGIN_KEY = "CHAT_TONIC_ORIGIN_CERTIFICATE", "CHAT_TONIC_ORIGIN_KEY"
ORIGIN_DAYS: Final = 5475  # the longest that Cloudflare's authority gives, 15 years

# What only people know of a stack's inputs and topology, and the variable that gives it.
INPUTS: Mapping[str, str] = {
    "linode:token": "LINODE_TOKEN",
    f"{PROJECT}:copiesToken": "CHAT_TONIC_COPIES_TOKEN",
    "cloudflare:apiToken": "CLOUDFLARE_API_TOKEN",
    f"{PROJECT}:registryPassword": "CHAT_TONIC_REGISTRY_PASSWORD",
    f"{PROJECT}:smtp": mail.VARIABLE,
    f"{PROJECT}:authorizedKeys": "CHAT_TONIC_AUTHORIZED_KEYS",
}
TOPOLOGY: Mapping[str, tuple[str, str]] = {
    "zone": ("CHAT_TONIC_ZONE", "Cloudflare zone of the stack's host names"),
    "alarms.board": ("CHAT_TONIC_BOARD", "e-mail address of the support board"),
    "alarms.on_call": ("CHAT_TONIC_ON_CALL", "e-mail address of those on call"),
    "registry.host": ("CHAT_TONIC_REGISTRY_HOST", "host of the container registry"),
}
REGISTRY_USER = "CHAT_TONIC_REGISTRY_USER"
VARIABLES = frozenset(
    name + end
    for name in (*INPUTS.values(), *(name for name, _ in TOPOLOGY.values()), ORIGIN_CERTIFICATE, ORIGIN_KEY)
    for end in ("", questions.FILE)
)
"""The engine does not get these: what they hold is in the stack's file when it runs."""


def run(root: Path, wanted: str, *, on_sandbox: bool) -> int:
    """Set stacks up, show how the accounts are, and return 1 if any check fails, else 0.

    Raises:
        Refused: the configuration is wrong, or something is missing and nobody is there to ask.
        Failed: the engine, a cloud or the person stopped it.
    """
    chosen = stacks.select(root, wanted)
    if on_sandbox:
        projects = runs.for_sandbox(root, chosen)
    else:
        projects = _set_up(root, wanted, chosen)
        chosen = stacks.select(root, wanted)  # as it was written just now
    results = {each.stack: _results(each, chosen[each.stack]) for each in projects}
    show(preflight.table(results))
    if not on_sandbox:
        _say_placeholders(root, chosen)
        _say_what_to_keep(chosen)
    return 0 if all(each.well for found in results.values() for each in found) else 1


def _set_up(root: Path, wanted: str, chosen: Mapping[str, Stack]) -> list[Project]:
    environment = dict(os.environ)
    made = [_Setup(root, name, environment) for name in chosen]
    try:
        questions.require([each for setup in made for each in setup.questions()], environment)
        for each in made:
            each.fill_in()
    except (KeyboardInterrupt, Failed) as error:
        said = "" if isinstance(error, KeyboardInterrupt) else f"{error}\n"
        raise Failed(
            f"{said}Not finished; what was written stays. `./inv setup {wanted}` goes on from there."
        ) from None
    return [each.project for each in made]


@dataclass(frozen=True)
class _Setup:
    """One stack's; `environment` gives values, and holds the passphrase for as long as this runs."""

    root: Path
    name: str
    environment: dict[str, str]

    @cached_property
    def project(self) -> Project:
        """The stack's project; the stack is made in the backend if it is not there.

        Raises:
            Failed: the engine can't be had, or does not reach the backend.
        """
        found = engine.ensure(say)
        ours = {name: value for name, value in without_sandbox(self.environment).items() if name not in VARIABLES}
        made = Project(self.root, self.root, self.name, found.pulumi, {**ours, **found.environment}, sandbox=False)
        if engine.answer(made, "stack", "output", "--json")[0] == engine.STACK_NOT_FOUND:
            engine.ask(made, "stack", "init", "--no-select")
            say(f"{self.name}: made in the backend")
        return made

    def fill_in(self) -> None:
        """Ask for what is missing, then make what can be made; each value is written before the next is asked for."""
        questions.settle(self.questions(), self.environment)
        for keys, make in self._families():
            missing = {each.key for each in self._missing()}
            if missing.isdisjoint(keys):
                continue
            values = make()
            # Those that were missing come last: a family is whole only when all its values are of one making.
            for key in sorted(keys, key=missing.__contains__):
                self._set(key, values[key])

    def questions(self) -> list[Question]:
        """Return what only people know and is not set yet, in the order in which it is asked."""
        return [*self._of_state(), *self._of_topology(), *self._of_inputs()]

    def _of_state(self) -> Iterator[Question]:
        content = read_project_file(self.root)
        url = checks.backend_url(self.root, self.environment)
        if not (content.get("backend") or {}).get("url"):
            hint = (
                "The state of all stacks is kept in one place, as s3://bucket?endpoint=...&region=...: make it once, "
                "in a data center where no site is."
            )
            yield Question("URL of the state backend", BACKEND, self._put_backend, hint=hint, usual=url or "")
        intent = checks.Intent(self.root, self.name, self._stack(), self.environment)
        given = {checks.PASSPHRASE, checks.PASSPHRASE_FILE} & self.environment.keys()
        if checks.needs_passphrase(intent, url) and not given:
            is_new = "encryptionsalt" not in self._file()
            what = f"{'new ' if is_new else ''}passphrase of the stack's secrets"
            hint = "It is kept nowhere: put it into your password store."
            yield Question(what, checks.PASSPHRASE, self._use_passphrase, secret=True, hint=hint, twice=is_new)

    def _of_topology(self) -> Iterator[Question]:
        for problem in self._placeholders():
            key = problem.key.removeprefix(f"{STACK_KEY}.")
            if key in TOPOLOGY:
                variable, what = TOPOLOGY[key]
                yield Question(what, variable, partial(self._change, problem))
            if key == "registry.host":
                user = replace(problem, key=problem.key.replace("host", "user"))
                usual = self._stack().registry.user
                yield Question(
                    "user of the container registry", REGISTRY_USER, partial(self._change, user), usual=usual
                )

    def _of_inputs(self) -> Iterator[Question]:
        accounts = {key: account for account, key in scopes.KEYS.items()}
        for each in self._missing():
            if each.key in INPUTS:
                account = accounts.get(each.key)
                wanted = scopes.ORIGIN if account == scopes.EDGE and not self._stack().has_front else ""
                hint = f"{account}: make a token with {wanted or scopes.wanted(account)}." if account else ""
                take = partial(self._set, each.key)
                yield Question(each.purpose, INPUTS[each.key], take, each.secret, each.of_lines, hint)

    def _families(self) -> Iterator[tuple[Sequence[str], Callable[[], Mapping[str, str]]]]:
        """Yield what is looked up or made: keys whose values fit together, and what gives these values."""
        required = {each.key for each in settings.required_inputs(self._stack())}
        families: list[tuple[Sequence[str], Callable[[], Mapping[str, str]]]] = [
            ((ACCOUNT_ID, ZONE_ID), self._zone),
            ((credentials.ORIGIN_CERTIFICATE, credentials.ORIGIN_KEY), self._origin),
            ((credentials.PULL_CA, credentials.PULL_CERTIFICATE, credentials.PULL_KEY), self._pull),
            ((credentials.COPIES_KEY,), lambda: {credentials.COPIES_KEY: credentials.copies_key()}),
            *(((key,), partial(_host_key, key)) for key in sorted(required) if key.startswith(credentials.HOST_KEY)),
        ]
        for keys, make in families:
            if needed := [key for key in keys if key in required]:
                yield needed, make

    def _zone(self) -> Mapping[str, str]:
        zone = self._stack().zone or ""
        with_token = self._edge()
        try:
            found = next(iter(with_token.zones.list(name=zone)), None)
        except cloudflare.CloudflareError as error:
            raise Failed(f"{self.name}: Cloudflare does not say which zone {zone} is: {error}") from None
        if found is None or found.account.id is None:
            raise Failed(f"{self.name}: the Cloudflare token sees no zone {zone}; add it there, or widen the token")
        return {ACCOUNT_ID: found.account.id, ZONE_ID: found.id}

    def _pull(self) -> Mapping[str, str]:
        """Return what Cloudflare is known by; to a standby's servers it presents the certificate of the primary."""
        standby = self._stack().standby
        if standby is None:
            return credentials.pull()
        primary = replace(self, name=standby.of)
        authority = (primary._file().get("config") or {}).get(credentials.PULL_CA)  # noqa: SLF001
        if not authority:
            raise Failed(f"{self.name}: {standby.of} has no {credentials.PULL_CA} yet; ./inv setup {standby.of}")
        return {credentials.PULL_CA: str(authority)}

    def _origin(self) -> Mapping[str, str]:
        """Return the certificate that is given, or one that Cloudflare's own authority for origins makes."""
        certificate, key = (questions.given(name, self.environment) for name in (ORIGIN_CERTIFICATE, ORIGIN_KEY))
        if certificate or key:
            if not (certificate and key and _fit(certificate, key)):
                raise Refused(
                    f"{ORIGIN_CERTIFICATE} and {ORIGIN_KEY}: they are not a certificate and its key, both PEM"
                )
            return {credentials.ORIGIN_CERTIFICATE: f"{certificate}\n", credentials.ORIGIN_KEY: f"{key}\n"}
        zone = self._stack().zone
        if zone is None:  # nobody but the team comes here, and not through Cloudflare
            return credentials.origin(f"{self._stack().label}.internal")
        request, private = credentials.origin_request(zone)
        try:
            made = self._edge().origin_ca_certificates.create(
                csr=request,
                hostnames=credentials.covered(zone),
                request_type="origin-ecc",
                requested_validity=ORIGIN_DAYS,
            )
        except cloudflare.CloudflareError as error:
            raise Failed(f"{self.name}: Cloudflare makes no origin certificate for {zone}: {error}") from None
        if made is None or not made.certificate:
            raise Failed(f"{self.name}: Cloudflare made no origin certificate for {zone}; try again")
        return {credentials.ORIGIN_CERTIFICATE: made.certificate, credentials.ORIGIN_KEY: private}

    def _edge(self) -> cloudflare.Cloudflare:
        edge = clouds.connect(self.project).edge
        if edge is None:
            raise Failed(f"{self.name}: its Cloudflare token is not set")
        return edge

    def _put_backend(self, url: str) -> None:
        path = self.root / PROJECT_FILE
        content = read_project_file(self.root)
        if "backend" in content:
            raise Refused(f"{PROJECT_FILE}: backend: it has no url; write it there")
        if not urlsplit(url).scheme:
            raise ValueError("it is no URL, such as s3://bucket or file:///folder")
        if is_sandbox_backend(url, self.root):
            raise ValueError("it holds a sandbox's state; choose another")
        edits.write(path, edits.with_section(path.read_text(encoding="utf-8"), "backend", "url", url))

    def _use_passphrase(self, passphrase: str) -> None:
        if not passphrase:
            raise ValueError("it is empty")
        self.environment[checks.PASSPHRASE] = passphrase

    def _change(self, place: Problem, value: str) -> None:
        """Put a value into a file, unless the configuration would be wrong with it, or it is no real one either."""
        path = self.root / place.file
        before = path.read_text(encoding="utf-8")
        key = ("config", STACK_KEY) if place.key.startswith(f"{STACK_KEY}.") else ()
        edits.write(path, edits.replaced(before, (*key, *place.key.removeprefix(f"{STACK_KEY}.").split(".")), value))
        try:
            self._stack()
            wrong = [str(each) for each in self._placeholders() if each.key == place.key]
        except settings.ConfigurationError as error:
            wrong = [str(each) for each in error.problems]
        except BaseException:  # interrupted before it was proved
            edits.write(path, before)
            raise
        if wrong:
            edits.write(path, before)
            raise ValueError("\n".join(wrong))

    def _set(self, key: str, value: str) -> None:
        needed = self._needed(key)
        needed.check(value)
        inputs.put(self.project, needed, value)
        say(f"{self.name}: {key} is set")

    def _needed(self, key: str) -> Input:
        return next(each for each in settings.required_inputs(self._stack()) if each.key == key)

    def _missing(self) -> Sequence[Input]:
        return settings.missing_inputs(self.root, self.name, self._stack())

    def _placeholders(self) -> Sequence[Problem]:
        return _placeholders(self.root, self.name, self._stack())

    def _stack(self) -> Stack:
        return settings.load(self.root, self.name)

    def _file(self) -> Mapping[str, Any]:
        path = self.root / settings.stack_file(self.name)
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _host_key(key: str) -> Mapping[str, str]:
    return {key: credentials.host_key()}


def _fit(certificate: str, key: str) -> bool:
    try:
        return credentials.fit(certificate, key)
    except ValueError:
        return False


def _results(project: Project, stack: Stack) -> list[Result]:
    return [*preflight.check(clouds.connect(project), stack, thoroughly=True), _state(project)]


def _state(project: Project) -> Result:
    """Whether the backend takes what is written: a stack of a name of its own is made there, and removed."""
    url = checks.backend_url(project.folder, project.environment) or ""
    content = {key: value for key, value in read_project_file(project.folder).items() if key in ("name", "backend")}
    with tempfile.TemporaryDirectory(prefix="chat-tonic-") as folder:
        file = Path(folder, PROJECT_FILE)
        file.write_text(yaml.safe_dump({**content, "runtime": "python"}), encoding="utf-8")
        probe = replace(project, folder=Path(folder), stack=f"setup-{secrets.token_hex(4)}")
        try:
            engine.ask(probe, "stack", "init", "--no-select")
            engine.ask(probe, "stack", "rm", "--yes")
        except Failed as error:
            return Result("state", False, f"{url} can't be written: {error}; see to its address and its access keys")
    if urlsplit(url).scheme == "file" and not project.sandbox:
        return Result("state", True, f"{url} can be written, but is on this machine only: `up` wants --local-state")
    return Result("state", True, f"{url} can be written")


def _say_placeholders(root: Path, chosen: Mapping[str, Stack]) -> None:
    left = [str(each) for name, stack in chosen.items() for each in _placeholders(root, name, stack)]
    if left:
        say("Before `up`, these have to be written as well:")
        for line in dict.fromkeys(left):
            say(f"  {line}")


def _say_what_to_keep(chosen: Mapping[str, Stack]) -> None:
    """Say what has to outlive this repository and its accounts, and how it is read; never what it is."""
    say(
        "Keep these in two places as well that nobody reaches through this repository or its accounts (docs/copies.md):"
    )
    say(f"  the passphrase of {', '.join(chosen)}: it is written nowhere, and no secret can be read without it")
    for name, stack in chosen.items():
        if stack.copies is not None:
            read = f"pulumi config get {credentials.COPIES_KEY} --stack {name}"
            say(f"  {name}: {credentials.COPIES_KEY}, without which no copy can be read, nor proved: `{read}` shows it")
    if any(stack.copies for stack in chosen.values()):
        say("  the login of the copies account, which makes new tokens, and new keys for its buckets")
    say("  the address of the state backend, and its access keys")


def _placeholders(root: Path, name: str, stack: Stack) -> Sequence[Problem]:
    try:
        settings.refuse_placeholders(root, name, stack)
    except settings.ConfigurationError as error:
        return error.problems
    return ()
