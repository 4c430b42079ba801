"""Reading a YAML file that people write: one mapping, UTF-8, no key twice."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml


class DocumentError(ValueError):
    """A file that cannot be read as one YAML mapping; the message says where and what to do."""


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses what PyYAML lets pass in silence: repeated keys, and aliases.

    Of a repeated key the last one would win. An alias can make a small file expand without bound.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="an alias (*name) is not understood here; write the value out",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, bool) or not isinstance(key, str | int):
                problem = "a key is neither a word nor a number; quote it"
            elif str(key) in seen:
                problem = f"the key '{key}' stands twice; keep one"
            else:
                seen.add(str(key))
                continue
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}


# Nothing in our files is a date: what looks like one is text.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top is a mapping; an empty file is an empty mapping, and every key is text.

    Raises:
        DocumentError: the file is missing, not UTF-8, not YAML, has a key twice, or its top is no mapping.
    """
    try:
        content = yaml.load(path.read_bytes().decode("utf-8"), _Loader)  # noqa: S506 - it is a SafeLoader
    except FileNotFoundError:
        raise DocumentError("there is no such file; create it or name another stack") from None
    except OSError as error:
        raise DocumentError(f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"it is not YAML: {place}{error.problem}; correct it there") from None
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(f"it is not YAML: {error}; correct it") from None
    except RecursionError:
        raise DocumentError("it is nested too deeply; no key of ours is deeper than eight levels") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise DocumentError(f"its top is a {type(content).__name__}; write keys with values")
    return content
