"""What both clouds have in common: kinds of objects, the rules of their fields, and the life of an object.

A service's module declares its kinds; everything that one refuses is said by `Refused`, in whichever form the cloud
that was asked gives its errors. Bodies are those of the clouds' REST APIs.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sandbox import ids
from sandbox.store import Record, Store, Transaction

Body = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """One reason for a refusal: the API's own words, the field it is about, and Cloudflare's code."""

    reason: str
    field: str | None = None
    code: int = 1002


class Refused(Exception):  # noqa: N818 (it is an answer of the API, not a fault of the sandbox)
    """The API answers `status` (HTTP) and these problems; the model is as it was before."""

    def __init__(self, status: int, *problems: Problem) -> None:
        super().__init__("; ".join(problem.reason for problem in problems))
        self.status = status
        self.problems = problems


def _required(names: Iterable[str]) -> Refused:
    return Refused(400, *(Problem(f"{name} is required", name) for name in names))


def not_found(code: int = 1001) -> Refused:
    """The answer for what does not exist, or belongs to another account."""
    return Refused(404, Problem("Not found", code=code))


@dataclass(frozen=True)
class Field:
    """The rule of one writable field, by which both creating and updating go.

    `shape` is the Python type of its JSON value, nested ones included. `fixed` ones are only read at creation; `hidden`
    ones are not in the object's own answer but at an address of their own, `write_only` ones in no answer at all.
    `default` is what the API fills in, `normal` how it writes what was given.
    """

    shape: Any = str
    required: bool = False
    length: tuple[int, int] | None = None
    pattern: str | None = None
    says: str | None = None
    choices: tuple[object, ...] = ()
    within: tuple[float, float] | None = None
    fixed: bool = False
    hidden: bool = False
    write_only: bool = False
    default: Any = None
    normal: Callable[[Any], Any] | None = None

    def read(self, name: str, value: Any) -> Any:
        """The value without what the API does not know in it. Raises Refused where its shape is another."""
        try:
            return _adapter(self.shape).validate_python(value, strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
        raise Refused(400, *(Problem(f"is not valid: {each['msg']}", _place(name, each["loc"])) for each in found))

    def problems(self, name: str, value: Any) -> Iterator[Problem]:
        """What is wrong with a value of the right shape."""
        if isinstance(value, str) and self.length and not self.length[0] <= len(value) <= self.length[1]:
            least, most = self.length
            yield Problem(f"{_title(name)} must be between {least} and {most} characters", name)
        elif isinstance(value, str) and self.pattern and not re.fullmatch(self.pattern, value):
            yield Problem(self.says or f"{name} is not valid", name)
        elif self.choices and value not in self.choices:
            known = ", ".join(str(choice) for choice in self.choices)
            yield Problem(f"{name} is not valid: must be one of {known}", name)
        elif self.within and not self.within[0] <= value <= self.within[1]:
            yield Problem(f"{_title(name)} must be between {self.within[0]} and {self.within[1]}", name)


Number = float | int
"""The shape of what may have decimals."""


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _place(name: str, location: Iterable[object]) -> str:
    """Where in a field something is: the positions of lists and the names of keys, without pydantic's own words."""
    return ".".join((name, *(str(part) for part in location if isinstance(part, int) or str(part).isidentifier())))


Course = tuple[tuple[str, float], ...]
"""The states that an object goes through before it is what was asked, each with its seconds at the cloud."""


@dataclass
class Change:
    """One creation or update while it is judged: rules read it, `complete` fills in what only the cloud knows.

    `action` is what is done to the object: "create", "update", or an action of its kind's own; `complete` may give an
    update the name of the action that it is.
    """

    tx: Transaction
    account: str
    kind: "Kind"
    id: str
    given: Body
    before: Body | None
    body: Body
    private: Body
    action: str

    def value(self, name: str) -> Any:
        """A field's value after the change, wherever it is kept."""
        return self.private.get(name) if self.kind.is_private(name) else self.body.get(name)

    def set(self, name: str, value: Any) -> None:
        """Gives a field a value, wherever it is kept."""
        (self.private if self.kind.is_private(name) else self.body)[name] = value

    def changed(self, *names: str) -> bool:
        """Whether one of these fields was given and is not what it was."""
        return any(name in self.given and self.given[name] != (self.before or {}).get(name) for name in names)

    def other(self, kind: str, identity: object) -> Record | None:
        """Another object of the same account."""
        found = self.tx.get(kind, identity)
        return found if found and found.account == self.account else None


Rule = Callable[[Change], Iterable[Problem]]


@dataclass(frozen=True)
class Action:
    """What can be done to an object beside making, changing and deleting it: its name, and what it is told.

    `do` says what forbids it, and changes the object where nothing does.
    """

    name: str
    do: Rule
    fields: Mapping[str, Field] = field(default_factory=dict)

    def read(self, given: Body) -> Body:
        """What it is told, whole: with the defaults. Raises Refused where that is not what its fields say."""
        known = {name: given.get(name) for name in self.fields}
        missing = [name for name, rule in self.fields.items() if rule.required and known[name] is None]
        if missing:
            raise _required(missing)
        read = {
            name: rule.default if known[name] is None else rule.read(name, known[name])
            for name, rule in self.fields.items()
        }
        told = [(name, value) for name, value in read.items() if known[name] is not None]
        found = [problem for name, value in told for problem in self.fields[name].problems(name, value)]
        if found:
            raise Refused(400, *found)
        return read


def _nothing(*_: Any) -> tuple[()]:
    return ()


def _bare(_: Transaction, record: Record) -> Body:
    return record.body


def _empty(*_: object) -> Body:
    return {}


@dataclass(frozen=True)
class Kind:
    """One kind of object: its fields, and the rules that need more than one field or object.

    `rules` are asked in order, until one finds problems: each may rely on those before it. `key`: its natural key,
    from which its id comes (or is it, where `make_id` is None). `taken`: what is said when another object has that
    key (None: keys may repeat). `complete` fills in what only the cloud knows. `links`: what it refers to, as
    (relation, target); when a target is deleted, its "entity:KIND" links' objects go with it. `present` makes the
    object's own answer, `beside` what is answered at addresses below its own, `reveal` (of body and private) what
    only the answer to its creation shows. `keeps`: what forbids deleting it, by the relation of the links to it: the
    status and what is said. `course` is what the object goes through at a change; while it does, whatever has a
    course again is refused as `busy`. `notices` tells the account of a change, by its action.
    """

    name: str
    fields: Mapping[str, Field]
    key: Callable[[Body], str]
    make_id: Callable[..., int | str] | None = ids.number
    taken: Problem | None = None
    rules: tuple[Rule, ...] = ()
    complete: Callable[[Change], None] = _nothing  # type: ignore[assignment]
    parent: Callable[[Body], tuple[str, object]] | None = None
    links: Callable[[Body], Iterable[tuple[str, object]]] = _nothing
    present: Callable[[Transaction, Record], Body] = _bare
    beside: Callable[[Transaction, Record], Body] = _empty
    reveal: Callable[[Body, Body], Body] = _empty
    keeps: Mapping[str, tuple[int, Problem]] = field(default_factory=dict)
    limit: int | None = None
    over_limit: Problem = Problem("Account limit reached")
    course: Callable[[Change], Course] = _nothing
    busy: Problem = Problem("Linode busy.")
    notices: Callable[[Transaction, Record, str], None] = _nothing  # type: ignore[assignment]
    stamps: tuple[str, str] = ("created", "updated")
    time: Callable[[datetime], str] = lambda now: now.strftime("%Y-%m-%dT%H:%M:%S")

    def is_private(self, name: str) -> bool:
        """Whether a field is not in the object's own answer."""
        return self.is_secret(name) or (name in self.fields and self.fields[name].hidden)

    def is_secret(self, name: str) -> bool:
        """Whether a field is in no answer."""
        return name in self.fields and self.fields[name].write_only


class Model:
    """Both clouds' objects and their lives. Every method is one transaction; each raises Refused as the API would."""

    def __init__(self, store: Store, kinds: Iterable[Kind]) -> None:
        self._store = store
        self.kinds = {kind.name: kind for kind in kinds}

    def now(self) -> datetime:
        """The clouds' own time."""
        with self._store.transaction() as tx:
            return tx.now

    def move(self, seconds: float) -> datetime:
        """Moves the clouds' clock forward; the time after. Raises ValueError for a step back, or one too far."""
        if not 0 <= seconds < 10**9:
            raise ValueError("the clock moves forward only: give seconds from 0 to 1000000000")
        with self._store.transaction() as tx:
            return tx.move(seconds)

    def conditions(self) -> Body:
        """What is wrong in the clouds, by its kind: see `CONDITIONS`."""
        with self._store.transaction() as tx:
            return conditions(tx)

    def set_conditions(self, given: Any) -> Body:
        """Sets what is wrong, by its kind, each a list of names. Raises ValueError for a kind that is none."""
        whole = isinstance(given, dict) and given.keys() <= set(CONDITIONS)
        if not whole or not all(isinstance(names, list) for names in given.values()):
            raise ValueError(f"conditions are {', '.join(CONDITIONS)}, each a list of names")
        wanted = {name: [str(item) for item in given.get(name, ())] for name in CONDITIONS}
        for item in (*wanted["failing"], *wanted["slow"]):
            if not re.fullmatch(r".+=\d+(\.\d+)?", item):
                raise ValueError(f"{item} has no number: failing and slow are lists of SERVER=NUMBER")
        with self._store.transaction() as tx:
            tx.set("conditions", wanted)
        return wanted

    def create(self, account: str, kind: str, given: Body) -> Body:
        """Makes an object and returns what the API answers.

        Of the fields given, None stands for not given, and those that the API does not know are skipped, as there.
        """
        with self._store.transaction() as tx:
            return self._make(tx, account, self.kinds[kind], given)

    def _make(self, tx: Transaction, account: str, kind: Kind, given: Body) -> Body:
        given = {name: value for name, value in given.items() if name in kind.fields and value is not None}
        missing = [name for name, rule in kind.fields.items() if rule.required and name not in given]
        if missing:
            raise _required(missing)
        if kind.parent:
            parent_kind, parent = kind.parent(given)
            owned(tx, account, parent_kind, parent)
        whole = {name: given.get(name, rule.default) for name, rule in kind.fields.items()}
        change = Change(tx, account, kind, "", given, None, *_parted(kind, whole), "create")
        self._judge(change)
        if kind.limit is not None and tx.count(kind.name, account) >= kind.limit:
            raise Refused(400, kind.over_limit)
        key = kind.key(change.body)
        if kind.taken and key and tx.find(kind.name, account, key):
            raise Refused(400, kind.taken)
        change.id = key
        if kind.make_id:
            births = tx.births(kind.name, account, key)
            tried = ids.candidates(kind.make_id, kind.name, account, key, start=births)
            change.body = {"id": next(name for name in tried if not tx.get(kind.name, name)), **change.body}
            change.id = str(change.body["id"])
        elif kind.taken and tx.get(kind.name, key):  # another account's: such a name is one in the whole cloud
            raise Refused(400, kind.taken)
        change.body |= dict.fromkeys(kind.stamps, kind.time(tx.now))
        kind.complete(change)
        tx.born(kind.name, account, key)
        return self._write(change) | kind.reveal(change.body, change.private)

    def read(self, account: str, kind: str, identity: object) -> Body:
        """The object as the API presents it."""
        with self._store.transaction() as tx:
            return self.kinds[kind].present(tx, owned(tx, account, kind, identity))

    def read_whole(self, account: str, kind_name: str, identity: object) -> Body:
        """The object with all that the API answers about it at addresses below its own."""
        kind = self.kinds[kind_name]
        with self._store.transaction() as tx:
            record = owned(tx, account, kind_name, identity)
            kept = {name: value for name, value in record.private.items() if not kind.is_secret(name)}
            return {**kept, **kind.beside(tx, record), **kind.present(tx, record)}

    def remaining(self, account: str, kind: str, identity: object) -> float:
        """The seconds until an object has arrived at the end of its course; 0 where it is there, or there is none."""
        with self._store.transaction() as tx:
            record = tx.get(kind, identity)
            if record is None or record.account != account:
                return 0.0
            return max(0.0, arrives(record.private) - tx.now.timestamp())

    def select(self, account: str, kind: str) -> list[Body]:
        """An account's objects of a kind, by natural key."""
        with self._store.transaction() as tx:
            return [self.kinds[kind].present(tx, record) for record in tx.select(kind, account)]

    def page(self, account: str, kind: str, parent: str | None, start: int, count: int) -> tuple[list[Body], int]:
        """Some of an account's objects of a kind, by natural key, of one parent ("kind/id") or of all; and how many."""
        with self._store.transaction() as tx:
            found = tx.page(kind, account, parent, start, count)
            return [self.kinds[kind].present(tx, record) for record in found], tx.size(kind, account, parent)

    def find(self, account: str, kind: str, key: str) -> list[Body]:
        """An account's objects of a kind with that natural key."""
        with self._store.transaction() as tx:
            return [self.kinds[kind].present(tx, record) for record in tx.find(kind, account, key)]

    def update(self, account: str, kind_name: str, identity: object, given: Body, action: str = "update") -> Body:
        """Changes the fields given (None: back to the API's default); returns the object as it is now."""
        kind = self.kinds[kind_name]
        given = {name: value for name, value in given.items() if name in kind.fields}
        with self._store.transaction() as tx:
            record = owned(tx, account, kind_name, identity)
            emptied = [name for name, value in given.items() if value is None and kind.fields[name].required]
            if emptied:
                raise _required(emptied)
            defaulted = {name: kind.fields[name].default if value is None else value for name, value in given.items()}
            body, private = _parted(kind, defaulted)
            after = {**record.body, **body}, {**record.private, **private}
            change = Change(tx, account, kind, record.id, given, record.body, *after, action)
            self._judge(change)
            key = kind.key(change.body)
            if kind.taken and any(other.id != record.id for other in tx.find(kind.name, account, key)):
                raise Refused(400, kind.taken)
            change.body[kind.stamps[1]] = kind.time(tx.now)
            kind.complete(change)
            return self._write(change)

    def act(self, account: str, kind_name: str, identity: object, action: Action, given: Body) -> Body:
        """Does something to an object that is no mere change of its fields; returns the object as it is now."""
        kind = self.kinds[kind_name]
        with self._store.transaction() as tx:
            record = owned(tx, account, kind_name, identity)
            told, body = action.read(given), {**record.body}
            change = Change(tx, account, kind, record.id, told, record.body, body, {**record.private}, action.name)
            found = list(action.do(change))
            if found:
                raise Refused(400, *found)
            change.body[kind.stamps[1]] = kind.time(tx.now)
            kind.complete(change)
            return self._write(change)

    def ask(self, question: Callable[[Transaction], T]) -> T:
        """What a question finds out, in one transaction."""
        with self._store.transaction() as tx:
            return question(tx)

    def delete(self, account: str, kind: str, identity: object) -> None:
        """Deletes an object and what belongs to it."""
        with self._store.transaction() as tx:
            self._remove(tx, owned(tx, account, kind, identity))

    def _judge(self, change: Change) -> None:
        rules = change.kind.fields
        found: list[Problem] = []
        for name, value in change.given.items():
            if value is not None:
                change.given[name] = known = rules[name].read(name, value)
                change.set(name, known)
                found += rules[name].problems(name, known)
        if change.before is not None:
            fixed = [name for name in change.given if rules[name].fixed and change.changed(name)]
            found += [Problem(f"{name} cannot be changed", name) for name in fixed]
        judgements = (list(rule(change)) for rule in change.kind.rules)
        found = found or next(filter(None, judgements), [])
        if found:
            raise Refused(400, *found)
        for name, rule in rules.items():
            if rule.normal and change.body[name] is not None:
                change.body[name] = rule.normal(change.body[name])

    def _write(self, change: Change) -> Body:
        kind, parent = change.kind, None
        course = kind.course(change)
        if course:
            if state(change.tx, change.private) is not None:
                raise Refused(400, kind.busy)
            change.private["course"] = _timetable(change.tx, course)
        if kind.parent:
            parent = "/".join(str(part) for part in kind.parent(change.body))
        record = Record(
            kind.name, change.id, change.account, kind.key(change.body), parent, change.body, change.private
        )
        change.tx.put(record, kind.links(change.body), "create" if change.before is None else "update")
        kind.notices(change.tx, record, change.action)
        return kind.present(change.tx, owned(change.tx, change.account, kind.name, change.id))

    def _remove(self, tx: Transaction, record: Record) -> None:
        for relation, (status, problem) in self.kinds[record.kind].keeps.items():
            if any(tx.linked(relation, record.id)):
                raise Refused(status, problem)
        dependents = [*tx.children(record.kind, record.id), *tx.linked(f"entity:{record.kind}", record.id)]
        for dependent in dependents:
            self._remove(tx, dependent)
        tx.remove(record)
        self.kinds[record.kind].notices(tx, record, "delete")


CONDITIONS = {
    "regions_down": "Linode regions by name: servers there are offline, their nodes DOWN, Cloudflare's probes fail; "
    "real databases and buckets there can't be reached",
    "killed": "servers by label or pattern (`us-prod-api-*`): as after a loss of power, until that is taken back",
    "failing": "servers by label or pattern, with a share (`us-prod-api-*=0.3`): of what their application answers, so "
    "much is a 500",
    "slow": "servers by label or pattern, with seconds (`us-prod-api-*=2.5`): their application answers so much later",
    "blind": "probe regions of Cloudflare by code: what is probed from there fails",
    "unbootable": "servers by label: they fail at their next boot",
    "unhealthy": "addresses, and names of servers, origins, databases and health checks: nodes are DOWN, probes fail, "
    "real databases take no connections",
}
"""What may be wrong, each by a list of names."""


def conditions(tx: Transaction) -> dict[str, list[str]]:
    """What is wrong in the clouds now, by its kind."""
    known: dict[str, list[str]] = tx.setting("conditions", {})
    return {name: known.get(name, []) for name in CONDITIONS}


def measure(items: Iterable[str], label: str) -> float:
    """The largest number that a condition's items (PATTERN=NUMBER) have for a label; 0 where it is under none."""
    parted = (item.rpartition("=") for item in items)
    return max((float(number) for pattern, _, number in parted if fnmatchcase(label, pattern)), default=0.0)


def state(tx: Transaction, private: Body) -> str | None:
    """The state in which an object is on its course now; None when it has arrived."""
    now = tx.now.timestamp()
    return next((name for name, until in private.get("course") or () if now < until), None)


def arrives(private: Body) -> float:
    """The time (seconds since 1970) at which an object has arrived; 0 where it never was on a course."""
    course = private.get("course") or ()
    return float(course[-1][1]) if course else 0.0


def moment(seconds: float) -> datetime:
    """The moment that is so many seconds after 1970 began."""
    return datetime.fromtimestamp(seconds, UTC)


def _timetable(tx: Transaction, course: Course) -> list[tuple[str, float]]:
    table, elapsed = [], 0.0
    for name, seconds in course:
        elapsed += seconds
        table.append((name, tx.after(elapsed)))
    return table


def _parted(kind: Kind, whole: Body) -> tuple[Body, Body]:
    """The fields that are in the object's own answer, and those that are kept beside it."""
    return (
        {name: value for name, value in whole.items() if not kind.is_private(name)},
        {name: value for name, value in whole.items() if kind.is_private(name)},
    )


def owned(tx: Transaction, account: str, kind: str, identity: object) -> Record:
    """An account's object. Raises Refused where it is none, or another's."""
    record = tx.get(kind, identity)
    if record is None or record.account != account:
        raise not_found()
    return record


def _title(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def allocate(tx: Transaction, relation: str, make: Callable[..., str], *parts: str) -> str:
    """The first address that `make` derives from `parts` and no other object of the relation has."""
    return next(address for address in ids.candidates(make, *parts) if not any(tx.linked(relation, address)))


def is_address(value: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
