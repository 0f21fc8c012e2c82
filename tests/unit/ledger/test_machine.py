"""Whatever an editor does and whenever we look, nothing is forgotten, imagined or told twice.

A naive upstream plays one record and writes down what really happens. One mirror looks after each act, one now and
then and as little as the engine may, one never before the end; each is held against the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.ledger.ids import VersionId
from versionsync.ledger.records import Version
from versionsync.ledger.times import same_instant

from .build import Pull
from .memory_mirror import MemoryMirror
from .naive_upstream import Happening, Upstream


class RecordMachine(RuleBasedStateMachine):
    """One record's life, and three mirrors of it."""

    def __init__(self) -> None:
        super().__init__()
        self.watcher, self.sleeper = MemoryMirror(), MemoryMirror()
        self.seen_by_watcher = self.seen_by_sleeper = self.seen_alive_by_sleeper = 0
        self.ticks = 0

    @initialize(
        draft_mode=st.booleans(),
        whole_seconds=st.booleans(),
        keeps_published_at=st.booleans(),
        skew=st.sampled_from([0, -90, 90]),
        before_tracking=st.lists(st.sampled_from(["edit", "publish", "unpublish", "wait"]), max_size=4),
    )
    def begin(
        self, draft_mode: bool, whole_seconds: bool, keeps_published_at: bool, skew: int, before_tracking: Sequence[str]
    ) -> None:
        """A record that is older than upstream's intervals, and than us."""
        self.skew = skew
        self.upstream = Upstream(
            draft_mode=draft_mode, whole_seconds=whole_seconds, keeps_published_at=keeps_published_at
        )
        self.upstream.tracks_intervals = False
        self.upstream.create()
        for act in before_tracking:
            if act == "edit":
                self.upstream.edit()
            elif act == "publish" and self.upstream.current is not self.upstream.published:
                self.upstream.publish()
            elif act == "unpublish" and self.upstream.published:
                self.upstream.unpublish()
            elif act == "wait":
                self.upstream.wait(1)
        self.upstream.tracks_intervals = True
        self.legacy = {version.id for version in self.upstream.versions}
        self.watch(everything=False)

    # --- time and acts ---

    @rule(seconds=st.sampled_from([0.4, 1, 2, 60]))
    def wait(self, seconds: float) -> None:
        self.upstream.wait(seconds)

    @rule(again=st.booleans())
    def edit(self, again: bool) -> None:
        """Where the record is gone, it is made anew or turns out not to have gone."""
        if self.upstream.exists:
            self.upstream.edit()
        elif again:
            self.upstream.create()
        else:
            self.upstream.come_back()
        self.watch()

    @rule(rather_unpublish=st.booleans())
    def publish_or_unpublish(self, rather_unpublish: bool) -> None:
        if not self.upstream.exists:
            return
        live = self.upstream.published
        if live is not None and (rather_unpublish or live is self.upstream.current):
            self.upstream.unpublish()
        else:
            self.upstream.publish()
        self.watch()

    @rule(into_new_id=st.booleans(), time_moves=st.booleans())
    def merge_a_burst(self, into_new_id: bool, time_moves: bool) -> None:
        if not self.upstream.can_merge:
            return
        if into_new_id:
            self.upstream.merge_as_new(keeps_time=not time_moves)
        else:
            self.upstream.merge_in_place(moves_time=time_moves)
        self.watch()

    @rule()
    def reprint(self) -> None:
        """Another precision is no change: looking again writes nothing."""
        self.upstream.reprint()
        if self.upstream.exists:
            self.watch()

    @rule()
    def purge(self) -> None:
        if self.upstream.can_purge:
            self.upstream.purge_oldest()
            self.watch()

    @rule(still_listed=st.sampled_from(["nothing", "all", "all without flags", "all ended"]))
    def delete(self, still_listed: str) -> None:
        if self.upstream.exists:
            self.upstream.delete(still_listed)
            self.watch()

    # --- looks ---

    @rule(page=st.integers(1, 3))
    def look_after_sleep(self, page: int) -> None:
        """The sleeper reads as little as it may."""
        if self.sees_something(self.sleeper):
            told = self.look(self.sleeper, page)
            self.check_story(told, since=self.seen_by_sleeper, unstated_since=self.seen_alive_by_sleeper)
            if self.upstream.exists:
                self.seen_alive_by_sleeper = len(self.upstream.truth)
            if self.upstream.exists or any(version.is_current for version in self.upstream.still_listed):
                self.seen_by_sleeper = len(self.upstream.truth)  # else its last days were not seen, or without flags

    def watch(self, *, everything: bool = True) -> None:
        """The watcher has seen what was there before the last act: it tells that act and nothing else."""
        told = self.look(self.watcher, 1)
        happened = self.upstream.truth[self.seen_by_watcher :]
        self.check_story(told, since=self.seen_by_watcher)
        self.seen_by_watcher = len(self.upstream.truth)
        if everything:
            happened = [happening for happening in happened if not happening.is_open]
            assert Counter(map(kind, told)) == Counter(map(kind, happened))
            for event in told:
                (happening,) = (h for h in happened if kind(h) == kind(event))
                if event.version_id is not None and not happening.is_restated:
                    assert event.basis is (TimeBasis.UPSTREAM if happening.at else TimeBasis.OBSERVED), event.key

    def look(self, mirror: MemoryMirror, page: int) -> list[Event]:
        """The events that one look of `mirror` writes."""
        before = len(mirror.events)
        observed_at = self.our_time()
        if self.upstream.exists:
            pull = self.upstream.as_little_as_needed(mirror.known, page)
            mirror.look(pull, observed_at)
            assert_agrees(mirror, self.upstream.everything())
        else:
            mirror.find_deleted(self.upstream.still_listed[::-1], observed_at)
        return mirror.events[before:]

    def sees_something(self, mirror: MemoryMirror) -> bool:
        """Whether the engine would plan anything: not for a record that it does not know, or knows to be gone."""
        return self.upstream.exists or (mirror.known is not None and mirror.known.deleted_at is None)

    def our_time(self) -> datetime:
        """Our clock never shows one moment twice, and is as wrong as it likes."""
        self.ticks += 1
        return self.upstream.now + timedelta(seconds=self.skew, microseconds=self.ticks)

    # --- what must be true ---

    def check_story(self, told: Sequence[Event], *, since: int, unstated_since: int | None = None) -> None:
        """What one look tells happened since the last one, as often and in the order in which it did.

        What upstream does not state, and the record's own lives, may have been hidden from looks that found it gone.
        """
        happened = dict(enumerate(self.upstream.truth))
        places: list[tuple[Event, int, Happening]] = []
        for event in told:
            is_plain = event.basis is TimeBasis.UPSTREAM and event.version_id is not None
            start = since if is_plain or unstated_since is None else unstated_since
            if self.upstream.was_reprinted:
                start = 0  # a look at whole seconds cannot tell two moments of one second apart: a later look tells
            place = next((n for n, h in happened.items() if n >= start and self.is_told_by(h, event)), None)
            assert place is not None, f"{event.key} did not happen since the last look"
            places.append((event, place, happened.pop(place)))
        stated = [(event, place, h) for event, place, h in places if event.basis is TimeBasis.UPSTREAM and h.version_id]
        for n, (event, place, happening) in enumerate(stated):
            for later, its_place, its_happening in stated[n + 1 :]:
                assert event.occurred_at <= later.occurred_at, f"{event.key} comes after {later.key}"
                if event.occurred_at == later.occurred_at and place > its_place:
                    vague = any(h.by_hand or h.is_restated for h in (happening, its_happening))
                    assert vague, f"{event.key} comes after {later.key}"

    def is_told_by(self, happening: Happening, event: Event) -> bool:
        if kind(event) != kind(happening):
            return False
        if event.basis is TimeBasis.OBSERVED:
            return True
        shown = self.upstream.shown(happening)
        return event.occurred_at in shown or (
            self.upstream.was_reprinted and any(same_instant(event.occurred_at, at) for at in shown)
        )

    @invariant()
    def nobody_tells_what_did_not_happen(self) -> None:
        truth = Counter(map(kind, self.upstream.truth))
        for mirror in (self.watcher, self.sleeper):
            told = Counter(map(kind, mirror.events))
            assert told <= truth, told - truth
            types = [event.type for event in mirror.events]
            assert types.count(EventType.RECORD_CREATED) == bool(types)
            assert not types or types[0] is EventType.RECORD_CREATED

    def teardown(self) -> None:
        """In the end all mirrors know all that upstream states: also the one that never looked before."""
        if not hasattr(self, "upstream") or not self.upstream.exists:
            return
        self.look_after_sleep(1)
        newcomer = MemoryMirror()
        newcomer.look(self.upstream.everything(), self.our_time())
        stated = self.upstream.stated()
        assert Counter(map(kind, newcomer.events)) == Counter(map(kind, stated))
        assert all(event.basis is TimeBasis.UPSTREAM for event in newcomer.events)
        self.check_story(newcomer.events, since=0)
        for mirror in (self.watcher, self.sleeper):
            assert_agrees(mirror, self.upstream.everything())
            for happening in stated:
                if happening.version_id is not None:
                    bases = {event.basis for event in mirror.events if self.is_told_by(happening, event)}
                    assert TimeBasis.UPSTREAM in bases or (bases and happening.is_restated), happening
        self.check_agreement(newcomer)

    def check_agreement(self, newcomer: MemoryMirror) -> None:
        """What newcomer and watcher both tell with upstream's time, they tell in one order."""
        vague = [h for h in self.upstream.truth if h.is_restated or h.by_hand or h.is_open]
        versions = [event for event in newcomer.events if event.version_id is not None]
        told = [event for event in versions if not any(self.is_told_by(h, event) for h in vague)]
        wanted = [self.moment(event) for event in told]
        watched = [self.moment(event) for event in self.watcher.events if self.moment(event) in wanted]
        assert list(dict.fromkeys(watched)) == list(dict.fromkeys(wanted))

    def moment(self, event: Event) -> tuple[EventType, VersionId | None, datetime]:
        at = event.occurred_at
        return event.type, event.version_id, at.replace(microsecond=0) if self.upstream.was_reprinted else at


def kind(told: Event | Happening) -> tuple[EventType, VersionId | None]:
    """What it is and of which version. To who first sees a record made again, it is created and not returned."""
    type = EventType.RECORD_CREATED if told.type is EventType.RECORD_RETURNED else told.type
    return type, told.version_id


def assert_agrees(mirror: MemoryMirror, everything: Pull) -> None:
    """The mirror shows each version that upstream has, as upstream has it and in its order, and no other as alive."""
    alive = [v for v in sorted(mirror.versions.values(), key=ordinal) if v.missing_since is None]
    assert [v.id for v in alive] == [v.id for v in everything.seen]
    for mirrored, shown in zip(alive, everything.seen, strict=True):
        for name in set(shown.__slots__) - {"rewrite_cause"}:
            mine, theirs = getattr(mirrored.seen, name), getattr(shown, name)
            is_same = same_instant(mine, theirs) if isinstance(mine, datetime) else mine == theirs
            assert is_same, (mirrored.id, name, mine, theirs)


def ordinal(version: Version) -> int:
    return version.ordinal


TestRecordMachine = RecordMachine.TestCase
TestRecordMachine.settings = settings(
    deadline=None,
    stateful_step_count=30,
    report_multiple_bugs=False,
    max_examples=max(200, settings().max_examples),
)
