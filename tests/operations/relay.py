"""A real SMTP relay on the loopback, which takes logins and can be down, slow or unwilling."""

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.operations import certificates

USER, PASSWORD = "alarms@chat-tonic.example", "p@ss:word/1"
OK = "250 OK"


@dataclass
class Taken:
    """What the relay took: the message, and for whom."""

    recipients: list[str]
    message: EmailMessage


@dataclass
class Relay:
    """The relay. `scheme` smtps has TLS from the first byte; smtp offers STARTTLS, unless it is `plain`.

    `refused` are answers to recipients, `answers` those to the next messages. While `open` is not set a message gets no
    answer; `asked` is set when one waits for it, `left` when its sender has gone meanwhile. `hangs_up` cuts the
    connection after the next message is taken.
    """

    authority: Path
    scheme: str = "smtps"
    plain: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    hangs_up: bool = False
    logins: int = 0

    def __post_init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.open, self.asked, self.left = threading.Event(), threading.Event(), threading.Event()
        self.open.set()
        self._context = certificates.serving(self.authority, ["localhost"])
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        """Where it is, as a stack's input says it."""
        return f"{self.scheme}://{USER.replace('@', '%40')}:p%40ss%3Aword%2F1@localhost:{self.port}"

    def start(self) -> None:
        """Serve; at the same port every time."""
        begins_encrypted = self.scheme == "smtps"
        offered: dict[str, Any] = (
            {} if self.plain or begins_encrypted else {"tls_context": self._context, "require_starttls": True}
        )
        self._controller = Controller(
            self,
            "127.0.0.1",
            self.port,
            ssl_context=self._context if begins_encrypted else None,
            auth_required=True,
            auth_require_tls=False,
            authenticator=self._authenticate,
            **offered,
        )
        self._controller.start()

    def stop(self) -> None:
        """Be down."""
        if self._controller:
            self.open.set()
            self._controller.stop()
            self._controller = None

    def subjects(self) -> list[str]:
        """Return the subjects of what was taken, in order."""
        return [str(each.message["Subject"]) for each in self.taken]

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)

    async def handle_RCPT(  # noqa: N802 (the server looks for these names)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.asked.set()
        try:
            while not self.open.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.left.set()
            raise
        answer = self.answers.pop(0) if self.answers else OK
        if answer == OK:
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.taken.append(Taken(list(envelope.rcpt_tos), message))
        if self.hangs_up:
            self.hangs_up = False
            server.transport.abort()
        return answer
