"""After any actions, the served state, the history from the event log and a second naive model agree."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from tests.unit.simulator.naive import NaiveRecord
from versionsync.simulator import Clock, SimulatorOptions, TransitionType, World, expected_history
from versionsync.simulator.world import content as contents

EDITORS = st.sampled_from(["user", "sso_user", "api"])
PRICES = st.integers(0, 3)


class Newsroom(RuleBasedStateMachine):
    """Editors at work on two models, one with drafts and one without."""

    records = Bundle("records")
    deleted = Bundle("deleted")

    @initialize(resolution=st.sampled_from([0, 0, 90]), keeps_id=st.booleans(), milliseconds=st.booleans())
    def begin(self, resolution: int, keeps_id: bool, milliseconds: bool) -> None:
        self.switches = SimulatorOptions(
            history_resolution=timedelta(seconds=resolution),
            merged_versions_keep_id=keeps_id,
            milliseconds=milliseconds,
        )
        self.world = World(seed=1, clock=Clock.stopped(), options=self.switches)
        self.naive: dict[str, NaiveRecord] = {}
        for api_key, draft_mode in (("post", True), ("quote", False)):
            model = self.world.create_model(self.world.account, api_key, draft_mode=draft_mode)
            self.world.create_field(self.world.account, model, "price", "integer")

    @rule(seconds=st.sampled_from([0, 1, 30, 60, 3600]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))

    @rule(target=records, api_key=st.sampled_from(["post", "quote"]), editor=EDITORS, price=PRICES)
    def create(self, api_key: str, editor: str, price: int) -> str:
        record = self.world.create(getattr(self.world, editor), api_key, {"price": price})
        self.naive[record.id] = NaiveRecord(draft_mode=api_key == "post")
        self._save(record.id, editor, price)
        return record.id

    @rule(id=records, editor=EDITORS, price=PRICES)
    def update(self, id: str, editor: str, price: int) -> None:
        self.world.update(getattr(self.world, editor), id, {"price": price})
        self._save(id, editor, price)

    @rule(id=records)
    def publish(self, id: str) -> None:
        self.world.publish(self.world.user, id)
        if self.naive[id].draft_mode:
            self.naive[id].publish(self.world.now())

    @rule(id=records)
    def unpublish(self, id: str) -> None:
        self.world.unpublish(self.world.user, id)
        if self.naive[id].draft_mode:
            self.naive[id].unpublish(self.world.now())

    @rule(id=records, hours=st.integers(1, 3))
    def schedule(self, id: str, hours: int) -> None:
        """Planned, and carried out late: it has happened when it was due."""
        if not self.naive[id].draft_mode:
            return
        due = self.world.now() + timedelta(hours=hours)
        self.world.schedule_publication(self.world.user, id, due)
        self.world.clock.advance(timedelta(days=1))
        self.world.tick()
        self.naive[id].publish(due)

    @rule(id=records, which=st.integers(0, 10), editor=EDITORS)
    def restore(self, id: str, which: int, editor: str) -> None:
        versions = self.world.primary.record(id).versions
        which %= len(versions)
        self.world.restore(getattr(self.world, editor), versions[which].id)
        self._save(id, editor, self.naive[id].versions[which].price, may_merge=False)

    @rule(target=deleted, id=consumes(records))
    def delete(self, id: str) -> str:
        self.world.delete(self.world.user, id)
        self.naive[id].alive = False
        return id

    @rule(target=records, id=consumes(deleted), editor=EDITORS, price=PRICES)
    def return_to_life(self, id: str, editor: str, price: int) -> str:
        self.world.create(getattr(self.world, editor), "post", {"price": price}, id=id)
        self.naive[id] = NaiveRecord(draft_mode=True)
        self._save(id, editor, price)
        return id

    def _save(self, id: str, editor: str, price: int, *, may_merge: bool = True) -> None:
        resolution = self.switches.history_resolution if may_merge else timedelta(0)
        self.naive[id].save(
            price,
            getattr(self.world, editor).id,
            self.world.now(),
            merges_within=resolution,
            keeps_id=self.switches.merged_versions_keep_id,
        )

    @invariant()
    def all_three_agree(self) -> None:
        if not hasattr(self, "world"):
            return
        seen = expected_history(self.world.event_log, "main")
        assert seen.records.keys() == self.naive.keys()
        for id, naive in self.naive.items():
            assert seen.records[id].alive == naive.alive == (id in self.world.primary.records)
            listed = [
                seen.versions[version_id]
                for version_id in seen.records[id].version_ids
                if seen.versions[version_id].is_listed
            ]
            expected = [(one.price, one.editor, one.created_at, one.live, one.is_live) for one in naive.versions]
            assert [
                (contents.load(one.content)["price"], one.editor.id, one.created_at, one.live, one.is_published)
                for one in listed
            ] == expected
            assert [one.is_current for one in listed] == [False] * (len(listed) - 1) + [True]
            served = (self.world.primary.records if naive.alive else self.world.primary.deleted)[id]
            assert [
                (one.id, one.read(), one.created_at, list(one.live), one.is_current, one.is_published)
                for one in served.versions
            ] == [(one.id, one.content, one.created_at, one.live, one.is_current, one.is_published) for one in listed]

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def the_transitions_add_up_to_the_flags(self) -> None:
        seen = expected_history(self.world.event_log, "main")
        current: dict[str, list[str]] = defaultdict(list)
        live: dict[str, list[str]] = defaultdict(list)
        for one in seen.transitions:
            match one.type:
                case TransitionType.VERSION_BECAME_CURRENT:
                    current[one.record_id].append(str(one.version_id))
                case TransitionType.VERSION_SUPERSEDED:
                    current[one.record_id].remove(str(one.version_id))
                case TransitionType.VERSION_PUBLISHED:
                    live[one.record_id].append(str(one.version_id))
                case TransitionType.VERSION_UNPUBLISHED:
                    live[one.record_id].remove(str(one.version_id))
            assert len(live[one.record_id]) <= 1
        for id, record in seen.records.items():
            assert current[id] == [record.current_id]
            assert live[id] == ([] if record.published_id is None else [record.published_id])


TestNewsroom = Newsroom.TestCase
TestNewsroom.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
