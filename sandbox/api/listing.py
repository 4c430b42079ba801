"""Lists as the two clouds give them: pages, and what a list may be filtered and ordered by."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.api import reading
from sandbox.api.route import Call, Page, Pager
from sandbox.model import Body, Problem, Refused

Part = Callable[[int, int], tuple[list[Body], int]]
Whole = Callable[[], Iterable[Body]]

LINODE_SIZES, LINODE_SIZE = (25, 500), 100
LAST_PAGE = 10**9
_DEPTH = 8  # how deep a filter may be nested

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "+gt": lambda value, wanted: value > wanted,
    "+gte": lambda value, wanted: value >= wanted,
    "+lt": lambda value, wanted: value < wanted,
    "+lte": lambda value, wanted: value <= wanted,
    "+neq": lambda value, wanted: value != wanted,
    "+contains": lambda value, wanted: str(wanted).lower() in _text(value),
}
_ASKED = {"page": "", "per_page": "", "match": "all", "order": "", "direction": "asc"}  # and if it is not asked
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "exact": lambda value, wanted: value == wanted,
    "contains": lambda value, wanted: wanted in value,
    "startswith": lambda value, wanted: value.startswith(wanted),
    "endswith": lambda value, wanted: value.endswith(wanted),
    "absent": lambda value, _: not value,
    "present": lambda value, _: bool(value),
}


def linode(call: Call, part: Part, whole: Whole) -> Page:
    """A page by `page` and `page_size`, of what X-Filter lets through. One beyond the last is empty."""
    number = _number(call.query, "page", 1, (1, LAST_PAGE))
    size = _number(call.query, "page_size", LINODE_SIZE, LINODE_SIZES)
    if not call.filter:
        items, total = part((number - 1) * size, size)
        return Page(items, number, size, total)
    return _cut(filtered(whole(), call.filter), number, size)


def cloudflare(sizes: tuple[int, int] | None, size: int = 0) -> Pager:
    """Lists by `page` and `per_page`, of which there are `size` unless the query says; without `sizes`, never in parts.

    The query filters: by a field's value, or by what is asked of it (`name.contains`); fields that are none are
    skipped. `match` says whether all must fit or any; `order` and `direction` sort.
    """

    def pager(call: Call, part: Part, whole: Whole) -> Page:
        query = dict(call.query)
        number = _number(query, "page", 1, (1, LAST_PAGE)) if sizes else 1
        count = _number(query, "per_page", size, sizes) if sizes else LAST_PAGE
        asked = {name: query.pop(name, default) for name, default in _ASKED.items()}
        if not query and not asked["order"]:
            items, total = part((number - 1) * count, count)
            return Page(items, number, count if sizes else max(1, total), total)
        items = [item for item in whole() if _chosen(item, query, any_of=asked["match"] == "any")]
        if asked["order"]:
            items.sort(key=lambda item: _sortable(item.get(asked["order"])), reverse=asked["direction"] == "desc")
        return _cut(items, number, count if sizes else max(1, len(items)))

    return pager


def given(items: Iterable[Body]) -> tuple[Part, Whole]:
    """The two ways to read a list that is in memory already."""
    known = list(items)
    return (lambda start, count: (known[start : start + count], len(known))), (lambda: known)


def x_filter(text: str | None) -> Body:
    """What the header X-Filter says. Raises Refused where it is no JSON object."""
    try:
        found = reading.document(text or "{}")
    except ValueError:
        raise Refused(400, Problem("Cannot parse filter")) from None
    if not isinstance(found, dict):
        raise Refused(400, Problem("Filter must be an object"))
    return found


def filtered(items: Iterable[Body], wanted: Body) -> list[Body]:
    """What a filter lets through, in the order that it says. Raises Refused where the filter is none."""
    kept = [item for item in items if _matches(item, wanted, _DEPTH)]
    by, order = wanted.get("+order_by"), wanted.get("+order", "asc")
    if order not in ("asc", "desc"):
        raise Refused(400, Problem("+order must be asc or desc"))
    if by is not None:
        kept.sort(key=lambda item: _sortable(_find(item, by)), reverse=order == "desc")
    return kept


def _cut(items: list[Body], number: int, size: int) -> Page:
    return Page(items[(number - 1) * size : number * size], number, size, len(items))


def _number(query: Mapping[str, str], name: str, default: int, within: tuple[int, int]) -> int:
    text = query.get(name, str(default))
    least, most = within
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):  # noqa: PLR2004
        raise Refused(400, Problem(f"Must be {least}-{most}", name))
    return int(text)


def _chosen(item: Body, wanted: Mapping[str, str], *, any_of: bool) -> bool:
    judged = [fits for fits in (_suits(item, *entry) for entry in wanted.items()) if fits is not None]
    return any(judged) if any_of and judged else all(judged)


def _suits(item: Body, asked: str, wanted: str) -> bool | None:
    """Whether an item is what is asked of one of its fields; None for a field that is none."""
    above, _, last = asked.rpartition(".")
    name, how = (above, last) if above and last in _TEXTS else (asked, "exact")
    value: Any = item
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return _TEXTS[how]("" if value is None else _text(value), wanted.lower())


def _matches(item: Body, wanted: Any, depth: int) -> bool:
    if not isinstance(wanted, dict) or not depth:
        raise Refused(400, Problem("Invalid filter"))
    for name, value in wanted.items():
        if name in ("+order_by", "+order"):
            continue
        if name in ("+and", "+or"):
            if not isinstance(value, list):
                raise Refused(400, Problem(f"{name} must be a list of filters"))
            each = (_matches(item, part, depth - 1) for part in value)
            if not (all(each) if name == "+and" else any(each)):
                return False
        elif not _fits(_find(item, name), value):
            return False
    return True


def _fits(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return all(_compared(found, sign, value) for sign, value in wanted.items())
    if isinstance(found, list):
        return wanted in found
    return bool(found == wanted)


def _compared(found: Any, sign: str, wanted: Any) -> bool:
    if sign not in _COMPARISONS:
        raise Refused(400, Problem(f"Invalid filter operator {sign}"))
    try:
        return _COMPARISONS[sign](found, wanted)
    except TypeError:  # what can't be compared is neither larger nor smaller
        return False


def _find(item: Body, path: Any) -> Any:
    value: Any = item
    for name in str(path).split("."):
        if not isinstance(value, dict) or name not in value:
            raise Refused(400, Problem(f"Cannot filter on {path}"))
        value = value[name]
    return value


def _sortable(value: Any) -> tuple[str, Any]:
    return (type(value).__name__, value) if isinstance(value, int | str) else ("", 0)


def _text(value: Any) -> str:
    return " ".join(map(str, value)).lower() if isinstance(value, list) else str(value).lower()
