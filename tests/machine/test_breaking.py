"""A machine that tries to break the mirror, end to end: real HTTP, the real engine, a real database.

It lets editors and administrators act at random, between runs and in the middle of them; runs of every kind go well, or
meet faults, are cancelled, overtaken, doubled. Whatever it did: what is committed never contradicts itself, and after a
quiet run mirror and events are as the truth. What it prints when it fails is the program that repeats it.

More by one command: VERSIONSYNC_TEST_EXAMPLES=1000 pytest tests/machine
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import select, update

from tests.fixtures.comparing import differences, differences_of_meta
from tests.fixtures.databases import MakeDatabase
from tests.machine.acts import CONTENT_ACTS, SCHEMA_ACTS, open_project
from tests.machine.fresh import EmptiedPostgres, FreshDatabase, FreshSqlite
from tests.machine.rig import Disturbance, Meanwhile, Planted, Rig
from tests.machine.witness import Witness, contradictions, written
from versionsync.mirror.errors import LeaseHeld, LeaseLost
from versionsync.mirror.tables import leases, sources
from versionsync.simulator import FaultKind, Switches
from versionsync.sync.report import Outcome, RunReport, SyncOptions

EXAMPLES = int(os.environ.get("VERSIONSYNC_TEST_EXAMPLES", "15"))
STEPS = 25
QUIET_RUNS = 3

# A 429 stops everybody for real seconds: it has tests of its own.
KINDS = sorted(set(FaultKind) - {FaultKind.THROTTLED, FaultKind.THROTTLED_BARE})

# Of versions alone the fourth old answer in a row is believed: content and publications can really go back.
LAGGING_VERSIONS = Planted(FaultKind.LAGGING, nth=1, times=3, path="/versions")
LAGS = [LAGGING_VERSIONS, *(Planted(FaultKind.LAGGING, nth=1, times=6, path=path) for path in ("/items", r"/items\?"))]

whom = st.integers(0, 7)
whens = st.integers(1, 12)
content_acts = st.sampled_from(sorted(CONTENT_ACTS))
schema_acts = st.sampled_from(sorted(SCHEMA_ACTS))
planted = st.lists(st.builds(Planted, st.sampled_from(KINDS), whens, st.integers(1, 2)), max_size=3)
meanwhile = st.lists(
    st.builds(Meanwhile, st.one_of(content_acts, content_acts, schema_acts), whom, whens), min_size=1, max_size=4
)
run_options = st.one_of(
    st.builds(SyncOptions, settle=st.just(False), glance_from=st.sampled_from([0, 2000])),
    st.builds(SyncOptions, settle=st.just(False), full=st.just(True)),
    st.builds(SyncOptions, settle=st.just(False), scrub=st.integers(1, 3)),
)


class Breaking(RuleBasedStateMachine):
    """Acts, runs, faults; and what must be true whatever came before."""

    def __init__(self, database: FreshDatabase) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.mirror, self.watcher = self._stack.enter_context(database.open())
        self.witness = Witness(self.watcher)
        self.environments = ["main"]
        self.rig: Rig
        self.is_promoting = False
        self.is_elsewhere = False

    @initialize(
        records=st.integers(0, 4),
        page=st.sampled_from([None, 2, 3]),
        skew=st.sampled_from([0, -90, 90]),
        keeps_id=st.booleans(),
        keeps_time=st.booleans(),
        readable=st.booleans(),
        moves_time=st.booleans(),
        makes_version=st.booleans(),
        new_ids=st.booleans(),
        schedules=st.booleans(),
        follows=st.booleans(),
    )
    def begin(
        self,
        *,
        records: int,
        page: int | None,
        skew: int,
        keeps_id: bool,
        keeps_time: bool,
        readable: bool,
        moves_time: bool,
        makes_version: bool,
        new_ids: bool,
        schedules: bool,
        follows: bool,
    ) -> None:
        """A project with a few records, at an upstream that behaves in one of the ways that are not promised."""
        switches = Switches(
            merged_versions_keep_id=keeps_id,
            merged_versions_keep_created_at=keeps_time,
            deleted_versions_readable=readable,
            publishing_moves_updated_at=moves_time,
            selective_publish_makes_version=makes_version,
            forks_keep_version_ids=not new_ids,
            schedules_move_beacon=schedules,
        )
        self.rig = Rig(self.mirror, switches=switches, skew=timedelta(seconds=skew), page=page)
        self.rig.open()
        self.is_promoting = follows  # the order of what was told can be compared only within one environment
        self.rig.simulator.act(lambda world: open_project(world, records=records))

    # --- upstream ---

    @rule(what=content_acts, whom=whom)
    def act(self, what: str, whom: int) -> None:
        """An editor does something."""
        self.rig.act(what, whom)

    @rule(what=schema_acts, whom=whom)
    def administer(self, what: str, whom: int) -> None:
        """An administrator does something."""
        self.rig.act(what, whom)

    @rule(seconds=st.sampled_from([0.4, 1, 2, 60, 600, 86_400]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.rig.wait(seconds)

    @rule(seconds=st.sampled_from([-86_400, -3600, -5, 5, 3600, 86_400]))
    def our_clock_jumps(self, seconds: float) -> None:
        """Somebody sets the clock of the machine on which we run."""
        self.rig.move_our_clock(seconds)

    @precondition(lambda self: self.is_promoting)
    @rule(earlier=st.integers(0, 3))
    def promote(self, earlier: int) -> None:
        """An environment is promoted: one of those that were, or a new copy of the primary one."""
        rest = self.environments[:-1]
        if earlier and earlier <= len(rest):
            name = rest[-earlier]
            self.environments.remove(name)
            self.rig.simulator.act(lambda world: world.promote(world.account, name))
        else:
            name, primary = f"copy-{len(self.environments)}", self.environments[-1]
            self.rig.simulator.act(lambda world: world.fork(world.account, primary, name))
            self.rig.wait(1)
            self.rig.simulator.act(lambda world: world.promote(world.account, name))
        self.environments.append(name)
        self.is_elsewhere = True

    # --- runs ---

    @rule(options=run_options)
    def sync(self, options: SyncOptions) -> None:
        """A run of any kind while all is well."""
        self.run(options)

    @rule(whom=st.lists(whom, min_size=1, max_size=3, unique=True))
    def sync_records(self, whom: Sequence[int]) -> None:
        """Single records, perhaps such as are gone or were never seen."""
        ids = self.rig.simulator.act(
            lambda world: [*world.environment(None).records, *world.environment(None).deleted] or ["nobody"]
        )
        self.run(SyncOptions(settle=False, record_ids=tuple({ids[number % len(ids)] for number in whom})))

    @rule(full=st.booleans())
    def rehearse(self, full: bool) -> None:
        """A dry run writes nothing."""
        before = written(self.watcher)
        self.run(SyncOptions(settle=False, dry_run=True, full=full))
        assert written(self.watcher) == before

    @rule(options=run_options, faults=planted, meanwhile=meanwhile)
    def sync_while_editors_work(
        self, options: SyncOptions, faults: Sequence[Planted], meanwhile: Sequence[Meanwhile]
    ) -> None:
        """Acts between two requests of a run, with faults perhaps."""
        self.run(options, Disturbance(faults=faults, meanwhile=meanwhile))

    @rule(options=run_options, kind=st.sampled_from(KINDS), rate=st.sampled_from([0.1, 0.3]))
    def sync_at_a_bad_time(self, options: SyncOptions, kind: FaultKind, rate: float) -> None:
        """One kind of fault, again and again."""
        self.run(options, Disturbance(rates={kind: rate}))

    @rule(options=run_options, what=content_acts, whom=whom, lag=st.sampled_from(LAGS))
    def sync_behind_a_replica_that_lags(self, options: SyncOptions, what: str, whom: int, lag: Planted) -> None:
        """Several answers in a row are from before an act that the mirror knows: nothing goes back."""
        self.rig.remember()
        self.rig.act(what, whom)
        self.run(options)
        self.run(options, Disturbance(faults=[lag]))

    @rule(options=run_options, what=content_acts, whom=whom)
    def sync_with_versions_that_lag(self, options: SyncOptions, what: str, whom: int) -> None:
        """The list shows an act, and the versions do not show it yet."""
        self.rig.remember()
        self.rig.act(what, whom)
        self.run(options, Disturbance(faults=[LAGGING_VERSIONS]))

    @rule(options=run_options, share=st.sampled_from([0.5, 1.0]))
    def sync_while_records_vanish(self, options: SyncOptions, share: float) -> None:
        """Listings show only some of the records, or none: nothing is taken for deleted that can be asked for."""
        self.run(options, Disturbance(vanished=share))

    @rule(options=run_options, at=whens)
    def sync_and_cancel(self, options: SyncOptions, at: int) -> None:
        """A run is stopped after some request."""
        self.run(options, Disturbance(cancelled_at=at))

    @rule(options=run_options, after=whens)
    def sync_twice_at_once(self, options: SyncOptions, after: int) -> None:
        """Two processes on one database: the second is refused, or comes when the first is done."""
        with self.witness.watching():
            first, second = self.rig.run_two(options, second_after=after)
        for report in (first, second):
            if report.outcome is Outcome.FAILED:
                assert isinstance(report.error, LeaseHeld), repr(report.error)
        assert Outcome.FAILED in (first.outcome, second.outcome) or first.run_id != second.run_id

    @rule(options=run_options, at=whens)
    def sync_and_be_overtaken(self, options: SyncOptions, at: int) -> None:
        """Another process takes the lease in the middle of a run: it writes nothing more, and says so."""
        seen: list[dict[str, int]] = []

        def overtake() -> None:
            with self.watcher.write() as tx:
                if tx.execute(update(leases).values(epoch=leases.c.epoch + 1)).rowcount:
                    seen.append(written(self.watcher))

        report = self.run(options, Disturbance(overtaken_at=at), overtake=overtake)
        with self.watcher.write() as tx:
            tx.execute(update(leases).values(holder=None, expires_at=None))
        if seen and report is not None and report.outcome is Outcome.FAILED:
            assert isinstance(report.error, LeaseLost), report.error
            assert written(self.watcher) == seen[0]

    @rule(full=st.booleans(), glance=st.booleans())
    def be_quiet(self, full: bool, glance: bool) -> None:
        """Nothing disturbs a run and nobody acts: it ends as the truth is, and the next one rests."""
        self.rig.wait(60)
        options = SyncOptions(settle=False, full=full, glance_from=0 if glance else 2000, allow_vanish=True)
        for _ in range(QUIET_RUNS):
            report = self.run(options)
            if report is not None and report.outcome is Outcome.SUCCEEDED:
                break
        else:
            raise AssertionError(f"{QUIET_RUNS} quiet runs, and it still says {report}")
        before = [self.rig.truth(name) for name in self.environments[:-1]]
        truth = self.rig.truth(self.environments[-1])
        id = self.source_id()
        none_of(differences(self.watcher, truth, before=before, old_contents=not full, source_id=id))
        none_of(differences_of_meta(self.watcher, self.rig.listed(), source_id=id))
        if self.is_elsewhere:  # then it is looked at once more
            self.run(options)
            self.is_elsewhere = False
        self.rest()

    def source_id(self) -> int:
        """Mostly 1: of two processes that register it at once, PostgreSQL has the second number for either."""
        with self.watcher.read() as connection:
            return connection.execute(select(sources.c.id)).scalar_one()

    def rest(self) -> None:
        """Invariant 10: right after a quiet run another one asks one question, and writes nothing."""
        was, requests = written(self.watcher), self.rig.requests
        report = self.run(SyncOptions(settle=False))
        now = written(self.watcher)
        assert {name for name in was if was[name] != now[name]} == {"finished runs"}, (was, now)
        assert self.rig.requests - requests == 1, report

    def run(self, options: SyncOptions, disturbance: Disturbance | None = None, **more: object) -> RunReport | None:
        """One run, watched by another connection; whatever happens to it, it ends with an outcome."""
        with self.witness.watching():
            report = self.rig.run(options, disturbance, **more)  # type: ignore[arg-type]
        if report is None:
            note("  # cancelled")
        else:
            reasons = [failure.reason for failure in report.failures] + list(report.notes)
            note(f"  # {report.kind}: {report.outcome} {report.error!r} {reasons}")
            assert report.outcome in {Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.FAILED}
            assert (report.error is not None) == (report.outcome is Outcome.FAILED)
        return report

    # --- what must be true ---

    @invariant()
    @precondition(lambda self: hasattr(self, "rig"))
    def nothing_committed_contradicts_itself(self) -> None:
        """Invariants 2, 3 and 4, now and at each look that was taken during a run."""
        none_of(self.witness.seen)
        with self.watcher.read() as connection:
            none_of(contradictions(connection, self.rig.listed()))

    def teardown(self) -> None:
        """In the end, everything is quiet and read again to the end."""
        try:
            if hasattr(self, "rig"):
                self.be_quiet(full=True, glance=False)
        finally:
            if hasattr(self, "rig"):
                self.rig.close()
            self._stack.close()


def none_of(wrongs: Iterable[str]) -> None:
    """Nothing of this kind was found."""
    found = list(wrongs)
    assert not found, "\n".join(found)


def break_it(database: FreshDatabase) -> None:
    """Run the machine on fresh databases of one kind."""
    run_machine(
        partial(Breaking, database),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )


@pytest.mark.timeout(60 + 20 * EXAMPLES)
def test_nothing_breaks_the_mirror_on_sqlite(sqlite_template: Path, tmp_path: Path) -> None:
    """Whatever happens, a SQLite mirror ends as the truth is."""
    break_it(FreshSqlite(sqlite_template, tmp_path))


@pytest.mark.postgres
@pytest.mark.timeout(60 + 20 * EXAMPLES)
def test_nothing_breaks_the_mirror_on_postgresql(make_postgres_database: MakeDatabase) -> None:
    """Whatever happens, a PostgreSQL mirror ends as the truth is."""
    break_it(EmptiedPostgres(make_postgres_database()))
