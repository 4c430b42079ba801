"""What the accounts of a stack answer: everything that the checks before a run judge, asked at once, in threads."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cloudflare
import httpx
import linode_api4
import requests

from components.settings import Stack
from operations.clouds import CALLS_AT_ONCE, Clouds
from operations.scopes import COPIES, EDGE, PLATFORM, SCOPES

ATTEMPTS = 3
ACCOUNT, POOLS, ZONE = "/account", "/accounts/{account}/load_balancers/pools", "/zones/{zone}"
PLANS, IMAGES, DATABASE_PLANS = (f"{path}?page_size=500" for path in ("/linode/types", "/images", "/databases/types"))


@dataclass(frozen=True)
class Question:
    """A path of an account's API."""

    account: str
    path: str


@dataclass(frozen=True)
class Answer:
    """What a cloud said; `body` is the reason where it refused. `status` is 0 where nothing came."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Whether it is what was asked for."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def unknown_token(self) -> bool:
        """Whether the cloud does not know the token at all."""
        return self.status == 401 and not self.forbidden  # noqa: PLR2004

    @property
    def forbidden(self) -> bool:
        """Whether the token may not ask this. Linode says so with 401, as for a token that it does not know."""
        return self.status == 403 or (self.status == 401 and "not authorized" in self.body)  # noqa: PLR2004

    @property
    def missing(self) -> bool:
        """Whether the cloud could not be asked, or is itself in trouble: then nothing follows from it."""
        return self.status == 0 or self.status >= 500  # noqa: PLR2004


@dataclass(frozen=True)
class Answers:
    """What the clouds said of a stack."""

    stack: Stack
    clouds: Clouds
    given: Mapping[Question, Answer]

    def of(self, account: str, path: str) -> Answer | None:
        """Return an account's answer from which something follows; None where there is none, or it was not asked."""
        found = self.given.get(Question(account, _path(path, self.clouds)))
        return None if found is None or found.missing or found.unknown_token else found


def ask(opened: Clouds, stack: Stack, *, thoroughly: bool) -> Answers:
    """Ask the clouds: the few questions whose answers change, or all."""
    few = list(_few(opened, stack))
    accounts = {account for account, _ in few}
    paths = [*few, *(each for each in _others() if thoroughly and each[0] in accounts)]
    questions = list(dict.fromkeys(Question(account, _path(path, opened)) for account, path in paths))
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        answers = pool.map(lambda each: _ask_again(opened, each), questions)
        return Answers(stack, opened, dict(zip(questions, answers, strict=True)))


def _few(opened: Clouds, stack: Stack) -> Iterator[tuple[str, str]]:
    yield PLATFORM, ACCOUNT
    yield PLATFORM, f"/regions/{stack.region}"
    yield PLATFORM, f"/regions/{stack.region}/availability"
    if opened.copies and stack.copies:
        yield COPIES, ACCOUNT
        for region in (stack.copy_region(), stack.second_copy_region()):
            yield COPIES, f"/regions/{region}"
    if opened.edge and stack.has_front:
        yield EDGE, ZONE
        yield EDGE, POOLS


def _others() -> Iterator[tuple[str, str]]:
    for path in (PLANS, IMAGES, DATABASE_PLANS):
        yield PLATFORM, path
    for account, scopes in SCOPES.items():
        for scope in scopes:
            yield account, scope.path


def _path(path: str, opened: Clouds) -> str:
    return path.format(zone=opened.zone_id, account=opened.account_id)


def _ask_again(opened: Clouds, question: Question) -> Answer:
    """Ask until the cloud is not in trouble, a few times: where nothing comes at all, the clients have tried again."""
    answers = (_ask(opened, question) for _ in range(ATTEMPTS))
    last = next(answers)
    while last.missing and last.status and (following := next(answers, None)):
        last = following
    return last


def _ask(opened: Clouds, question: Question) -> Answer:
    try:
        if question.account == EDGE:
            assert opened.edge  # noqa: S101 - it is asked only where there is a token
            return _ask_cloudflare(opened.edge, question.path)
        return _ask_linode(opened.platform if question.account == PLATFORM else opened.copies, question.path)
    except (cloudflare.CloudflareError, requests.RequestException, ValueError, LookupError, TypeError) as error:
        return Answer(0, f"{error}", {})


def _ask_linode(client: linode_api4.LinodeClient, path: str) -> Answer:
    # The client's own `get` keeps the headers to itself; its session has its retries and its patience all the same.
    response = client.session.get(f"{client.base_url}{path}", headers={"Authorization": f"Bearer {client.token}"})
    body = response.json()
    said = body if response.ok else "; ".join(str(each["reason"]) for each in body["errors"])
    return Answer(response.status_code, said, response.headers)


def _ask_cloudflare(client: cloudflare.Cloudflare, path: str) -> Answer:
    try:
        response = client.get(path, cast_to=httpx.Response)
    except cloudflare.APIStatusError as error:
        reasons = [f"{each.message} ({each.code})" for each in error.errors]
        return Answer(error.status_code, "; ".join(reasons) or error.message, error.response.headers)
    return Answer(response.status_code, response.json()["result"], response.headers)
