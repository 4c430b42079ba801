"""One server over SSH: scripts that root runs there, and nothing left open.

A script goes through standard input, so no secret is in an argument list. It is POSIX shell, and writes
"$DESTDIR" before absolute paths: nothing on a server, the folder that plays `/` on a machine of the sandbox.
"""

import logging
import re
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko
from fabric import Connection
from paramiko.ssh_exception import BadHostKeyException, NoValidConnectionsError

from operations.errors import Failed
from operations.servers.fleet import Member

# What goes wrong is raised, and said once.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

Tell = Callable[[str], None]
USER = "ops"
ROOT = "sudo sh -s"
LOCK = 'exec sudo flock --nonblock "${DESTDIR-}/run/chat-tonic.lock" sh -c "echo held; exec cat"'
_CHUNK = 2**15
CONNECT_WITHIN = 10  # seconds
KEEPALIVE = 15  # seconds
DARK_AFTER = 60  # seconds without a sign of a server that was sent something
ANSWER_WITHIN = 1800.0  # seconds without a word from a script


@dataclass(frozen=True)
class Endpoint:
    """Where a server's SSH is, who logs in, and with which key; None: an agent's, or those in ~/.ssh."""

    host: str
    port: int = 22
    user: str = USER
    key: Path | None = None


class Unreachable(Exception):  # noqa: N818 - what a server is, not a fault of ours
    """The server does not answer over SSH; the text says how."""


class ScriptError(Exception):
    """A script failed; the text is the end of what it said on standard error. `output` is what it had printed."""

    def __init__(self, said: str, code: int, output: str) -> None:
        super().__init__(said.strip()[-500:] or f"a script ended with code {code}")
        self.code, self.output = code, output


class _Pinned(paramiko.MissingHostKeyPolicy):
    """Knows a server by its keys alone: no file of known hosts is read or written."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def missing_host_key(self, _: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Raise BadHostKeyException for another key than the known ones."""
        if f"{key.get_name()} {key.get_base64()}" not in self._keys:
            raise BadHostKeyException(hostname, key, key)


class Remote:
    """A server that can be reached: `Remote.run` connects when it is needed, and again after a reboot."""

    def __init__(self, member: Member, endpoint: Endpoint) -> None:
        self.member, self._endpoint = member, endpoint
        self._open: Connection | None = None
        self._lock: paramiko.Channel | None = None
        self._holds = False

    def run(self, script: str, tell: Tell = lambda _: None, within: float = ANSWER_WITHIN, **variables: str) -> str:
        """Run a script as root, with shell variables; return its standard output.

        `tell` is told what it says on standard error, line by line; `within` are the seconds without a word from it.

        Raises:
            Unreachable: the server can't be reached, or the connection broke.
            ScriptError: the script ended with another code than 0.
            Failed: it shows another host key than its environment's, or lets nobody in.
        """
        given = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        # A function, so that a script of which only a part arrives does nothing.
        text = f"set -eu\n{given}main() {{\n{script}\n}}\nmain </dev/null\n"
        channel = self._session()
        try:
            channel.settimeout(within)
            channel.exec_command(ROOT)
            channel.sendall(text.encode())
            channel.shutdown_write()
            with ThreadPoolExecutor(1) as beside:
                errors = beside.submit(_all, channel.recv_stderr, tell)
                said = _all(channel.recv)
                complained = errors.result()
            code = channel.recv_exit_status()
            channel.close()
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}".rstrip(": ")) from None
        if code == -1:
            self.close()
            raise Unreachable("the connection broke")
        if code:
            raise ScriptError(complained, code, said)
        return said

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only run that works on the server; it is free again as soon as this run's connection is gone.

        Raises:
            Failed: another run works on it, or as for `run`.
            Unreachable: as for `run`.
        """
        self._holds = True
        try:
            self._session().close()  # with nothing open yet, the connection itself takes hold
            if self._lock is None:
                self._take_hold()
            yield
        finally:
            self._holds = False
            if self._lock is not None:
                self._lock.close()
            self._lock = None

    def _take_hold(self) -> None:
        assert self._open is not None  # noqa: S101 - only who is connected takes hold
        channel = self._open.transport.open_session(timeout=CONNECT_WITHIN)
        channel.settimeout(ANSWER_WITHIN)
        channel.exec_command(LOCK)
        if not channel.recv(8).startswith(b"held"):
            raise Failed(f"{self.member.label}: another run works on it; wait for its end")
        self._lock = channel

    def close(self) -> None:
        """Let go of the connection."""
        if self._open is not None:
            self._open.close()
        self._open = self._lock = None

    def _session(self) -> paramiko.Channel:
        try:
            if self._open is None or not self._open.is_connected:
                self._open, self._lock = self._connect(), None
                if self._holds:  # again, after a reboot
                    self._take_hold()
            return self._open.transport.open_session(timeout=CONNECT_WITHIN)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}".rstrip(": ")) from None

    def _connect(self) -> Connection:
        at, label = self._endpoint, self.member.label
        options: Mapping[str, object] = (
            {"key_filename": str(at.key), "allow_agent": False, "look_for_keys": False} if at.key else {}
        )
        connection = Connection(
            at.host, at.user, at.port, connect_timeout=CONNECT_WITHIN, connect_kwargs={**options, "banner_timeout": 30}
        )
        connection.client.set_missing_host_key_policy(_Pinned(self.member.host_keys))
        try:
            connection.open()
        except BadHostKeyException:
            raise Failed(
                f"{label} ({at.host}): it shows another SSH host key than its environment's. Somebody may be between, "
                "or it was made with another key; nothing was done to it, and the run ends here"
            ) from None
        except paramiko.AuthenticationException as error:
            if re.search("EOF|timeout", str(error)):  # sshd goes, or comes: the server reboots
                raise Unreachable(str(error)) from None
            raise Failed(
                f"{label} ({at.host}): it lets nobody in as '{at.user}' with the keys at hand; load one of "
                "chat-tonic:authorizedKeys into your agent"
            ) from None
        except NoValidConnectionsError as error:
            raise Unreachable(f"{error.strerror}") from None
        except TimeoutError:
            raise Unreachable(f"no answer within {CONNECT_WITHIN} s") from None
        except (paramiko.SSHException, socket.gaierror) as error:
            raise Unreachable(str(error)) from None
        transport = connection.client.get_transport()
        transport.set_keepalive(KEEPALIVE)
        if isinstance(transport.sock, socket.socket):  # not a proxy of ~/.ssh/config
            # What keeps it alive wants no answer, and the kernel would go on sending it for a quarter of an hour.
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DARK_AFTER * 1000)
        return connection


def _all(receive: Callable[[int], bytes], tell: Tell = lambda _: None) -> str:
    """Return all that comes; `tell` has had every line of it as soon as it was whole."""
    lines = [b""]
    for part in iter(lambda: receive(_CHUNK), b""):
        begun = len(lines) - 1
        lines[begun:] = (lines[begun] + part).split(b"\n")
        for line in lines[begun:-1]:
            tell(line.decode(errors="replace"))
    return b"\n".join(lines).decode(errors="replace")
