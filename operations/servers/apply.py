"""Pushing to servers what changed since they were born: image, secrets, database address, certificates, keys, units.

What a server is to hold is rendered as for a birth, and compared with what is on it by digest; only what differs is
written, and only its readers are restarted or reloaded.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from components.user_data import Effect, File, effect
from operations.servers.fleet import Member
from operations.servers.remote import Remote
from operations.servers.rolling import Work

IMAGES = {"/etc/chat-tonic/app-image.env": "image", "/etc/chat-tonic/caddy-image.env": "caddy's image"}
DIGITS = 12  # of an image's digest, as podman shows it
_LOGIN = "/etc/chat-tonic/registry.json"

# What has to be done still stands on the server until it is done, so that a run that was cut off is made good.
_STATE = 'state="${DESTDIR-}/var/lib/chat-tonic"\n'
_LOOK = (
    _STATE
    + """\
printf '%s\\n' "$paths" | while read -r path; do
    file="${DESTDIR-}$path"
    [ -f "$file" ] || continue
    printf 'file %s %s %s\\n' "$(sha256sum <"$file" | cut -c1-64)" "$(stat -c %a "$file")" "$path"
done
[ ! -f "$state/to-do" ] || sed 's/^/due /' "$state/to-do"
[ ! -d "$state/before" ] || echo unproved
image="${DESTDIR-}/etc/chat-tonic/app-image.env"
[ ! -f "$image" ] || sed -n 's/^IMAGE=/image /p' "$image"
"""
)
_PULL = """\
umask 077
login="$(mktemp)"
trap 'rm -f "$login"' EXIT
printf %s "$registry" | base64 -d >"$login"
printf '%s\\n' "$images" | while read -r image; do
    podman image exists "$image" || podman pull --quiet --authfile "$login" "$image" >/dev/null
done
"""
# What was before is kept until the server is healthy, also over a run that was cut off: nothing kept is written over.
_WRITE = (
    _STATE
    + """\
umask 077
mkdir -p "$state/before"
printf '%s\\n' "$effects" >"$state/to-do.new"
[ ! -f "$state/to-do" ] || cat "$state/to-do" >>"$state/to-do.new"
grep . "$state/to-do.new" | sort -u >"$state/to-do.sorted" || true
mv "$state/to-do.sorted" "$state/to-do"
rm -f "$state/to-do.new"
printf '%s\\n' "$files" | while read -r mode path content; do
    file="${DESTDIR-}$path"
    mkdir -p "$(dirname "$state/before$path")"
    (umask 022; mkdir -p "$(dirname "$file")")
    [ ! -f "$file" ] || [ -f "$state/before$path" ] || cp -p "$file" "$state/before$path"
    printf %s "$content" | base64 -d >"$file.new"
    chmod "$mode" "$file.new"
    mv "$file.new" "$file"
done
"""
)
_PUT_BACK = (
    _STATE
    + """\
[ -d "$state/before" ] || return 0
cd "$state/before"
find . -type f | sed 's/^.//' | while read -r path; do
    cp -p "$state/before$path" "${DESTDIR-}$path.new"
    mv "${DESTDIR-}$path.new" "${DESTDIR-}$path"
    printf '%s\\n' "$path"
done
"""
)
_PROVED = _STATE + 'rm -rf "$state/before"\n'
_TAKE_UP = (
    _STATE
    + """\
[ -f "$state/to-do" ] || return 0
systemctl daemon-reload
while read -r verb unit; do
    systemctl "$verb" "$unit" </dev/null
done <"$state/to-do"
rm -f "$state/to-do"
"""
)


@dataclass(frozen=True)
class Held:
    """What is on a server: digest and mode by path, what is still to be done there, the image that it runs.

    `unproved`: a run that was cut off has not seen it healthy with what it was given.
    """

    files: dict[str, tuple[str, int]]
    due: frozenset[Effect]
    image: str
    unproved: bool

    def lacks(self, files: Iterable[File]) -> tuple[File, ...]:
        """Return those of the files that the server has not, or has otherwise."""
        return tuple(file for file in files if self.files.get(file.path) != (_digest(file.content), file.mode))


@dataclass(frozen=True)
class Push(Work):
    """Files that a server lacks or has otherwise, and what their readers need."""

    member: Member
    changed: tuple[File, ...]
    effects: tuple[Effect, ...]
    unproved: bool

    @property
    def what(self) -> str:
        """What is due, in words; nothing of what the files hold."""
        named = [_named(file) for file in self.changed]
        return ", ".join(named) or "what a run before this one did not come to the end of"

    @property
    def interrupts(self) -> bool:
        """Whether a unit that requests pass through is restarted."""
        return self.unproved or any(each.interrupts for each in self.effects)

    def prepare(self, remote: Remote) -> None:
        """Pull images while the server still serves."""
        images = [_image(file.content) for file in self.changed if file.path in IMAGES]
        if images:
            login = next(file.content for file in self.member.files if file.path == _LOGIN)
            remote.run(_PULL, images="\n".join(images), registry=_encoded(login))

    def act(self, remote: Remote) -> str:
        """Write the files, keeping those from before, then have their readers take them up."""
        if self.changed:
            remote.run(_WRITE, files="\n".join(map(_line, self.changed)), effects=_effects(self.effects))
        remote.run(_TAKE_UP)
        return self.what

    def undo(self, remote: Remote) -> bool:
        """Put back the files from before, and have their readers take them up."""
        paths = remote.run(_PUT_BACK).splitlines()
        effects = {found for path in paths if (found := effect(path))}
        if not paths:
            return False
        remote.run(f'{_STATE}printf \'%s\\n\' "$effects" >"$state/to-do"', effects=_effects(effects))
        remote.run(_TAKE_UP)
        remote.run(_PROVED)
        return True

    def proved(self, remote: Remote) -> None:
        """Let go of the files from before."""
        remote.run(_PROVED)


def look(member: Member, remote: Remote) -> Push | None:
    """Say what a server lacks, has otherwise, or did not take up; None for nothing."""
    found = held(member, remote)
    changed = found.lacks(member.files)
    needed = {wanted for file in changed if (wanted := effect(file.path))} | found.due
    if not changed and not needed and not found.unproved:
        return None
    return Push(member, changed, _ordered(needed), found.unproved)


def held(member: Member, remote: Remote) -> Held:
    """Return what is on a server."""
    files: dict[str, tuple[str, int]] = {}
    due: set[Effect] = set()
    image, unproved = "", False
    known = {found for file in member.files if (found := effect(file.path))}
    for line in remote.run(_LOOK, paths="\n".join(file.path for file in member.files)).splitlines():
        match line.split(" ", 3):
            case "file", digest, mode, path:
                files[path] = (digest, int(mode, 8))
            case "due", verb, unit:
                due |= {each for each in known if (each.verb, each.unit) == (verb, unit)} or {Effect(verb, unit)}
            case "image", running:
                image = running
            case ["unproved"]:
                unproved = True
    return Held(files, frozenset(due), image, unproved)


def _named(file: File) -> str:
    """Return what a file is to people: a new image by its digest, as far as anybody reads it; else the path."""
    if file.path not in IMAGES:
        return file.path
    return f"{IMAGES[file.path]} {_image(file.content).rpartition(':')[2][:DIGITS]}"


def _image(environment: str) -> str:
    return environment.partition("IMAGE=")[2].strip()


def _ordered(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """Return effects in the order in which they are brought about: reloads first, and the application before Caddy."""
    return tuple(sorted(effects, key=lambda each: (each.verb, each.unit)))


def _effects(effects: Iterable[Effect]) -> str:
    return "\n".join(f"{each.verb} {each.unit}" for each in _ordered(effects))


def _line(file: File) -> str:
    return f"{file.mode:04o} {file.path} {_encoded(file.content)}"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
