"""Mail to the board and to those on call, when something goes wrong and when that is over, not in between."""

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Any
from urllib.parse import unquote, urlsplit

from copies.config import Config

_LOCAL = ("localhost", "127.0.0.1", "::1")
_PATIENCE = 20.0


class AlarmError(Exception):
    """Somebody could not be told; `str()` says why."""


def tell(config: Config, known: dict[str, Any], key: str, text: str) -> None:
    """Tell what is wrong, once. `known` remembers who was told of what, so that who was not is told the next time.

    Raises:
        AlarmError: somebody could not be told.
    """
    told: list[str] = known.setdefault("told", {}).setdefault(key, [])
    addresses = config.alarm.to if config.alarm else ()
    _send(config, text, told, [address for address in addresses if address not in told])


def over(config: Config, known: dict[str, Any], *keys: str) -> None:
    """Tell those who were told of any of these that it is over.

    Raises:
        AlarmError: somebody could not be told.
    """
    addresses = {address for key in keys for address in known.get("told", {}).get(key, [])}
    _send(config, "over: there is a new copy of the database", [], sorted(addresses))
    for key in keys:
        known.get("told", {}).pop(key, None)


def _send(config: Config, text: str, told: list[str], addresses: list[str]) -> None:
    if not config.alarm or not addresses:
        return
    message = EmailMessage(SMTP)
    message["From"] = f"Chat-Tonic alarms <{config.alarm.sender}>"
    message["To"] = ", ".join(addresses)
    message["Subject"] = f"[chat-tonic] {config.name}: {' '.join(text.split())[:120]}"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=config.alarm.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{text}\n\n`./inv backups.status {config.stack}` says how things are, and what to do.\n")
    try:
        smtp = _connected(config.alarm.smtp)
        with suppress(OSError), smtp:  # what it took, it took, however it says goodbye
            refused = _sent(smtp, message, addresses)
    except OSError as error:
        raise AlarmError(f"{', '.join(addresses)} can't be told: {error}") from None
    told += [address for address in addresses if address not in refused]
    if refused:
        raise AlarmError(f"the relay refuses {', '.join(refused)}")


def _connected(url: str) -> smtplib.SMTP:
    """Connect and log in, by TLS that is verified. Only on this machine may a relay have none. Raises OSError."""
    relay, context = urlsplit(url), ssl.create_default_context()
    host, port = relay.hostname or "", relay.port or 0
    if relay.scheme == "smtps":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=context)
    else:
        smtp = smtplib.SMTP(host, port, timeout=_PATIENCE)
        smtp.ehlo()
        if smtp.has_extn("starttls") or host not in _LOCAL:
            smtp.starttls(context=context)
    smtp.login(unquote(relay.username or ""), unquote(relay.password or ""))
    return smtp


def _sent(smtp: smtplib.SMTP, message: EmailMessage, addresses: list[str]) -> list[str]:
    """Send it, and return who was refused while others were not."""
    try:
        return [*smtp.send_message(message, str(message["From"]), addresses)]
    except smtplib.SMTPRecipientsRefused as error:
        return [*error.recipients]
