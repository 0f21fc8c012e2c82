"""Whatever the database does in the middle of a run, the run says it in one line, and the next one makes it right.

These are the faults of a SQLite file, and the loss of the lease; those of a server are in `test_server_faults.py`.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, make_url, select, text

from tests.fixtures.fault_injection import DisturbedMirror, Moment
from tests.fixtures.kill_loop import EVER, WRITES, KillLoop, end_lease, everywhere, failed, kill_loop, succeeded
from versionsync.cli.exit_codes import ExitCode, error_report
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseLost
from versionsync.mirror.schema import runs
from versionsync.mirror.schema.migrate import upgrade
from versionsync.mirror.tables.leases import Holder, acquire

SHORT_SECONDS = 0.1
ELSEWHERE = Holder("elsewhere", 1, start=5, boot_id="another kernel", pid_namespace="pid:[1]")


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
        lambda sync_env: lambda _: lock.take(file_of(sync_env.mirror)),
        failed("is locked by another program that writes to it: stop that program, or try again later"),
        moment=Moment.BEFORE,
        mend=lambda _: lock.give_back(),
    )


def test_a_lock_that_ends_in_time_is_waited_for(make_file: Callable[[], str]) -> None:
    """As another program's short transactions are."""
    lock = Lock()

    def hold_for_a_moment(sync_env: KillLoop) -> None:
        lock.take(file_of(sync_env.mirror))
        threading.Timer(SHORT_SECONDS / 2, lock.give_back).start()

    with kill_loop(make_file().replace(str(SHORT_SECONDS), "20")) as sync_env:
        for _ in range(2):
            sync_env.mirror.plant(lambda _: hold_for_a_moment(sync_env), moment=Moment.BEFORE, times=EVER)
            succeeded(sync_env.sync_and_tell())
            assert sync_env.mirror.happened >= 5
            sync_env.make_it_right()
            sync_env.edit()


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
        lambda sync_env: fill,
        failed("cannot grow: the disk is full; free some space, then run this again"),
        moment=Moment.DONE,
        mend=lambda sync_env: sync_env.mirror.close(),  # the limit is its connections' own
    )


@pytest.mark.parametrize("what", ["deleted", "replaced"])
def test_a_file_that_is_not_there_any_more_is_noticed(
    what: str, make_file: Callable[[], str], sqlite_template: Path, tmp_path: Path
) -> None:
    """Nothing is written to a file without a name, nor to another file with its name. A new run is right."""
    other = tmp_path / "elsewhere.db"

    def act(path: Path) -> None:
        if what == "deleted":
            path.unlink(missing_ok=True)
        else:
            shutil.copy(sqlite_template, other)
            other.replace(path)

    for nth in (1, 4, 5):
        url = make_file()
        with kill_loop(url) as sync_env:
            path = file_of(sync_env.mirror)
            sync_env.mirror.plant(lambda _, path=path: act(path), nth=nth, moment=Moment.BEFORE)
            failed("was deleted, moved or replaced while it was in use", "run this again")(sync_env.sync_and_tell())
            failed("was deleted, moved or replaced while it was in use")(sync_env.sync_and_tell())
            if what == "replaced":
                assert path.read_bytes() == sqlite_template.read_bytes()
            upgrade(url)
            with DisturbedMirror.open(url) as sync_env.mirror:
                sync_env.make_it_right()


@pytest.mark.parametrize("table", ["runs", "versions", "events"])
def test_a_damaged_file_ends_the_run_and_its_backup_goes_on(
    table: str, make_file: Callable[[], str], tmp_path: Path
) -> None:
    """Wherever the damage is met. What was committed since the backup is mirrored again."""
    url, backup = make_file(), tmp_path / "backup.db"
    with kill_loop(url) as sync_env:
        path = file_of(sync_env.mirror)
        sync_env.make_it_right()
        sync_env.mirror.close()
        shutil.copy(path, backup)
        with sqlite3.connect(path) as looking:
            (page,) = looking.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
            (size,) = looking.execute("PRAGMA page_size").fetchone()
        looking.close()
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xaa" * size)
        sync_env.edit()
        with DisturbedMirror.open(url) as sync_env.mirror:
            failed("is damaged: restore it from a backup")(sync_env.sync_and_tell())
        shutil.copy(backup, path)
        with DisturbedMirror.open(url) as sync_env.mirror:
            sync_env.make_it_right()


@pytest.mark.both_databases
def test_a_lease_that_is_lost_ends_the_run(database_url: str) -> None:
    """At whatever it would write next; it writes no more, and says who has the source now."""
    with kill_loop(database_url) as sync_env:
        sync_env.make_it_right()
        for nth in range(3, WRITES):
            sync_env.edit()
            seen: list[object] = []
            sync_env.mirror.plant(partial(take_over, database_url, seen), nth=nth, moment=Moment.BEFORE)
            report = sync_env.sync_and_tell()
            assert isinstance(report.error, LeaseLost)
            assert "process 1 on elsewhere has taken it" in str(report.error)
            assert "run this again" in str(report.error)
            assert error_report(report.error).exit is ExitCode.LOCKED
            assert [rows(sync_env.mirror)] == seen
            sync_env.make_it_right()


def take_over(url: str, seen: list[object], _: Connection | None) -> None:
    """Let another process take the lease, and put what the mirror has then into `seen`."""
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
