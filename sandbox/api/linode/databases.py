"""PostgreSQL databases, their credentials and certificate."""

from collections.abc import Callable

from sandbox.api.linode.common import collection, reads, served
from sandbox.api.route import Call, Route
from sandbox.linode import databases
from sandbox.model import Body, Problem, Refused

_PATH, _SCOPE = "/databases/postgresql/instances", "databases"
_NOT_YET = Refused(400, Problem("The database must be active to see this."))


def _addressed(database: Body) -> Body:
    return {**database, "instance_uri": databases.ENTITY.url.format(**database)}


DATABASES = collection(_PATH, databases.NAME, "PostgreSQL database", _SCOPE)
ALL = collection(
    "/databases/instances", databases.NAME, "database", _SCOPE, shows=_addressed, verbs=frozenset({"list"})
)


def _kept(name: str) -> Callable[[Call], Body]:
    def read(call: Call) -> Body:
        found = call.model.read_whole(call.account, databases.NAME, call.path["id"])
        if found["status"] == databases.PROVISIONING:
            raise _NOT_YET
        kept: Body = found[name]
        return kept

    return read


ROUTES: tuple[Route, ...] = (
    *served(DATABASES.routes(), "private_network"),
    *ALL.routes(),
    reads(f"{_PATH}/{{id}}/credentials", "shows a database's user and password", _kept("credentials"), _SCOPE),
    reads(f"{_PATH}/{{id}}/ssl", "shows a database's certificate", _kept("ssl"), _SCOPE),
)
