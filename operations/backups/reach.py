"""Where the program `copies` works: for real on the stack's ops server, of the sandbox on this machine.

A server was born with what the daily copy needs, and no more. So the whole program of this checkout goes there as one
file, into a private folder that is removed at the end. What comes back is what it prints: lists and evidence; the rows
of a database never leave their jurisdiction.
"""

import base64
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from components import labels
from components.settings import Stack
from operations import edits, sandbox
from operations.console import say
from operations.errors import Failed, Refused
from operations.project import Project
from operations.servers import fleet, reach
from operations.servers.remote import Remote, ScriptError, Unreachable
from sandbox.data import Data
from toolchain import tools
from toolchain.progress import CommandError

CONFIG = "/etc/chat-tonic/copies/{}.json"
"""Where an ops server has the configuration of an environment's copies."""

PROGRAM, _AUTHORITY = "copies.pyz", "authority.pem"
NO_DATABASE = dict.fromkeys(("host", "dbname", "user", "password", "sslmode"), "none")
"""What is said of a database where none is asked."""

SILENCE = 6 * 3600.0
"""Seconds without a word from the program: those of a large database's copy, or drill."""
_LAST_LINES = 5

# The folder is root's alone; what is sent is in no argument list, as `printf` is the shell's own.
_SCRIPT = """\
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cd "$folder"
printf %s "$PROGRAM" | base64 -d >{program}
{files}
python3 -I {program} --config {config} {arguments}
"""


@dataclass(frozen=True)
class Private:
    """An argument that is a file with this text, which is there while the program runs, for its eyes only.

    `beside` are other files, by the name that the text has for them.
    """

    text: str = field(repr=False)
    beside: Mapping[str, str] = field(default_factory=dict)


Argument = str | Private


@dataclass(frozen=True)
class Given:
    """What the program is given on this machine: its configuration, and what programs need besides one's environment.

    `beside` are other files, by the name that the configuration has for them.
    """

    configuration: dict[str, Any] = field(repr=False)
    beside: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """How the program ended, with 0 or 1, and what it printed."""

    code: int
    found: Any


class Program(Protocol):
    """The program, for the environments of a stack."""

    def __call__(self, environment: str, *arguments: Argument) -> Answer:
        """Run a command for an environment.

        Raises:
            Failed: it can't be run, or ended without an answer; the text says why.
        """


Tell = Callable[[str], Given]
"""From an environment to what the program is given for it."""

Run = Callable[[str, Sequence[Argument]], tuple[int, str, str]]
"""From an environment and arguments to an exit code, what was printed, and the end of what was said meanwhile."""


def environments(project: Project, stack: Stack, wanted: str = "") -> list[str]:
    """Return the environments of a stack that have copies, all of them or the wanted one.

    Raises:
        Refused: the wanted one has none.
    """
    copied = {name: each.database for name, each in stack.environments.items() if stack.copies and each.database.copies}
    known = [name for name, database in copied.items() if database.generations]  # a pilot light has none to copy
    if wanted and wanted not in known:
        those = f"known are {', '.join(known)}" if known else "the stack has none"
        raise Refused(f"{project.stack}: '{wanted}' is no environment with copies; {those}")
    return [name for name in known if wanted in ("", name)]


def program(project: Project, stack: Stack, told: Tell | None = None) -> Program:
    """Return the program, where it works for a stack; `told` is what it is given there instead of what it has.

    It is told once, and works with that from then on.

    Raises:
        Refused: the stack has no servers yet, or no ops server.
        Failed: the engine does not say where it is.
    """
    if project.sandbox:
        return answering(project, here(cache(told or partial(given, project, stack))))
    return answering(project, on_server(project, stack, cache(told) if told else None))


def answering(project: Project, run: Run) -> Program:
    """Return the program as what runs it, of whose output JSON is made."""

    def answer(environment: str, *arguments: Argument) -> Answer:
        code, printed, said = run(environment, arguments)
        try:
            return Answer(code, json.loads(printed))
        except ValueError:
            what = f"{project.stack}: `copies {arguments[0]}` failed for {environment}"
            raise Failed(f"{what}: {said.strip() or f'it ended with code {code}'}") from None

    return answer


def on_server(project: Project, stack: Stack, told: Tell | None = None) -> Run:
    """Return what runs the program on the ops server, with the configuration it has or is told; raises as `program`."""
    found = fleet.load(project, stack, fleet.OPS)
    (ops,) = found.members
    endpoint = reach.endpoints(project)(ops)

    def run(environment: str, arguments: Sequence[Argument]) -> tuple[int, str, str]:
        config = _private(told(environment)) if told else CONFIG.format(environment)
        remote = Remote(ops, endpoint)
        try:
            sent = base64.b64encode(archive()).decode()
            return 0, remote.run(_script(config, arguments), say, SILENCE, PROGRAM=sent), ""
        except ScriptError as error:
            return error.code, error.output, str(error)
        except Unreachable as error:
            raise Failed(f"{ops.label}: it can't be reached: {error}; {project.task('servers.list')}") from None
        finally:
            remote.close()

    return run


def _script(config: Argument, arguments: Sequence[Argument]) -> str:
    """Return what a server does. `config` is a file that it has, by its path, or one that it is given."""
    (first, *words), files = _laid_out([config, *arguments])
    return _SCRIPT.format(
        program=PROGRAM,
        config=first if isinstance(config, Private) else f'"${{DESTDIR-}}{first}"',
        files="\n".join(f"printf %s {shlex.quote(text)} >{name}" for name, text in files.items()),
        arguments=shlex.join(words),
    )


def _private(told: Given) -> Private:
    return Private(json.dumps(told.configuration), told.beside)


def _laid_out(arguments: Sequence[Argument]) -> tuple[list[str], dict[str, str]]:
    """Return the arguments as words, and the files that these name, by name, with their text."""
    words: list[str] = []
    files: dict[str, str] = {}
    for number, argument in enumerate(arguments):
        if isinstance(argument, Private):
            files |= {f"file-{number}": argument.text, **argument.beside}
        words.append(f"file-{number}" if isinstance(argument, Private) else argument)
    return words, files


def here(given: Tell) -> Run:
    """Return what runs the program on this machine, with what it is given for an environment."""

    def run(environment: str, arguments: Sequence[Argument]) -> tuple[int, str, str]:
        told = given(environment)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / PROGRAM).write_bytes(archive())
            words, files = _laid_out([_private(told), *arguments])
            for name, text in files.items():
                edits.write_private(place / name, text)
            return _run([sys.executable, "-I", PROGRAM, "--config", *words], place, told.environment)

    return run


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    last: deque[str] = deque(maxlen=_LAST_LINES)
    whole = {**os.environ, **environment}
    with tempfile.TemporaryFile("w+") as printed:
        with subprocess.Popen(
            command, cwd=folder, env=whole, stdout=printed, stderr=subprocess.PIPE, text=True
        ) as process:
            for line in process.stderr or ():
                say(line.rstrip())
                last.append(line)
        printed.seek(0)
        return process.returncode, printed.read(), "".join(last)


def archive() -> bytes:
    """Return the program as one file that Python runs."""
    root = Path(__file__).resolve().parents[2]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for module in sorted((root / "copies").glob("*.py")):
            opened.write(module, f"copies/{module.name}")
        opened.writestr("__main__.py", 'import runpy\n\nrunpy.run_module("copies", run_name="__main__")\n')
    return made.getvalue()


def given(project: Project, stack: Stack, environment: str) -> Given:
    """Return what the ops server is given for an environment; on the sandbox, with the places that really serve it.

    Raises:
        Refused: the stack has no ops server yet, or it is given nothing for this environment.
        Failed: the engine does not say, or nothing serves the sandbox's data.
    """
    configuration, files = _configured(project, stack, environment)
    database = configuration["database"]
    beside = {_AUTHORITY: files[database["sslrootcert"]]}
    database["sslrootcert"] = _AUTHORITY
    if not project.sandbox:
        return Given(configuration, beside)
    settings = stack.environments[environment]
    held = sandbox.data(project.root, say)
    served = held.databases.get(labels.database(stack.label, settings.label, settings.database.serves))
    if served is None:
        raise Failed(f"{project.stack}: nothing serves the database of {environment}; ./inv sandbox.status")
    database |= {"hostaddr": served.hostaddr, "port": str(served.port), "sslmode": served.sslmode}
    serve_store(configuration["repository"], held)
    configuration |= {"programs": str(served.programs), "restic": restic(project)}
    return Given(configuration, beside, served.environment)


def with_copies_of(project: Project, stack: Stack, source: Project, of: Stack) -> Tell:
    """Return what a stack's program is given to work on the copies of another stack, which it can read nothing else of.

    Raises:
        Refused, Failed: as `given` does, of either.
    """

    def told(environment: str) -> Given:
        ours = given(project, stack, environment)
        theirs, _ = _configured(source, of, environment)
        if source.sandbox:
            serve_store(theirs["repository"], sandbox.data(source.root, say))
        opening = {name: theirs[name] for name in ("repository", "key")}
        return replace(ours, configuration={**ours.configuration, **opening})

    return told


def to_list(project: Project, stack: Stack) -> Tell:
    """Return what the program is given on this machine to list the copies of a stack, whatever of that is down.

    Raises:
        Refused, Failed: as `given` does; or this machine has no restic.
    """

    def told(environment: str) -> Given:
        configuration, _ = _configured(project, stack, environment)
        if project.sandbox:
            serve_store(configuration["repository"], sandbox.data(project.root, say))
        return Given({**configuration, "database": NO_DATABASE, "restic": restic(project)}, {})

    return told


def _configured(project: Project, stack: Stack, environment: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the configuration of an environment's copies as an ops server has it, and its files by path.

    Only the stack's state and inputs are read: its servers need not be there any more.

    Raises:
        Refused: the stack has no ops server yet, or it is given nothing for this environment.
        Failed: the engine does not say.
    """
    (ops,) = fleet.load(project, stack, fleet.OPS).members
    files = {file.path: file.content for file in ops.files}
    if CONFIG.format(environment) not in files:
        raise Refused(f"{project.stack}: {environment} has no copies; {project.task('up')}")
    return json.loads(files[CONFIG.format(environment)]), files


def serve_store(store: dict[str, str], held: Data) -> None:
    """Have a store of the sandbox be where a real server has its bucket.

    Raises:
        Failed: nothing serves it.
    """
    name = store["url"].rpartition("/")[2]
    if name not in held.buckets:
        raise Failed(f"nothing serves the bucket {name}; ./inv sandbox.status")
    bucket = held.buckets[name]
    store |= {"url": f"s3:{bucket.url}/{name}", "region": bucket.region}


def restic(project: Project) -> str:
    """Return the restic of this machine.

    Raises:
        Refused: it has none; the sandbox gets one.
        Failed: the sandbox can't get it.
    """
    if found := shutil.which("restic"):
        return found
    if not project.sandbox:
        raise Refused("restic is missing on this machine; apt-get install restic (0.17.1 or newer)")
    try:
        return str(tools.ensure("restic", say))
    except CommandError as error:
        raise Failed(str(error)) from None
