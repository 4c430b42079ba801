"""A machine's container images: what was pulled, and those that are bad, for all machines."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.machines.commands import Command, Ended, parted, unknown

SICK, LOST = "sick-images.json", "lost-images.json"
"""Lists of images: the application of the first starts, and is not healthy; the others cannot be pulled."""

PULLED = "images.json"
_TAKES = 0.2  # seconds that a pull takes, here


def listed(file: Path) -> list[str]:
    """The images on a list."""
    return list(json.loads(file.read_text())) if file.exists() else []


def put(file: Path, image: str, *, on: bool) -> None:
    """Puts an image on a list, or takes it off."""
    others = [each for each in listed(file) if each != image]
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps([*others, image] if on else others))
    draft.replace(file)


class Images:
    """The images of the machine in a folder; `shared` is the folder with the lists of bad ones."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self._file = folder / PULLED
        self._shared = shared

    @property
    def commands(self) -> Mapping[str, Command]:
        """The program with which images are looked at and pulled."""
        return {"podman": self._podman}

    def is_sick(self, image: str) -> bool:
        """Whether an application of that image never is healthy."""
        return image in listed(self._shared / SICK)

    async def pull(self, image: str) -> Ended:
        """Makes sure that an image is here."""
        if image in listed(self._shared / LOST):
            said = f"Error: initializing source docker://{image}: reading manifest: manifest unknown\n"
            return Ended(125, errors=said)
        if image not in listed(self._file):
            await asyncio.sleep(_TAKES)
            put(self._file, image, on=True)
        return Ended(output=f"{_identity(image)}\n")

    async def run(self, image: str) -> Ended:
        """What a container's start needs: the image, pulled where it is missing."""
        return Ended() if image in listed(self._file) else await self.pull(image)

    async def _podman(self, arguments: Sequence[str]) -> Ended:
        options, words = parted(arguments, valued=("--authfile", "--format", "-f"))
        match words:
            case ["pull", image] | ["image", "pull", image]:
                return await self.pull(image)
            case ["image", "exists", image]:
                return Ended(0 if image in listed(self._file) else 1)
            case ["image", "inspect", image] if image not in listed(self._file):
                return Ended(125, "[]\n", f"Error: inspecting object: {image}: image not known\n")
            case ["image", "inspect", image]:
                digest = image.rpartition("@")[2]
                said = {"Digest": digest, "Id": _identity(image), "RepoDigests": [image]}
                form = options.get("--format", options.get("-f", ""))
                known = {f"{{{{.{name}}}}}": str(value) for name, value in said.items()}
                return Ended(output=f"{known[form]}\n" if form in known else f"{json.dumps([said])}\n")
        return unknown("podman", arguments)


def _identity(image: str) -> str:
    return image.rpartition(":")[2]
