"""Call the message API so that a failure is met, and not multiplied. docs/clients.md says why it does what it does.

It needs the standard library only, and may be copied. One `Client` for a process; any thread may use it.
"""

import http.client
import json
import random
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

GOOD = range(200, 300)
# What another try may well meet no more. Anything else that is not good is final; a redirection is not followed.
AGAIN = frozenset({408, 425, 429, *range(500, 600)}) - {501, 505}
UNREAD = 5.0  # seconds for which metadata that could not be read is not asked for again

Connect = Callable[[str, float], http.client.HTTPConnection]
"""A connection to a host, which waits so many seconds at most: to connect, and for each part of an answer."""


class RefusedError(Exception):
    """The API understood the message and does not take it; another try would end the same way."""

    def __init__(self, status: int, said: bytes) -> None:
        super().__init__(f"{status}: {said[:200].decode(errors='replace')}")
        self.status = status


class UnreachableError(Exception):
    """No site took the message in time. It may have been taken all the same: send it again with the same key."""

    def __init__(self, key: str, last: str) -> None:
        super().__init__(f"not delivered, the last try: {last}; send it again later with the key {key}")
        self.key = key


@dataclass(frozen=True)
class Policy:
    """How long and how often. Seconds, but for numbers of tries."""

    timeout: float = 5.0  # of one try
    tries: int = 3  # at a site, before the metadata is asked; and again before it is asked again
    first_wait: float = 0.25  # at most, after the first failure; doubled after each further one
    longest_wait: float = 4.0
    budget: float = 30.0  # for a message, with everything
    spare: int = 10  # retries that all messages together may have ahead
    share: float = 0.1  # of a retry, that each delivered message gives back: so retries add a tenth at most


@dataclass(frozen=True)
class Api:
    """A role of an environment: `host` is where it is reached as long as nobody says otherwise."""

    host: str
    metadata_host: str
    environment: str = "production"
    role: str = "api"


@dataclass
class Conversation:
    """What stays the same over messages; `Client.begin` makes one. `site` is where it lives, None where nobody said.

    `moves` counts how often that has changed: whoever keeps something there (a thread of an assistant) begins it anew
    when it has, with the identifiers of the new site.
    """

    id: str
    site: str | None = None
    moves: int = 0


class Sites:
    """What the metadata says. It is read again when its TTL is over, no sooner; its version never goes back."""

    def __init__(self, host: str, connect: Connect) -> None:
        self._host, self._connect = host, connect
        self._guard = threading.Lock()
        self.known: Mapping[str, Any] = {"version": 0, "ttl": 60, "active": None, "sites": {}}
        self._fresh_until = 0.0

    def now(self, seconds: float) -> Mapping[str, Any]:
        """Return what it says, or said when it could last be read; that takes so many seconds at most."""
        until = time.monotonic() + seconds
        if self._guard.acquire(timeout=seconds):  # one asks for all: whoever waited for it asks no more
            try:
                if time.monotonic() >= self._fresh_until:
                    found = self._read(_within(seconds, until))
                    if found and found["version"] >= self.known["version"]:
                        self.known = found
                    self._fresh_until = time.monotonic() + (self.known["ttl"] if found else UNREAD)
            finally:
                self._guard.release()
        return self.known

    def _read(self, seconds: float) -> Mapping[str, Any] | None:
        try:
            status, _, said = ask(self._connect(self._host, seconds), seconds, "/failover.json")
            found = json.loads(said) if status == http.client.OK else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        whole = isinstance(found, dict) and found.keys() >= self.known.keys()
        return found if whole else None


class Client:
    """Who calls an API. All its messages together have retries to spare."""

    def __init__(self, api: Api, policy: Policy | None = None, connect: Connect | None = None) -> None:
        self._api, self._policy, self._connect = api, policy or Policy(), connect or _secure
        self.sites = Sites(api.metadata_host, self._connect)
        self._guard = threading.Lock()
        self._spare = float(self._policy.spare)

    def begin(self, identity: str | None = None) -> Conversation:
        """Begin a conversation, at the site that is active now."""
        return Conversation(identity or str(uuid.uuid4()), self.sites.now(self._policy.timeout)["active"])

    def send(self, conversation: Conversation, text: str, key: str | None = None) -> Any:
        """Deliver a message once, however often it is tried; return what the API answers.

        Raises:
            RefusedError: the API does not take it.
            UnreachableError: no site took it in time; it says the key to try again with.
        """
        policy, key = self._policy, key or str(uuid.uuid4())
        until, tries = time.monotonic() + policy.budget, 0
        while True:
            host, timeout = self._host_of(conversation), _within(policy.timeout, until)
            status, asked_to_wait, said = self._try(host, conversation, text, key, timeout)
            if status in GOOD:
                with suppress(ValueError):
                    found = json.loads(said)
                    self._earn()
                    return found
                status, said = 0, b"an answer that is no JSON, so not the API's"
            if status and status not in AGAIN:
                raise RefusedError(status, said)
            tries, spare = tries + 1, self._spend()
            if (tries % policy.tries == 0 or not spare) and self._moved(conversation, _within(policy.timeout, until)):
                tries, asked_to_wait, spare = 0, 0.0, True  # the new site has neither failed nor asked for anything
            highest = min(policy.longest_wait, policy.first_wait * 2 ** max(0, tries - 1))
            wait = max(random.uniform(0, highest), asked_to_wait)  # noqa: S311 (full jitter)
            if time.monotonic() + wait >= until or not spare:
                raise UnreachableError(key, f"{host}: {status or said.decode()}")
            time.sleep(wait)

    def identifiers(self, conversation: Conversation) -> Mapping[str, str]:
        """Return what else is to be known of the conversation's site."""
        found: Mapping[str, str] = self._site(conversation).get("identifiers", {})
        return found

    def _try(
        self, host: str, conversation: Conversation, text: str, key: str, timeout: float
    ) -> tuple[int, float, bytes]:
        """Return the status, the seconds to wait that were asked for, and what was said; status 0 for no answer."""
        body = json.dumps({"conversation": conversation.id, "text": text})
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            status, answered, said = ask(self._connect(host, timeout), timeout, "/message", (body, headers))
        except (OSError, http.client.HTTPException) as error:
            return 0, 0.0, f"{type(error).__name__} {error}".encode()
        return status, _seconds(answered.get("retry-after", "")), said

    def _moved(self, conversation: Conversation, seconds: float) -> bool:
        """Ask the metadata where the conversation lives; return whether that is another site than before."""
        active = self.sites.now(seconds)["active"] or conversation.site
        moved = active != conversation.site
        conversation.site, conversation.moves = active, conversation.moves + moved
        return moved

    def _host_of(self, conversation: Conversation) -> str:
        hosts = self._site(conversation).get("hosts", {}).get(self._api.environment, {})
        host: str = hosts.get(self._api.role, self._api.host)
        return host

    def _site(self, conversation: Conversation) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.sites.known["sites"].get(conversation.site, {})
        return found

    def _earn(self) -> None:
        with self._guard:
            self._spare = min(self._spare + self._policy.share, self._policy.spare)

    def _spend(self) -> bool:
        with self._guard:
            if self._spare < 1:
                return False
            self._spare -= 1
            return True


def ask(
    connection: http.client.HTTPConnection,
    seconds: float,
    path: str,
    posted: tuple[str, Mapping[str, str]] | None = None,
) -> tuple[int, Mapping[str, str], bytes]:
    """Return status, headers (small letters) and body of an answer that is whole within so many seconds.

    `posted` are body and headers of a POST. Raises OSError, HTTPException where there is no answer.
    """
    until = time.monotonic() + seconds
    try:
        body, headers = posted or (None, {})
        connection.request("POST" if posted else "GET", path, body, dict(headers))
        answer = connection.getresponse()
        pieces = []
        while piece := answer.read1(65_536):
            pieces.append(piece)
            if time.monotonic() > until:  # the connection's own timeout is for each piece, not for all
                raise TimeoutError("the answer did not come whole")
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, b"".join(pieces)
    finally:
        connection.close()


def _secure(host: str, timeout: float) -> http.client.HTTPConnection:
    return http.client.HTTPSConnection(host, timeout=timeout, context=ssl.create_default_context())


def _within(seconds: float, until: float) -> float:
    return max(0.05, min(seconds, until - time.monotonic()))


def _seconds(asked: str) -> float:
    """Return what Retry-After asks for: seconds, or until a date; 0 where it says neither."""
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
