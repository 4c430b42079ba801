"""The file that says which database is copied where: JSON, and private, as it holds secrets."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

REQUIRED = ("host", "dbname", "user", "password", "sslmode")
"""What must be said of a database: libpq would take something else for it than was meant."""

VARIABLES = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "options": "PGOPTIONS",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "user": "PGUSER",
}
"""What may be said of a database: libpq's parameters, and the environment variable of each."""

NOTICES = {"keepalives_idle": "15", "keepalives_interval": "15", "tcp_user_timeout": "60000"}
"""Parameters by which a database that goes dark is noticed in about a minute; libpq has no variables for them."""

NOTICING = f"--dbname={' '.join(f'{name}={value}' for name, value in NOTICES.items())}"
"""The option that tells them to PostgreSQL's programs, which have the database itself from their environment."""


class ConfigError(Exception):
    """The configuration is wrong; `str()` says where and how."""


@dataclass(frozen=True)
class Store:
    """Where the copies are: restic's URL of an S3 bucket, and what opens it."""

    url: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str


@dataclass(frozen=True)
class Query:
    """A query of a restored database that must give one value, compared as text."""

    sql: str
    expects: str


@dataclass(frozen=True)
class Alarm:
    """Who is told of what fails, from which address, and the SMTP relay's URL."""

    smtp: str = field(repr=False)
    sender: str = field(metadata={"key": "from"})
    to: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """What the file says, key by key.

    `database` has libpq's parameters, `hour` is when the daily copy is due (UTC), `programs` the folder of PostgreSQL's
    programs, and `patience` the seconds for which a store that fails is tried again.
    """

    stack: str
    environment: str
    version: int
    database: dict[str, str] = field(repr=False)
    repository: Store
    key: str = field(repr=False)
    kept: int = 30
    hour: int = 2
    queries: tuple[Query, ...] = ()
    alarm: Alarm | None = None
    programs: str = ""
    restic: str = "restic"
    patience: int = 300

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.stack}/{self.environment}"

    def program(self, name: str) -> Path:
        """Return where one of PostgreSQL's programs is; Debian has a folder a version."""
        return Path(self.programs or f"/usr/lib/postgresql/{self.version}/bin", name)


def read(file: Path) -> Config:
    """Return what a file says.

    Raises:
        ConfigError: it can't be read, or a key of it is missing, unknown or wrong. No value is repeated.
    """
    config: Config = _value(Config, _json(file), f"{file}: ")
    check(config.database, f"{file}: database.")
    if not config.repository.url.startswith(("s3:https://", "s3:http://")):
        raise ConfigError(f"{file}: repository.url must be s3:https://HOST/BUCKET")
    if config.kept < 1 or config.hour not in range(24):
        raise ConfigError(f"{file}: kept must be at least 1, and hour one of 0 to 23")
    return config


def database(file: Path) -> dict[str, str]:
    """Return the parameters of another database, from a file that holds nothing else.

    Raises:
        ConfigError: as `read`.
    """
    parameters: dict[str, str] = _value(dict[str, str], _json(file), f"{file}: ")
    check(parameters, f"{file}: ")
    return parameters


def check(parameters: Mapping[str, str], where: str) -> None:
    """Refuse the parameters of a database that PostgreSQL's programs can't be given. Raises ConfigError."""
    for name in REQUIRED:
        if not parameters.get(name):
            raise ConfigError(f"{where}{name} is missing")
    for name in parameters:
        if name not in VARIABLES:
            raise ConfigError(f"{where}{name} is no parameter that is known here")


def variables(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that makes PostgreSQL's programs connect: arguments are for everybody to read."""
    return {VARIABLES[name]: value for name, value in parameters.items()}


def connecting(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with which we connect to a database that may go dark meanwhile."""
    return {**NOTICES, **parameters}


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except ValueError:  # which would repeat what it found
        raise ConfigError(f"{file}: is not JSON") from None


def _value(kind: Any, value: Any, where: str) -> Any:
    """Return a value of the file as the type that it is declared as."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        return _made(kind, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(inner[0], each, f"{where}[{index}].") for index, each in enumerate(value))
    if origin is dict and isinstance(value, dict) and all(isinstance(each, str | int) for each in value.values()):
        return {name: str(each) for name, each in value.items()}
    if NoneType in inner:
        return None if value is None else _value(inner[0], value, where)
    if kind in (str, int) and type(value) is kind:
        return value
    raise ConfigError(f"{where.rstrip('.: ')} must be {getattr(origin or kind, '__name__', kind)}")


def _made(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    known = {each.metadata.get("key", each.name): each for each in fields(kind)}
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}{key} is unknown")
    for key, each in known.items():
        if key not in values and each.default is MISSING:
            raise ConfigError(f"{where}{key} is missing")
    types = get_type_hints(kind)
    return kind(**{known[key].name: _value(types[known[key].name], values[key], f"{where}{key}.") for key in values})
