"""Whatever the database does in the middle of a run, the run says it in one line, and the next one makes it right.

The faults are the databases' own: a lock that is held, a disk that is full, a server that ends a connection.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, make_url, select, text, update

from tests.fixtures.comparing import differences
from tests.fixtures.databases import MakeDatabase
from tests.fixtures.disturbed import DisturbedMirror, Fault, Moment, Side
from tests.fixtures.lab import START, Lab
from tests.fixtures.newsroom import Newsroom
from versionsync.cli.exits import Exit, problem_of
from versionsync.mirror.clock import database_time
from versionsync.mirror.database import TRIES, Mirror
from versionsync.mirror.errors import DatabaseUnavailable, LeaseLost, TransactionLost
from versionsync.mirror.leases import Holder, acquire
from versionsync.mirror.migrate import upgrade
from versionsync.mirror.sources import source
from versionsync.mirror.tables import leases, runs
from versionsync.simulator import Clock, SimulatorThread, World
from versionsync.sync.report import Outcome, RunReport

RECORDS = 10
ACTS = 5
WRITES = 6
"""How many transactions a run has at least that write, and how many that read."""
READS = 6
SHORT_SECONDS = 0.1
ELSEWHERE = Holder("elsewhere", 1, start=5, boot_id="another kernel", pid_namespace="pid:[1]")
TIMES_WITHOUT_END = 1_000


class Ordeal(Lab):
    """A project in the hands of its editors, and a mirror that can be disturbed."""

    mirror: DisturbedMirror

    def __init__(self, simulator: SimulatorThread, mirror: DisturbedMirror) -> None:
        super().__init__(simulator, mirror)
        self._newsroom = Newsroom(1)
        self.act(lambda world: self._newsroom.open(world, records=RECORDS))

    @property
    def url(self) -> str:
        """The mirror's, with all that is secret."""
        return self.mirror._engine.url.render_as_string(hide_password=False)

    def edit(self) -> None:
        """Editors change something, which the next run has to find."""
        for _ in range(ACTS):
            self.act(self._newsroom.act)

    def sync_and_tell(self) -> RunReport:
        """One run that says honestly how it went: succeeded, or one line for a person and the exit code for it."""
        report = self.sync()
        assert report.outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
        assert (report.error is None) is (report.outcome is Outcome.SUCCEEDED)
        if report.error is not None:
            problem = problem_of(report.error)
            assert problem.exit in (Exit.DATABASE, Exit.LEASE), report.error
            assert "\n" not in str(report.error)
        return report

    def make_it_right(self, *, after: RunReport | None = None) -> None:
        """A quiet run, unless the one before it succeeded: it succeeds. Mirror and events are the truth then.

        It comes when the lease of the one before it has ended.
        """
        self.mirror.leave_alone()
        if after is None or after.outcome is not Outcome.SUCCEEDED:
            end_lease(self.mirror)
            report = self.sync()
            assert report.outcome is Outcome.SUCCEEDED, report
        with self.mirror.read() as connection:
            known = source(connection, self.spec.name)  # its number is not 1 where one was lost in a transaction
        assert known is not None
        assert differences(self.mirror, self.truth(), source_id=known.id) == []

    def outcomes(self) -> list[str]:
        """Of all runs that the database knows."""
        with self.mirror.read() as connection:
            return list(connection.scalars(select(runs.c.outcome).order_by(runs.c.id)))


def end_lease(mirror: Mirror) -> None:
    """As half a minute does."""
    with mirror.write() as tx:
        over = database_time(tx, seconds=-1)
        tx.execute(update(leases).where(leases.c.holder.is_not(None)).values(expires_at=over))


@contextmanager
def ordeal(url: str, *, outage_seconds: float = 10.0) -> Iterator[Ordeal]:
    """A new project, and a mirror of it at `url`."""
    world = World(seed=1, clock=Clock.stopped(START))
    with SimulatorThread(world) as simulator, DisturbedMirror.open(url, outage_seconds=outage_seconds) as mirror:
        yield Ordeal(simulator, mirror)


def everywhere(
    make_url: Callable[[], str],
    make_fault: Callable[[Ordeal], Fault],
    judge: Callable[[RunReport], object],
    *,
    moment: Moment,
    mend: Callable[[Ordeal], object] = lambda _: None,
) -> None:
    """The fault at each write of a backfill and of a later run, in turn; after each it is made right again."""
    nth, happened = 0, 1
    while happened:
        nth, happened = nth + 1, 0
        with ordeal(make_url()) as lab:
            fault = make_fault(lab)
            for _ in ("a backfill", "a later run"):
                lab.mirror.plant(fault, nth=nth, moment=moment)
                report = lab.sync_and_tell()
                if lab.mirror.happened:
                    judge(report)
                    happened += 1
                mend(lab)
                lab.make_it_right(after=report)
                lab.edit()
    assert nth > WRITES, "there were fewer transactions than there must be: the test is void"


def failed(*words: str) -> Callable[[RunReport], None]:
    """That the run failed for the database's sake, saying so."""

    def judge(report: RunReport) -> None:
        assert report.outcome is Outcome.FAILED
        assert isinstance(report.error, DatabaseUnavailable)
        assert [each for each in words if each not in str(report.error)] == [], str(report.error)
        assert problem_of(report.error).exit is Exit.DATABASE

    return judge


def succeeded(report: RunReport) -> None:
    """That nobody noticed."""
    assert report.outcome is Outcome.SUCCEEDED, report


# SQLite


@pytest.fixture
def make_file(tmp_path: Path, sqlite_template: Path) -> Callable[[], str]:
    """Make an upgraded file; returns its URL, with a short patience for other writers."""

    def make() -> str:
        path = tmp_path / f"{uuid4().hex}.db"
        shutil.copy(sqlite_template, path)
        return f"sqlite:///{path}?timeout={SHORT_SECONDS}"

    return make


def file_of(mirror: Mirror) -> Path:
    """Where it is."""
    path = make_url(mirror.where).database
    assert path is not None
    return Path(path)


class Lock:
    """Another program's, on a SQLite file."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None

    def take(self, path: Path) -> None:
        """Wait for it, then hold it."""
        if self._connection is None:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("BEGIN IMMEDIATE")

    def give_back(self) -> None:
        """Let others write."""
        if self._connection is not None:
            self._connection.execute("ROLLBACK")
            self._connection.close()
            self._connection = None


def test_a_lock_that_lasts_too_long_ends_the_run(make_file: Callable[[], str]) -> None:
    """The other program is named as the reason, whatever the run was about to write."""
    lock = Lock()
    everywhere(
        make_file,
        lambda lab: lambda _: lock.take(file_of(lab.mirror)),
        failed("is locked by another program that writes to it: stop that program, or try again later"),
        moment=Moment.BEFORE,
        mend=lambda _: lock.give_back(),
    )


def test_a_lock_that_ends_in_time_is_waited_for(make_file: Callable[[], str]) -> None:
    """As another program's short transactions are."""
    lock = Lock()

    def hold_for_a_moment(lab: Ordeal) -> None:
        lock.take(file_of(lab.mirror))
        threading.Timer(SHORT_SECONDS / 2, lock.give_back).start()

    with ordeal(make_file().replace(str(SHORT_SECONDS), "20")) as lab:
        for _ in range(2):
            lab.mirror.plant(lambda _: hold_for_a_moment(lab), moment=Moment.BEFORE, times=TIMES_WITHOUT_END)
            succeeded(lab.sync_and_tell())
            assert lab.mirror.happened >= 5
            lab.make_it_right()
            lab.edit()


def test_a_full_disk_in_a_transaction_ends_the_run(make_file: Callable[[], str]) -> None:
    """Nothing of the transaction is there; with room again it all is."""

    def fill(tx: Connection | None) -> None:
        assert tx is not None
        size = tx.exec_driver_sql("PRAGMA page_count").scalar()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {size}")
        # The smallest thing that needs a page.
        tx.exec_driver_sql("CREATE TABLE one_page_more (id INTEGER PRIMARY KEY)")

    everywhere(
        make_file,
        lambda lab: fill,
        failed("cannot grow: the disk is full; free some space, then run this again"),
        moment=Moment.DONE,
        mend=lambda lab: lab.mirror.close(),  # the limit is its connections' own
    )


@pytest.mark.parametrize("what", ["deleted", "moved", "replaced"])
def test_a_file_that_is_not_there_any_more_is_noticed(
    what: str, make_file: Callable[[], str], sqlite_template: Path, tmp_path: Path
) -> None:
    """Nothing is written to a file that has no name, nor to another one under its name; a run from anew is right."""
    other = tmp_path / "elsewhere.db"

    def act(path: Path) -> None:
        match what:
            case "deleted":
                path.unlink(missing_ok=True)
            case "moved":
                path.replace(other)
            case _:
                shutil.copy(sqlite_template, other)
                other.replace(path)

    for nth in range(1, 6):
        url = make_file()
        with ordeal(url) as lab:
            path = file_of(lab.mirror)
            lab.mirror.plant(lambda _, path=path: act(path), nth=nth, moment=Moment.BEFORE)
            failed("was deleted, moved or replaced while it was in use", "run this again")(lab.sync_and_tell())
            failed("was deleted, moved or replaced while it was in use")(lab.sync_and_tell())
            if what == "replaced":
                assert path.read_bytes() == sqlite_template.read_bytes()
            upgrade(url)
            with DisturbedMirror.open(url) as lab.mirror:
                lab.make_it_right()


@pytest.mark.parametrize("table", ["runs", "versions", "events"])
def test_a_damaged_file_ends_the_run_and_its_backup_goes_on(
    table: str, make_file: Callable[[], str], tmp_path: Path
) -> None:
    """Wherever the damage is met. What was committed since the backup is mirrored again."""
    url, backup = make_file(), tmp_path / "backup.db"
    with ordeal(url) as lab:
        path = file_of(lab.mirror)
        lab.make_it_right()
        lab.mirror.close()
        shutil.copy(path, backup)
        with sqlite3.connect(path) as looking:
            (page,) = looking.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
            (size,) = looking.execute("PRAGMA page_size").fetchone()
        looking.close()
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xaa" * size)
        lab.edit()
        with DisturbedMirror.open(url) as lab.mirror:
            failed("is damaged: restore it from a backup")(lab.sync_and_tell())
        shutil.copy(backup, path)
        with DisturbedMirror.open(url) as lab.mirror:
            lab.make_it_right()


# PostgreSQL


@pytest.fixture
def end_connections(postgres_server: str) -> Iterator[Callable[[Mirror], None]]:
    """End all connections of a mirror to its server, as an administrator or a restart does."""
    with psycopg.connect(postgres_server, autocommit=True) as superuser:

        def end(mirror: Mirror) -> None:
            name = make_url(mirror.where).database
            pids = superuser.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [name]).fetchall()
            for (pid,) in pids:
                superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

        yield end


@contextmanager
def administrator(lab: Ordeal) -> Iterator[psycopg.Connection]:
    """Another connection to the mirror's database, each statement its own transaction."""
    url = make_url(lab.url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


@pytest.mark.postgres
@pytest.mark.parametrize("moment", Moment)
def test_a_connection_that_is_ended_is_replaced(
    moment: Moment, make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """At each write: what was not committed is done again, and nobody notices. Of a lost commit nobody knows."""
    everywhere(
        make_postgres_database,
        lambda lab: lambda _: end_connections(lab.mirror),
        succeeded if moment is not Moment.DONE else failed("lost the connection during a commit", "run this again"),
        moment=moment,
    )


@pytest.mark.postgres
def test_a_reading_that_is_ended_is_asked_again(
    make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """Each one that a run does."""
    with ordeal(make_postgres_database()) as lab:
        lab.make_it_right()
        for nth in range(1, READS + 1):
            lab.edit()
            lab.mirror.plant(lambda _: end_connections(lab.mirror), nth=nth, side=Side.READ)
            report = lab.sync_and_tell()
            assert lab.mirror.happened, "there were fewer transactions than there must be: the test is void"
            succeeded(report)
            lab.make_it_right(after=report)


@pytest.mark.postgres
def test_a_connection_that_is_ended_each_time_ends_the_run(
    make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """It is tried a few times, not for ever; what was written before stays."""
    with ordeal(make_postgres_database()) as lab:
        lab.mirror.plant(lambda _: end_connections(lab.mirror), nth=4, times=TIMES_WITHOUT_END)
        report = lab.sync_and_tell()
        failed("is shutting down or starting, or has ended our connection: try again later")(report)
        assert isinstance(report.error, TransactionLost)
        assert lab.mirror.happened == 2 * TRIES, "the work, then the noting of the outcome"
        lab.make_it_right()
        assert lab.outcomes() == ["interrupted", "succeeded"]


def fail_with(state: str) -> str:
    """SQL that lets the writing of versions fail with an error code of PostgreSQL's."""
    return f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$;
        CREATE TRIGGER fail AFTER INSERT ON versions FOR EACH STATEMENT EXECUTE FUNCTION fail();
    """


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("state", "words"),
    {
        "53100": "cannot grow: the server's disk is full; free some space, then run this again",
        "53200": "lacks a resource",
        "25006": "is read-only (a standby?): use the primary server",
        "57014": "cancelled the statement (statement_timeout?): raise the limit",
        "58030": "reports an error of its system (disk or files): see the server's log",
        "XX001": "reports an internal error, perhaps damage: see the server's log",
        "40P01": "could not keep this transaction apart from another one: try again",
    }.items(),
)
def test_what_the_server_refuses_ends_the_run(state: str, words: str, make_postgres_database: MakeDatabase) -> None:
    """Nothing of the batch is there, no record counts as seen; the outcome is recorded, since that can be written."""
    with ordeal(make_postgres_database()) as lab, administrator(lab) as connection:
        connection.execute(fail_with(state))
        failed(words)(lab.sync_and_tell())
        assert lab.outcomes() == ["failed"]
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (0,)
        connection.execute("DROP TRIGGER fail ON versions")
        lab.make_it_right()


@pytest.mark.postgres
def test_a_mirror_that_turns_read_only_ends_the_run(
    make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """As when a standby takes the place of a primary that is behind the same name."""
    with ordeal(make_postgres_database()) as lab:

        def turn(is_read_only: str) -> None:
            with administrator(lab) as connection:
                connection.execute("SET default_transaction_read_only = off")
                name = make_url(lab.mirror.where).database
                connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {is_read_only}')
            end_connections(lab.mirror)

        lab.mirror.plant(lambda _: turn("on"), nth=4, moment=Moment.BEFORE)
        failed("is read-only (a standby?): use the primary server")(lab.sync_and_tell())
        turn("off")
        lab.make_it_right()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("limit", "words"), [("lock_timeout", "is locked by another session"), ("statement_timeout", "raise the limit")]
)
def test_a_table_that_somebody_locks_ends_the_run(limit: str, words: str, make_postgres_database: MakeDatabase) -> None:
    """Where the user has set how long to wait."""
    with ordeal(make_postgres_database()) as lab, administrator(lab) as connection:
        connection.execute(f"ALTER DATABASE \"{make_url(lab.mirror.where).database}\" SET {limit} = '200ms'")
        with DisturbedMirror.open(lab.url) as lab.mirror, connection.transaction():
            connection.execute("LOCK TABLE versions IN SHARE MODE")
            failed(words)(lab.sync_and_tell())
            assert lab.outcomes() == ["failed"]
        with DisturbedMirror.open(lab.url) as lab.mirror:
            lab.make_it_right()


@pytest.mark.postgres
def test_of_a_deadlock_nobody_notices(make_postgres_database: MakeDatabase) -> None:
    """Somebody locks `versions`, which we want, and wants our lease's row; the server ends ours, and we try again."""
    with ordeal(make_postgres_database()) as lab, administrator(lab) as other:
        other.execute("SET deadlock_timeout = '1h'")  # it is for us to find it
        taken = threading.Event()

        def be_in_the_way() -> None:
            with other.transaction():
                other.execute("LOCK TABLE versions IN SHARE MODE")
                taken.set()
                with administrator(lab) as looking:
                    while not looking.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                        time.sleep(0.01)
                other.execute("UPDATE leases SET expires_at = expires_at")

        thread = threading.Thread(target=be_in_the_way)
        thread.start()
        assert taken.wait(10)
        report = lab.sync_and_tell()
        thread.join()
        succeeded(report)
        lab.make_it_right(after=report)
        with administrator(lab) as looking:
            looking.execute("SELECT pg_stat_force_next_flush()")
            deadlocks = looking.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        assert deadlocks == (1,)


# Both


def test_a_lease_that_is_lost_ends_the_run(database_url: str) -> None:
    """At whatever it would write next; it writes no more, and says who has the source now."""
    with ordeal(database_url) as lab:
        lab.make_it_right()
        for nth in range(3, WRITES):
            lab.edit()
            seen: list[object] = []
            lab.mirror.plant(partial(take_over, database_url, seen), nth=nth, moment=Moment.BEFORE)
            report = lab.sync_and_tell()
            assert isinstance(report.error, LeaseLost)
            assert "process 1 on elsewhere has taken it" in str(report.error)
            assert "run this again" in str(report.error)
            assert problem_of(report.error).exit is Exit.LEASE
            assert [rows(lab.mirror)] == seen
            lab.make_it_right()


def take_over(url: str, seen: list[object], _: Connection | None) -> None:
    """Another process takes the source; what the mirror held then is put into `seen`."""
    with Mirror.open(url) as theirs:
        end_lease(theirs)
        acquire(theirs, 1, ELSEWHERE)
        seen.append(rows(theirs))


def rows(mirror: Mirror) -> list[tuple[object, ...]]:
    """All that a holder of the lease may write, as far as it shows in numbers."""
    tables = ("events", "fields", "models", "records", "versions", "version_rewrites")
    with mirror.read() as connection:
        counts = [(name, connection.scalar(text(f"SELECT count(*) FROM {name}"))) for name in tables]
        finished = connection.scalars(select(runs.c.finished_at).order_by(runs.c.id)).all()
        return [*counts, tuple(finished)]
