"""Whatever fails, and whenever the job is killed: older copies are whole, no half counts, and the next run succeeds."""

import datetime as dt
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from copies import listing
from tests.copies import place as places
from tests.copies import proxy as proxies
from tests.copies.place import Place, finished

# More than a pipe holds, so that pg_dump is there for as long as restic reads.
TABLE = "create table orders as select id, md5(id::text) as word from generate_series(1, 5000) id"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places.made(tmp_path_factory.mktemp("faults"), TABLE) as place:
        place.seed(dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
        assert place.run("copy").code == 0
        yield place


@pytest.fixture
def place(shop: Place) -> Iterator[Place]:
    """The module's, with a copy of yesterday and one of today. Afterwards all is well, and another one is made."""
    yesterday = shop.copies()[-1]
    shop.proxy.well()
    yield shop
    shop.proxy.well()
    shop.configure()
    assert yesterday in shop.copies()[1:]
    shop.repository.prepare(known=True)
    shop.repository.check()
    mended = shop.make()
    assert shop.copies() == [mended.id, yesterday]


def request(method: str, kind: str) -> Callable[[str, str], bool]:
    """Whether a request is of this method, and about this kind of file."""
    return lambda asked, path: asked == method and path.startswith(f"/{places.BUCKET}/{kind}")


def dumping(place: Place, what: str = "pid") -> list[int]:
    """The server's processes that serve pg_dump, or what comes of them."""
    asked = f"select {what} from pg_stat_activity where application_name = 'pg_dump'"  # noqa: S608
    with psycopg.connect(make_conninfo(**place.cluster.superuser, dbname="postgres")) as connection:
        return [found for (found,) in connection.execute(asked.encode())]


def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_store_that_nobody_serves(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    place.configure(repository={"url": f"s3:http://127.0.0.1:{port}/{places.BUCKET}"})
    done = place.run("copy", "--by-hand")
    assert done.code == 1
    assert "the store can't be reached" in done.said


def test_a_store_that_refuses(place: Place) -> None:
    place.proxy.answer = proxies.denied
    done = place.run("copy", "--by-hand")
    assert done.code == 1
    assert "the store refuses our access key" in done.said


def test_a_store_that_is_slow(place: Place) -> None:
    place.proxy.delay = 0.05
    assert place.run("copy", "--by-hand").code == 0


@pytest.mark.parametrize("times", [1, 1000], ids=["once", "for long"])
def test_a_store_that_cuts_the_connection_while_it_gets_the_dump(place: Place, times: int) -> None:
    left = [proxies.CUT] * times
    sends = request("PUT", "data/")
    place.proxy.answer = lambda method, path: left.pop() if left and sends(method, path) else None
    done = place.run("copy", "--by-hand")
    assert done.code == int(times > 1)
    assert ("the store can't be reached" in done.said) == (times > 1)


def test_a_store_that_is_full(place: Place) -> None:
    place.proxy.answer = lambda method, path: proxies.FULL if request("PUT", "data/")(method, path) else None
    done = place.run("copy", "--by-hand")
    assert done.code == 1
    assert "the store is full" in done.said


def test_a_database_that_refuses(place: Place) -> None:
    place.configure(database={**place.database, "password": "another"})
    done = place.run("copy", "--by-hand")
    assert done.code == 1
    assert "password authentication failed" in done.said


def test_a_database_that_drops_the_connection_while_it_is_dumped(place: Place) -> None:
    # More than sockets hold, too: what is in them arrives, though the server has hung up.
    much = "select repeat(md5(id::text), 10) from generate_series(1, 50000) id"
    place.cluster.execute(place.database, f"create table much as {much}")

    def drop(method: str, path: str) -> None:
        if request("PUT", "locks/")(method, path) and not dropped:
            dropped.extend(dumping(place, "pg_terminate_backend(pid)"))

    dropped: list[int] = []
    place.proxy.answer = drop
    done = place.run("copy", "--by-hand")
    assert dropped
    assert done.code == 1
    assert "pg_dump ended with 1" in done.said
    place.cluster.execute(place.database, "drop table much")
    assert not [path for method, path in place.proxy.requests if request("PUT", "snapshots/")(method, path)]


@dataclass
class Kill:
    """Kills a job when its `number`-th request comes that `fits`, which the store gets or does not get."""

    fits: Callable[[str, str], bool]
    number: int = 1
    arrives: bool = False
    how: signal.Signals = signal.SIGKILL
    pid: int = 0
    orphans: list[Path] = field(default_factory=list)
    came: int = 0

    def __call__(self, method: str, path: str) -> bytes | None:
        self.came += self.fits(method, path)
        if not self.orphans and self.came == self.number and self.fits(method, path):
            threads = Path(f"/proc/{self.pid}/task").glob("*/children")
            self.orphans = [Path("/proc", child) for each in threads for child in each.read_text().split()]
            os.kill(self.pid, self.how)
            if self.how is signal.SIGKILL:
                until(lambda: not any(each.exists() for each in self.orphans))
            return None if self.arrives else proxies.CUT
        return None


def killed(place: Place, kill: Kill) -> int:
    """Make a copy and kill it; return how it ended, once nothing that it started runs any more."""
    job = place.start("copy", "--by-hand")
    kill.pid = job.pid
    place.proxy.answer = kill
    code = finished(job).code
    until(lambda: not any(each.exists() for each in kill.orphans))
    until(lambda: not dumping(place))
    return code


MOMENTS = {
    "while it dumps": (Kill(request("PUT", "locks/")), 0),
    "while the dump is sent": (Kill(request("PUT", "data/")), 0),
    "when the dump is there and the record is not": (Kill(request("PUT", "snapshots/"), arrives=True), 1),
    "before the record is there": (Kill(request("PUT", "snapshots/"), number=2), 2),
    "while older ones are forgotten": (Kill(request("DELETE", "snapshots/")), 2),
    "while room is given back": (Kill(request("DELETE", "data/"), arrives=True), 2),
}
"""When it is killed, and how many snapshots are begun to be stored by then: nothing goes on without it."""

WHOLE = {"while older ones are forgotten", "while room is given back"}
"""When the new copy is there already."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_that_is_killed_leaves_nothing_running_and_no_half_that_counts(place: Place, moment: str) -> None:
    kill, begun = MOMENTS[moment]
    before = place.copies()
    place.proxy.well()
    assert killed(place, kill) == -signal.SIGKILL
    assert kill.orphans
    assert [request("PUT", "snapshots/")(*each) for each in place.proxy.requests].count(True) == begun
    place.proxy.well()
    assert bool(set(place.copies()) - set(before)) == (moment in WHOLE)


def test_a_job_that_is_asked_to_end_takes_its_lock_away(place: Place) -> None:
    assert killed(place, Kill(request("PUT", "data/"), how=signal.SIGTERM)) == 1
    assert not list(place.bucket.glob("locks/*"))


def test_a_job_that_is_killed_before_and_after_any_write(place: Place, exhaustive: bool) -> None:
    if not exhaustive:
        pytest.skip("only with --all")
    code, writes = -signal.SIGKILL, 0
    while code:  # until it has fewer writes than that
        writes += 1
        for arrives in (False, True):
            older = place.copies()
            code = killed(place, Kill(lambda method, _path: method in {"PUT", "DELETE"}, writes, arrives))
            place.proxy.well()
            assert older[-1] in place.copies()[1:]
            place.repository.prepare(known=True)
            place.repository.check()
            place.make()
            place.repository.forget([half.id for half in listing.halves(place.repository.snapshots())])
    assert writes > 20
