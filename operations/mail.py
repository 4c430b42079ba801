"""Sending mail through a stack's SMTP relay."""

import ipaddress
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

VARIABLE = "CHAT_TONIC_SMTP"
"""The variable that gives the relay: to `setup`, which keeps it, and to a job that can't ask the stack for it."""

PATIENCE = 20.0
"""Seconds for the relay to take a connection, and for each of its answers."""


class MailError(Exception):
    """Mail can't be sent; `str()` says why. `lost`: nor can any other message, the connection is of no use."""

    def __init__(self, what: str, *, lost: bool = False) -> None:
        super().__init__(what)
        self.lost = lost


@dataclass(frozen=True)
class Relay:
    """An SMTP relay. `encrypted`: from the first byte, else by STARTTLS."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    encrypted: bool

    @classmethod
    def of(cls, url: str) -> "Relay":
        """Return the relay of a URL, smtps://user:password@host:port; what is special in it is percent-encoded.

        Raises:
            MailError: it is none; the URL, which holds a password, is not repeated.
        """
        parts = urlsplit(url.strip())
        try:
            whole = parts.hostname and parts.port and parts.username and parts.password
        except ValueError:  # of a port that is none
            whole = None
        if parts.scheme not in ("smtp", "smtps") or not whole:
            raise MailError("the relay is not given as smtps://user:password@host:port; set it again")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname or "", parts.port or 0, user, password, encrypted=parts.scheme == "smtps")

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, so that nobody listens on the way."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@contextmanager
def connected(relay: Relay) -> Iterator[smtplib.SMTP]:
    """Connect and log in, by TLS that is verified. Only on this machine may a relay have none.

    Raises:
        MailError: it does not answer, is not who it should be, offers no TLS or takes no login.
    """
    context = ssl.create_default_context()
    try:
        if relay.encrypted:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, timeout=PATIENCE, context=context)
        else:
            smtp = smtplib.SMTP(relay.host, relay.port, timeout=PATIENCE)
    except OSError as error:
        raise MailError(f"the relay {relay.host}:{relay.port} can't be reached: {_words(error)}", lost=True) from None
    try:
        _enter(smtp, relay, context)
        yield smtp
    finally:
        with suppress(OSError):  # what it took, it took, however it says goodbye
            smtp.quit()
        smtp.close()


def _enter(smtp: smtplib.SMTP, relay: Relay, context: ssl.SSLContext) -> None:
    where = f"{relay.host}:{relay.port}"
    try:
        smtp.ehlo_or_helo_if_needed()
        if not relay.encrypted and smtp.has_extn("starttls"):
            smtp.starttls(context=context)
        elif not relay.encrypted and not relay.is_local:
            raise MailError(f"the relay {where} offers no TLS, and the password must not go in clear", lost=True)
        smtp.login(relay.user, relay.password)
    except OSError as error:
        raise MailError(f"the relay {where} lets nobody in: {_words(error)}", lost=True) from None


def send(smtp: smtplib.SMTP, message: EmailMessage, recipients: Sequence[str]) -> dict[str, str]:
    """Send a message; return what was said to each of the recipients that were refused while others were not.

    Raises:
        MailError: nobody gets it now.
    """
    try:
        refused = smtp.send_message(message, str(message["From"]), list(recipients))
    except (smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        raise MailError(_words(error), lost=isinstance(error, smtplib.SMTPServerDisconnected)) from None
    except OSError as error:
        raise MailError(_words(error), lost=True) from None
    return {address: _answer(*said) for address, said in refused.items()}


def _words(error: OSError) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused():
            return "; ".join(f"{address}: {_answer(*said)}" for address, said in error.recipients.items())
        case smtplib.SMTPResponseException():
            return _answer(error.smtp_code, error.smtp_error)
    return str(error)


def _answer(code: int, text: bytes | str) -> str:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(said.split())}"
