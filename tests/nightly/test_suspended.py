"""A process that is stopped, and woken when another has taken its place, writes nothing more (invariant 8).

The real program, SIGSTOP and SIGCONT; the half minute after which a lease has ended is told to the database.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text

from tests.fixtures.compare_with_expected import differences, emitted_events
from tests.fixtures.kill_loop import end_lease
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.cli.exit_codes import ExitCode
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.mirror.schema import runs
from versionsync.simulator import Clock, FaultKind, Faults, World
from versionsync.simulator.scenarios.bulk import build_bulk

RECORDS = 300
SLOW_SECONDS = (0.1, 0.3)
PATIENCE_SECONDS = 120.0


class Program:
    """The installed program, syncing a sync_env's project into its mirror."""

    def __init__(self, sync_env: SyncEnv, database_url: str, folder: Path) -> None:
        self._folder = folder
        self._environment = sync_env.environ(database_url)

    @contextmanager
    def syncing(self) -> Iterator[subprocess.Popen[str]]:
        """A sync while the block runs; it is killed if it still lives at the end."""
        with subprocess.Popen(
            [sys.executable, "-m", "versionsync", "sync"],
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def sync(self) -> tuple[int, str]:
        """The exit code of a whole sync, and what it said to a person."""
        with self.syncing() as process:
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, said


def until(happens: Callable[[], object]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def versions(mirror: Mirror) -> int:
    """How many there are."""
    with mirror.read() as connection:
        return connection.scalar(text("SELECT count(*) FROM versions")) or 0


def outcomes(mirror: Mirror) -> list[str]:
    """Of all runs."""
    with mirror.read() as connection:
        return list(connection.scalars(select(runs.c.outcome).order_by(runs.c.id)))


def stop_between_transactions(process: subprocess.Popen[str], database_url: str) -> None:
    """Stop it where it keeps no lock: within a transaction nobody could take its place."""
    while True:
        process.send_signal(signal.SIGSTOP)
        until(lambda: (Path("/proc") / str(process.pid) / "stat").read_text().rpartition(")")[2].split()[0] == "T")
        if is_free(database_url):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.02)


def is_free(database_url: str) -> bool:
    """Whether the lease can be written to at once."""
    is_sqlite = database_url.startswith("sqlite")
    with Mirror.open(database_url + ("?timeout=0" if is_sqlite else "")) as mirror:
        try:
            with mirror.write() as tx:
                tx.execute(text("SELECT 1 FROM leases" + ("" if is_sqlite else " FOR UPDATE NOWAIT")))
        except DatabaseUnavailable:
            return False
    return True


@pytest.fixture
def faults() -> Faults:
    """Upstream answers slowly, until a test says otherwise."""
    return Faults(seed=1, slow_seconds=SLOW_SECONDS, rates={FaultKind.SLOW: 1.0})


@pytest.fixture
def sync_env(make_sync_env: MakeSyncEnv, faults: Faults) -> SyncEnv:
    """A project that is large enough to be stopped in the middle of."""
    world = World(seed=1, clock=Clock.stopped(START))
    build_bulk(world, records=RECORDS, versions=2)
    sync_env = make_sync_env(world, faults=faults)
    sync_env.wait(60)
    return sync_env


def test_a_stopped_process_that_was_overtaken_writes_nothing_more(
    sync_env: SyncEnv, faults: Faults, database_url: str, tmp_path: Path
) -> None:
    """It ends with code 7 and says why; the other one's mirror is as if it had been alone."""
    program = Program(sync_env, database_url, tmp_path)
    with program.syncing() as stopped:
        until(lambda: versions(sync_env.mirror) > 0)
        stop_between_transactions(stopped, database_url)
        assert 0 < versions(sync_env.mirror) < 2 * RECORDS, "it was stopped too late: the test is void"
        faults.rates = {}
        code, said = program.sync()
        assert code == ExitCode.LOCKED, said
        assert f"is being written by process {stopped.pid} on " in said
        end_lease(sync_env.mirror)
        code, said = program.sync()
        assert code == ExitCode.OK, said
        assert differences(sync_env.mirror, sync_env.truth()) == []
        before = emitted_events(sync_env.mirror), outcomes(sync_env.mirror)

        stopped.send_signal(signal.SIGCONT)
        _, said = stopped.communicate(timeout=PATIENCE_SECONDS)
    assert stopped.returncode == ExitCode.LOCKED, said
    assert "the lease of source 1 (epoch 1) is over: another process has had it since" in said
    assert "run this again" in said
    assert "Traceback" not in said
    assert (emitted_events(sync_env.mirror), outcomes(sync_env.mirror)) == before
    assert outcomes(sync_env.mirror) == ["interrupted", "succeeded"]


def test_a_stopped_process_that_nobody_followed_goes_on(
    sync_env: SyncEnv, faults: Faults, database_url: str, tmp_path: Path
) -> None:
    """Its lease has ended, but is still its own: nothing was missed."""
    program = Program(sync_env, database_url, tmp_path)
    with program.syncing() as stopped:
        until(lambda: versions(sync_env.mirror) > 0)
        stop_between_transactions(stopped, database_url)
        faults.rates = {}
        end_lease(sync_env.mirror)
        stopped.send_signal(signal.SIGCONT)
        _, said = stopped.communicate(timeout=PATIENCE_SECONDS)
    assert stopped.returncode == ExitCode.OK, said
    assert differences(sync_env.mirror, sync_env.truth()) == []
    assert outcomes(sync_env.mirror) == ["succeeded"]
