"""Every kind of fault, once, at every request of a run: of a first one, and of one after edits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fixtures.compare_with_expected import differences, differences_of_meta
from tests.fixtures.databases import MakeDatabase
from tests.nightly.machine.actions import do, open_project
from tests.nightly.machine.fresh_databases import EmptiedPostgres, FreshDatabase, FreshSqlite
from tests.nightly.machine.harness import Disturbance, Harness, Planted
from tests.nightly.machine.oracle import contradictions
from versionsync.simulator import FaultKind, SimulatorOptions, World
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome

RUN = SyncOptions(wait_until_settled=False, quick_check_from=0)
MOST_REQUESTS = 40
ACTS = ("edit", "publish", "create", "delete", "add_field", "publish_one_locale")


@pytest.mark.parametrize("kind", sorted(FaultKind))
@pytest.mark.parametrize("is_first", [True, False], ids=["first run", "later run"])
def test_a_fault_at_any_request_is_survived_on_sqlite(
    sqlite_template: Path, tmp_path: Path, kind: FaultKind, is_first: bool
) -> None:
    """The run says how it went; the next quiet one makes mirror and events as the truth is."""
    hit_every_request(FreshSqlite(sqlite_template, tmp_path), kind, is_first=is_first)


@pytest.mark.postgres
@pytest.mark.parametrize("kind", [FaultKind.INTERNAL_ERROR, FaultKind.RESET, FaultKind.EMPTY_PAGE, FaultKind.STALE])
def test_a_fault_at_any_request_is_survived_on_postgresql(
    make_postgres_database: MakeDatabase, kind: FaultKind
) -> None:
    """As on SQLite, with one fault of each sort."""
    hit_every_request(EmptiedPostgres(make_postgres_database()), kind, is_first=False)


def hit_every_request(database: FreshDatabase, kind: FaultKind, *, is_first: bool) -> None:
    """One project and one mirror for each request of the run."""
    for nth in range(1, MOST_REQUESTS):
        with opened(database, is_first=is_first) as harness:
            before = harness.requests
            report = harness.run(RUN, Disturbance(faults=[Planted(kind, nth)]))
            assert report is not None
            # A run that failed before its fault was only slow: under the fault a client has little patience.
            if harness.requests - before < nth and report.outcome is not Outcome.FAILED:
                assert nth > 5, "a run of so few requests proves nothing"
                return
            assert (report.error is not None) == (report.outcome is Outcome.FAILED)
            with harness.mirror.read() as connection:
                assert list(contradictions(connection, harness.listed())) == [], nth
            harness.wait(60)
            report = harness.run(RUN)
            assert report is not None
            assert report.outcome is Outcome.SUCCEEDED, (nth, report)
            assert differences(harness.mirror, harness.truth("main")) == [], nth
            assert differences_of_meta(harness.mirror, harness.listed()) == [], nth
    raise AssertionError(f"a run of so small a project takes {MOST_REQUESTS} requests")


@contextmanager
def opened(database: FreshDatabase, *, is_first: bool) -> Iterator[Harness]:
    """A project of a few records, and where `is_first` is not so, its mirror and a few acts since."""
    with ExitStack() as stack:
        mirror, _ = stack.enter_context(database.open())
        harness = Harness(mirror, switches=SimulatorOptions(), skew=timedelta(0), page=2)
        harness.open()
        stack.callback(harness.close)
        harness.simulator.act(lambda world: open_project(world, records=3))
        if not is_first:
            harness.wait(60)
            harness.run(RUN)
        harness.wait(60)
        harness.simulator.act(some_acts)
        yield harness


def some_acts(world: World) -> None:
    """A few of the editors' acts, each a minute after the last."""
    for number, name in enumerate(ACTS):
        world.clock.advance(timedelta(minutes=1))
        do(world, name, number)
