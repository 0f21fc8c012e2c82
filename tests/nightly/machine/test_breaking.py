"""A machine that tries to break the mirror, end to end: real HTTP, the real engine, a real database.

It lets editors and administrators act at random, between runs and in the middle of them; runs of every kind go well, or
meet faults, are cancelled, overtaken, doubled. Whatever it did: what is committed never contradicts itself, and after a
quiet run mirror and events are as the truth. What it prints when it fails is the program that repeats it.

More by one command: VERSIONSYNC_TEST_EXAMPLES=1000 pytest tests/nightly/machine
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import func, select, update

from tests.fixtures.compare_with_expected import differences, differences_of_meta
from tests.fixtures.databases import MakeDatabase
from tests.fixtures.projections import differences_from_rebuild, differences_from_views
from tests.nightly.machine.actions import CONTENT_ACTS, ROLE_ACTS, SCHEMA_ACTS, SITE_ACTS, open_project
from tests.nightly.machine.fresh_databases import EmptiedPostgres, FreshDatabase, FreshSqlite
from tests.nightly.machine.harness import Disturbance, Harness, Meanwhile, Planted
from tests.nightly.machine.oracle import Oracle, contradictions, written
from versionsync.erasure.carry_out import erase, plan_erasure
from versionsync.history.projections.filling import FillState, ProjectionFiller
from versionsync.ledger.safeguards import MassDeleteLimit
from versionsync.mirror.errors import LeaseHeld, LeaseLost
from versionsync.mirror.schema import events, fields, leases, models, records, sources
from versionsync.simulator import FaultKind, SimulatorOptions
from versionsync.simulator.world.expected_history import ExpectedHistory
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome, RunReport

EXAMPLES = int(os.environ.get("VERSIONSYNC_TEST_EXAMPLES", "15"))
STEPS = 25
QUIET_RUNS = 4
EVERY_RECORD = 10**6
NO_TRUST = timedelta(0)
ANY_NUMBER = MassDeleteLimit(count=10**9)
# How many answers in a row may be old: an old state that is shown for longer has to be accepted.
LONGEST_LAG = 6

# A 429 stops everybody for real seconds: it has tests of its own.
KINDS = sorted(set(FaultKind) - {FaultKind.THROTTLED, FaultKind.THROTTLED_BARE})
OLD_ANSWERS = sorted({FaultKind.STALE, FaultKind.OLD_SCHEMA, FaultKind.LAGGING})

# Of versions alone the fourth old answer in a row is believed: content and publications can really go back.
LAGGING_VERSIONS = Planted(FaultKind.LAGGING, nth=1, times=3, path="/versions")
LAGS = [LAGGING_VERSIONS, *(Planted(FaultKind.LAGGING, nth=1, times=6, path=path) for path in ("/items", r"/items\?"))]

whom = st.integers(0, 7)
whens = st.integers(1, 12)
content_acts = st.sampled_from(sorted(CONTENT_ACTS))
schema_acts = st.sampled_from(sorted(SCHEMA_ACTS))
site_acts = st.sampled_from(sorted(SITE_ACTS))
role_acts = st.sampled_from(sorted(ROLE_ACTS))
planted = st.lists(st.builds(Planted, st.sampled_from(KINDS), whens, st.integers(1, 2)), max_size=3)
any_act = st.one_of(content_acts, content_acts, schema_acts, site_acts, role_acts)
meanwhile = st.lists(st.builds(Meanwhile, any_act, whom, whens), min_size=1, max_size=4)
run_options = st.one_of(
    st.builds(SyncOptions, wait_until_settled=st.just(False), quick_check_from=st.sampled_from([0, 2000])),
    st.builds(SyncOptions, wait_until_settled=st.just(False), full=st.just(True)),
    st.builds(SyncOptions, wait_until_settled=st.just(False), scrub=st.integers(1, 3)),
)


def _any_of(name: str) -> st.SearchStrategy[Any]:
    """Any value of a switch that has a few named ones."""
    return st.sampled_from(get_args(get_type_hints(SimulatorOptions)[name]))


NAMED = (
    "unknown_model_in_filter",
    "block_by_id",
    "block_versions",
    "renamed_fields",
    "status_without_drafts",
    "versions_order",
    "assigned_fields",
)
SWITCHED = (
    "milliseconds",
    "times_with_offset",
    "improved_timezone_management",
    "items_repeat_times",
    "versions_repeat_times",
    "merged_versions_keep_id",
    "merged_versions_keep_created_at",
    "deleted_versions_readable",
    "publishing_moves_updated_at",
    "republishing_moves_published_at",
    "selective_publish_makes_version",
    "forks_keep_version_ids",
    "unpublishing_moves_beacon",
    "deleting_moves_beacon",
    "schedules_move_beacon",
    "schema_moves_beacon",
    "lists_blocks",
    "lists_current_versions",
    "hidden_models_are_named",
)
upstreams = st.builds(
    SimulatorOptions,
    data_change_delay=st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(seconds=20)]),
    **{name: st.booleans() for name in SWITCHED},
    **{name: _any_of(name) for name in NAMED},
)


class Breaking(RuleBasedStateMachine):
    """Acts, runs, faults; and what must be true whatever came before."""

    def __init__(self, database: FreshDatabase) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.mirror, self.watcher = self._stack.enter_context(database.open())
        self.witness = Oracle(self.watcher)
        self.environments = ["main"]
        self.harness: Harness
        self.is_promoting = False
        self.switches: SimulatorOptions
        self.was_hidden: set[str] = set()
        self.may_lack_schema = False

    @initialize(
        records=st.integers(0, 4),
        page=st.sampled_from([None, 2, 3]),
        skew=st.sampled_from([0, -90, 90]),
        switches=upstreams,
        follows=st.booleans(),
    )
    def begin(self, *, records: int, page: int | None, skew: int, switches: SimulatorOptions, follows: bool) -> None:
        """A project with a few records, at an upstream that behaves in one of the ways that are not promised."""
        self.switches = switches
        self.harness = Harness(self.mirror, switches=switches, skew=timedelta(seconds=skew), page=page)
        self.harness.open()
        self.is_promoting = follows  # the order of what was told can be compared only within one environment
        self.harness.simulator.act(lambda world: open_project(world, records=records))

    # --- upstream ---

    @rule(what=content_acts, whom=whom)
    def act(self, what: str, whom: int) -> None:
        """An editor does something."""
        self.harness.act(what, whom)

    @rule(what=schema_acts, whom=whom)
    def administer(self, what: str, whom: int) -> None:
        """An administrator does something."""
        self.harness.act(what, whom)

    @rule(acts=st.lists(st.tuples(any_act, whom), min_size=2, max_size=6), seconds=st.sampled_from([0.4, 2, 60]))
    def work(self, acts: Sequence[tuple[str, int]], seconds: float) -> None:
        """Everybody is busy for a while."""
        for what, whom in acts:
            self.harness.act(what, whom)
            self.harness.wait(seconds)

    @rule(what=site_acts, whom=whom)
    def set_up(self, what: str, whom: int) -> None:
        """The format of upstream's answers changes."""
        self.harness.act(what, whom)

    @rule(what=role_acts, whom=whom)
    def change_role(self, what: str, whom: int) -> None:
        """The token sees more, or less."""
        self.harness.act(what, whom)

    @rule()
    def hide_or_show_the_role(self) -> None:
        """Upstream does not say any more what the token may see; or does again."""
        self.harness.is_role_readable = not self.harness.is_role_readable

    @rule()
    def remember(self) -> None:
        """What answers that lag behind will show."""
        self.harness.remember()

    @rule(seconds=st.sampled_from([0.4, 1, 2, 60, 600, 86_400]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.harness.wait(seconds)

    @rule(seconds=st.sampled_from([-86_400, -3600, -5, 5, 3600, 86_400]))
    def our_clock_jumps(self, seconds: float) -> None:
        """Somebody sets the clock of the machine on which we run."""
        self.harness.move_our_clock(seconds)

    @precondition(lambda self: self.is_promoting)
    @rule(earlier=st.integers(0, 3))
    def promote(self, earlier: int) -> None:
        """An environment is promoted: one of those that were, or a new copy of the primary one."""
        rest = self.environments[:-1]
        if earlier and earlier <= len(rest):
            name = rest[-earlier]
            self.environments.remove(name)
            self.harness.simulator.act(lambda world: world.promote(world.account, name))
        else:
            name, primary = f"copy-{len(self.environments)}", self.environments[-1]
            self.harness.simulator.act(lambda world: world.fork(world.account, primary, name))
            self.harness.wait(1)
            self.harness.simulator.act(lambda world: world.promote(world.account, name))
        self.environments.append(name)

    # --- runs ---

    @rule(options=run_options)
    def sync(self, options: SyncOptions) -> None:
        """A run of any kind while all is well."""
        self.run(options)

    @rule(whom=st.lists(whom, min_size=1, max_size=3, unique=True))
    def sync_records(self, whom: Sequence[int]) -> None:
        """Single records, perhaps such as are gone or were never seen, or blocks."""
        ids = self.harness.simulator.act(
            lambda world: [*world.environment(None).records, *world.environment(None).deleted] or ["nobody"]
        )
        ids = ids + self.harness.blocks()[:2]
        self.run(SyncOptions(wait_until_settled=False, record_ids=tuple({ids[number % len(ids)] for number in whom})))

    @rule(full=st.booleans())
    def rehearse(self, full: bool) -> None:
        """A dry run writes nothing."""
        before = written(self.watcher)
        self.run(SyncOptions(wait_until_settled=False, dry_run=True, full=full))
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
        self.harness.remember()
        self.harness.act(what, whom)
        self.run(options)
        self.run(options, Disturbance(faults=[lag]))

    @rule(options=run_options, what=content_acts, whom=whom)
    def sync_with_versions_that_lag(self, options: SyncOptions, what: str, whom: int) -> None:
        """The list shows an act, and the versions do not show it yet."""
        self.harness.remember()
        self.harness.act(what, whom)
        self.run(options, Disturbance(faults=[LAGGING_VERSIONS]))

    @rule(options=run_options, kind=st.sampled_from(OLD_ANSWERS), nth=whens, times=st.integers(3, LONGEST_LAG))
    def sync_while_old_answers_last(self, options: SyncOptions, kind: FaultKind, nth: int, times: int) -> None:
        """Upstream shows an earlier state many times in a row."""
        self.run(options, Disturbance(faults=[Planted(kind, nth, times)]))

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
            first, second = self.harness.run_two(options, second_after=after)
        self.note_hidden(self.harness.hidden_models, Disturbance())
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

    @rule(whom=whom)
    def erase_a_record(self, whom: int) -> None:
        """Somebody asks for it: no run may bring any of it back, and its flags and events go on."""
        with self.watcher.read() as connection:
            known = connection.scalars(select(records.c.id).order_by(records.c.id)).all()
        if not known or not self.is_lease_free():
            return
        target = plan_erasure(self.mirror, (), known[whom % len(known)]).target
        erase(self.mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)

    @rule(events=st.sampled_from([1, 3, 20, 1000]), batches=st.integers(1, 5))
    def fill_projections(self, events: int, batches: int) -> None:
        """Projections are filled as far as it gets; a batch may end between two events of one record."""
        with self.watcher.read() as connection:
            ids = connection.scalars(select(sources.c.id)).all()
        for id in ids:
            filler = ProjectionFiller(self.mirror, id, events_at_once=events)
            for _ in range(batches):
                if (filled := filler.fill_batch()).state is not FillState.MORE:
                    break
                assert not filled.failed, filled.failed

    @rule()
    def compare_projections(self) -> None:
        """Invariant 15: projections equal a rebuild, and intervals say what the views say."""
        if not self.is_lease_free():
            return  # the last run could not even release it: nothing is filled before the next one
        none_of(differences_from_rebuild(self.mirror))
        none_of(differences_from_views(self.mirror))

    def is_lease_free(self) -> bool:
        """Whether no process holds the lease, dead ones included."""
        with self.watcher.read() as connection:
            return not connection.scalars(select(leases.c.holder).where(leases.c.holder.is_not(None))).all()

    @rule(full=st.booleans(), glance=st.booleans(), allow_mass_delete=st.booleans())
    def be_quiet(self, full: bool, glance: bool, allow_mass_delete: bool) -> None:
        """Run undisturbed, without edits: the mirror has the expected history, and the next run is skipped.

        Where a publication may leave no trace, another edit of its record masks it: then every history is read.
        """
        is_complete = full
        self.harness.show_everything()
        options = self.run_to_the_end(full=full, glance=glance, allow_mass_delete=allow_mass_delete)
        if not full and not self.switches.republishing_moves_published_at:
            report = self.run(SyncOptions(wait_until_settled=False, scrub=EVERY_RECORD))
            assert report is not None
            assert report.outcome is Outcome.SUCCEEDED, report
            is_complete = True
        self.compare(old_contents=not is_complete)
        if not self.is_settled():  # another environment, or lists that did not explain the beacon: once more
            before_it = written(self.watcher)
            self.run(options)
            assert changed_between(before_it, written(self.watcher)) == {"finished runs"}
        self.rest()
        self.compare_projections()

    def is_settled(self) -> bool:
        """Whether the last run took the beacon for one on which the next can rest."""
        with self.watcher.read() as connection:
            return connection.execute(select(sources.c.last_data_change_is_settled)).scalar_one()

    @precondition(lambda self: self.switches.unpublishing_moves_beacon)
    @rule(what=content_acts, whom=whom)
    def act_between_quiet_runs(self, what: str, whom: int) -> None:
        """One act that nothing masks: whatever it was, the next runs find it without reading every history."""
        self.be_quiet(full=True, glance=False, allow_mass_delete=True)
        self.harness.act(what, whom)
        self.run_to_the_end(full=False, glance=False, allow_mass_delete=False)
        self.compare(old_contents=False)

    @precondition(lambda self: not self.is_promoting and bool(self.harness.hidden_models))
    @rule(full=st.booleans())
    def be_quiet_with_a_role_that_hides(self, full: bool) -> None:
        """What the role hides stays as it was seen last, and everything else is as the truth is."""
        self.harness.is_role_readable = True
        hidden = self.harness.hidden_models
        self.harness.wait(60)
        self.set_brake(ANY_NUMBER)
        options = SyncOptions(wait_until_settled=False, full=full, beacon_trust=NO_TRUST)
        for _ in range(QUIET_RUNS):
            report = self.run(options)
        self.set_brake(MassDeleteLimit())
        assert report is not None
        assert not report.failures, report
        assert report.error is None, report
        self.run(SyncOptions(wait_until_settled=False, scrub=EVERY_RECORD))
        truth = self.harness.truth(self.environments[-1])
        truth.block_models |= hidden
        self.compare(truth, old_contents=False)

    def run_to_the_end(self, *, full: bool, glance: bool, allow_mass_delete: bool) -> SyncOptions:
        """Quiet runs until one says that nothing is left to do; returns their options.

        Where the beacon does not show a change, or an old schema lacked something new and nothing contradicted it, the
        daily run finds it: the one that does not trust the beacon.
        """
        switches = self.switches
        moves_beacon = switches.unpublishing_moves_beacon, switches.deleting_moves_beacon, switches.schema_moves_beacon
        options = SyncOptions(
            wait_until_settled=False,
            full=full,
            quick_check_from=0 if glance else 2000,
            allow_mass_delete=allow_mass_delete,
        )
        if self.may_lack_schema or not all(moves_beacon):
            options = replace(options, beacon_trust=NO_TRUST)
        self.harness.wait(60)
        self.set_brake(ANY_NUMBER)
        try:
            for _ in range(QUIET_RUNS):
                report = self.run(options)
                if (
                    report is not None
                    and report.outcome is Outcome.SUCCEEDED
                    and report.unexplained_change_since is None
                ):
                    self.may_lack_schema = False
                    return options
        finally:
            self.set_brake(MassDeleteLimit())
        raise AssertionError(f"{QUIET_RUNS} quiet runs, and it still says {report}")

    def set_brake(self, limit: MassDeleteLimit) -> None:
        """How much may vanish before a run stops."""
        assert self.harness.spec is not None
        self.harness.spec = replace(self.harness.spec, mass_delete_limit=limit)

    def compare(self, truth: ExpectedHistory | None = None, *, old_contents: bool) -> None:
        """The mirror is as the truth is; that of the primary environment, unless another is given."""
        before = [self.harness.truth(name) for name in self.environments[:-1]]
        truth = truth or self.harness.truth(self.environments[-1])
        id = self.source_id()
        listed = {
            id: record for id, record in self.harness.listed().items() if record.model_id not in truth.block_models
        }
        none_of(
            differences(
                self.watcher,
                truth,
                before=before,
                old_contents=old_contents,
                source_id=id,
                was_hidden=self.was_hidden,
            )
        )
        none_of(differences_of_meta(self.watcher, listed, source_id=id))
        self.compare_format(is_seen=bool(listed))
        self.compare_schema()

    def compare_schema(self) -> None:
        """Models and fields are as in DatoCMS, and no more events say that one was made or deleted than happened."""
        with self.watcher.read() as connection:
            live_models = connection.execute(select(models).where(models.c.deleted_at.is_(None)))
            held_models = {row.id: (row.api_key, row.name, row.is_block, row.draft_mode) for row in live_models}
            live_fields = connection.execute(select(fields).where(fields.c.deleted_at.is_(None)))
            held_fields = {row.id: (row.model_id, row.api_key, row.field_type, row.is_localized) for row in live_fields}
            written_events = Counter(connection.execute(select(events.c.type)).scalars())
        if not self.harness.hidden_models:
            true_models, true_fields = self.harness.schema()
            assert held_models == true_models
            assert held_fields == true_fields
        if self.switches.hidden_models_are_named and not self.is_promoting:
            happened = self.harness.schema_changes()
            none_of(
                f"{type} written {written_events[type]} times, happened {times}"
                for type, times in happened.items()
                if written_events[type] > times
            )

    def compare_format(self, *, is_seen: bool) -> None:
        """The format of times is known if it was seen, and no more changes of it were written than there were."""
        changed = select(func.count()).where(events.c.type == "source.format_changed").select_from(events)
        with self.watcher.read() as connection:
            changes = connection.scalar(changed) or 0
            known = connection.execute(select(sources.c.time_precision, sources.c.time_zone)).one()
        precision, zone = self.harness.time_format
        assert known.time_zone == zone
        assert known.time_precision == precision or not is_seen
        assert changes <= self.harness.format_changes

    def source_id(self) -> int:
        """Mostly 1: of two processes that register it at once, PostgreSQL has the second number for either."""
        with self.watcher.read() as connection:
            return connection.execute(select(sources.c.id)).scalar_one()

    def rest(self) -> None:
        """Invariant 10: right after a quiet run another one asks one question, and writes nothing."""
        was, requests = written(self.watcher), self.harness.requests
        report = self.run(SyncOptions(wait_until_settled=False))
        now = written(self.watcher)
        assert changed_between(was, now) == {"finished runs"}, (was, now)
        assert self.harness.requests - requests == 1, report

    def run(self, options: SyncOptions, disturbance: Disturbance | None = None, **more: object) -> RunReport | None:
        """One run, watched by another connection; whatever happens to it, it ends with an outcome."""
        disturbance = disturbance or Disturbance()
        before, hidden = self.mirrored(), self.harness.hidden_models
        with self.witness.watching():
            report = self.harness.run(options, disturbance, **more)  # type: ignore[arg-type]
        kinds = {*(fault.kind for fault in disturbance.faults), *(disturbance.rates or {})}
        self.may_lack_schema |= not kinds.isdisjoint({FaultKind.OLD_SCHEMA, FaultKind.STALE})
        self.note_hidden(hidden | self.harness.hidden_models, disturbance)
        if not (disturbance.meanwhile or disturbance.faults or disturbance.rates):
            blocks = self.harness.block_models()
            new = {id for id, model in self.mirrored().items() if model in blocks} - before.keys()
            assert not new, f"invariant 14: {new} were mirrored while they were blocks"
        if report is None:
            note("  # cancelled")
        else:
            reasons = [failure.reason for failure in report.failures] + list(report.notes)
            note(f"  # {report.kind}: {report.outcome} {report.error!r} {reasons}")
            assert report.outcome in {Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.FAILED}
            assert (report.error is not None) == (report.outcome is Outcome.FAILED)
        return report

    def mirrored(self) -> dict[str, str]:
        """The models of the mirrored records, by the records' ids."""
        with self.watcher.read() as connection:
            return {row.id: row.model_id for row in connection.execute(select(records.c.id, records.c.model_id))}

    def note_hidden(self, hidden: frozenset[str], disturbance: Disturbance) -> None:
        """Note records that a role hides, if the role cannot be read: they look like deleted ones."""
        if self.harness.is_role_readable:
            return
        is_changed = any(one.act in ROLE_ACTS for one in disturbance.meanwhile)
        found = self.harness.truth(self.environments[-1]).records
        self.was_hidden |= {id for id, record in found.items() if is_changed or record.model_id in hidden}

    # --- what must be true ---

    @invariant()
    @precondition(lambda self: hasattr(self, "harness"))
    def nothing_committed_contradicts_itself(self) -> None:
        """Invariants 2, 3, 4 and 14 hold now, and the first three did at each check during a run."""
        none_of(self.witness.seen)
        assert self.mirrored().keys() <= self.harness.ever_made(), "invariant 14: what is mirrored was no record"
        with self.watcher.read() as connection:
            none_of(contradictions(connection, self.harness.listed()))

    def teardown(self) -> None:
        """In the end, everything is quiet and read again to the end."""
        try:
            if hasattr(self, "harness"):
                self.be_quiet(full=True, glance=False, allow_mass_delete=True)
        finally:
            if hasattr(self, "harness"):
                self.harness.close()
            self._stack.close()


def changed_between(was: dict[str, int], now: dict[str, int]) -> set[str]:
    """What of `written` is not as it was."""
    return {name for name in was if was[name] != now[name]}


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
