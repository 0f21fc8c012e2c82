"""An old answer that lasts: a cache or a replica that shows an earlier state six times in a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fixtures.compare_with_expected import differences, emitted_events
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.simulator import Clock, FaultKind, Faults, Selection, World
from versionsync.sync.report import Outcome
from versionsync.sync.run_limits import Timings

# What is believed does not depend on the database, and each test waits for real seconds.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TIMES = 6
EVERYTHING = "/items"
VERSIONS = "/versions"


def edit(world: World, id: str) -> None:
    """Another title."""
    world.update(world.user, id, {"title": "second"})


def edit_in_a_burst(world: World, id: str) -> None:
    """Another title in the same version."""
    world.options.history_resolution = timedelta(days=1)
    edit(world, id)


def publish(world: World, id: str) -> None:
    """The current version is live."""
    world.publish(world.user, id)


def unpublish(world: World, id: str) -> None:
    """Nothing is live."""
    world.unpublish(world.user, id)


def publish_again(world: World, id: str) -> None:
    """The live version is unpublished, and published again."""
    world.unpublish(world.user, id)
    world.clock.advance(timedelta(seconds=5))
    world.publish(world.user, id)


def delete(world: World, id: str) -> None:
    """The record is deleted."""
    world.delete(world.user, id)


class Upstream:
    """A post, live if it is to be; how it is now is remembered, so that it can be shown once more later."""

    def __init__(self, make_sync_env: MakeSyncEnv, *, is_live: bool) -> None:
        self.faults = Faults()
        self.env: SyncEnv = make_sync_env(World(seed=1, clock=Clock.stopped(START)), faults=self.faults)
        model = self.env.act(lambda world: world.create_model(world.account, "post", draft_mode=True))
        self.env.act(lambda world: world.create_field(world.account, model, "title"))
        self.id = self.env.act(lambda world: world.create(world.user, "post", {"title": "first"})).id
        if is_live:
            self.env.act(lambda world: publish(world, self.id))
        self.env.sync()
        self.env.simulator.act(lambda world: world.environment(None).remember())

    def answer_late(self, path: str, times: int = TIMES) -> None:
        """Answer the next requests whose path contains `path` as it was remembered."""
        self.faults.plant(FaultKind.LAGGING, path=path, times=times)

    @property
    def old_answers(self) -> int:
        """How many there were."""
        return self.faults.injected.get(FaultKind.LAGGING, 0)

    def assert_true(self) -> None:
        """The mirror is right, and the next run takes one request."""
        assert differences(self.env.mirror, self.env.truth()) == []
        assert self.env.requests(self.env.sync) == 1


@pytest.mark.parametrize("act", [edit, edit_in_a_burst, publish, unpublish, publish_again, delete])
def test_old_answers_about_what_the_mirror_knows_make_no_event(
    act: Callable[[World, str], None], make_sync_env: MakeSyncEnv
) -> None:
    """The list, the record and its versions are all as they were before the last change, in six answers."""
    upstream = Upstream(make_sync_env, is_live=act in (unpublish, publish_again))
    sync_env = upstream.env
    sync_env.act(lambda world: act(world, upstream.id))
    sync_env.sync()
    before = emitted_events(sync_env.mirror)
    upstream.answer_late(EVERYTHING)
    sync_env.sync(full=True)
    assert upstream.old_answers == TIMES
    assert emitted_events(sync_env.mirror) == before
    sync_env.sync()
    sync_env.sync()
    assert emitted_events(sync_env.mirror) == before
    upstream.assert_true()


@pytest.mark.parametrize("act", [edit, publish, unpublish])
@pytest.mark.parametrize("is_known", [False, True], ids=["new", "known"])
def test_old_versions_below_a_true_meta_make_no_event(
    act: Callable[[World, str], None], is_known: bool, make_sync_env: MakeSyncEnv
) -> None:
    """Whether or not the mirror has the change: in the end the events say what happened."""
    upstream = Upstream(make_sync_env, is_live=act is unpublish)
    sync_env = upstream.env
    sync_env.act(lambda world: act(world, upstream.id))
    if is_known:
        sync_env.sync()
    before = emitted_events(sync_env.mirror)
    upstream.answer_late(VERSIONS)
    sync_env.sync(full=True)
    assert upstream.old_answers >= 3
    assert not is_known or emitted_events(sync_env.mirror) == before
    upstream.faults.clear()
    sync_env.sync()
    sync_env.sync()
    upstream.assert_true()


@pytest.mark.parametrize("path", [VERSIONS, r"/items\?|/versions"], ids=["versions", "list and versions"])
def test_a_version_that_is_known_is_not_taken_back_by_an_old_answer(path: str, make_sync_env: MakeSyncEnv) -> None:
    """Asked for by its id, it exists: so the record's versions are old. The run says that it could not read them."""
    upstream = Upstream(make_sync_env, is_live=False)
    sync_env = upstream.env
    sync_env.act(lambda world: edit(world, upstream.id))
    sync_env.sync()
    before = emitted_events(sync_env.mirror)
    upstream.answer_late(path)
    report = sync_env.sync(full=True)
    assert upstream.old_answers >= 3
    assert report.outcome is Outcome.PARTIAL
    (failure,) = report.failures
    assert failure.record_id == upstream.id
    assert "its versions are older than what upstream showed before" in failure.reason
    assert emitted_events(sync_env.mirror) == before
    upstream.faults.clear()
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    sync_env.sync()
    upstream.assert_true()


@pytest.mark.parametrize("act", [edit, publish, unpublish, delete])
def test_lists_that_were_old_for_a_whole_run_are_read_again_by_the_next(
    act: Callable[[World, str], None], make_sync_env: MakeSyncEnv
) -> None:
    """The first run finds nothing that explains the beacon, and cannot know whether that is since the lists are old."""
    upstream = Upstream(make_sync_env, is_live=act is unpublish)
    sync_env = upstream.env
    sync_env.act(lambda world: act(world, upstream.id))
    upstream.answer_late(EVERYTHING)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    upstream.faults.clear()
    sync_env.sync()
    upstream.assert_true()


@pytest.mark.parametrize("act", [edit_in_a_burst, publish_again])
@pytest.mark.parametrize("times", [1, 3, TIMES])
def test_what_goes_back_is_asked_for_six_times_before_it_is_believed(
    act: Callable[[World, str], None], times: int, make_sync_env: MakeSyncEnv
) -> None:
    """Content and publications that go back show only in versions: six old answers in a row are not believed."""
    upstream = Upstream(make_sync_env, is_live=act is publish_again)
    sync_env = upstream.env
    sync_env.act(lambda world: act(world, upstream.id))
    sync_env.sync()
    before = emitted_events(sync_env.mirror)
    upstream.answer_late(VERSIONS, times)
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    assert upstream.old_answers == times
    assert emitted_events(sync_env.mirror) == before
    upstream.assert_true()


def test_old_versions_are_asked_for_again_after_a_while_with_the_meta(make_sync_env: MakeSyncEnv) -> None:
    """Once more at once, then half a second later; each time the record itself is read first."""
    upstream = Upstream(make_sync_env, is_live=False)
    sync_env, asked, moments = upstream.env, list[str](), list[float]()

    def note(what: str) -> Callable[[World], None]:
        def act(_: World) -> None:
            asked.append(what)
            moments.append(time.monotonic())

        return act

    sync_env.act(lambda world: edit(world, upstream.id))
    upstream.faults.run_after(note("versions"), path=f"/items/{upstream.id}/versions", times=3)
    upstream.faults.run_after(note("record"), path=rf"/items/{upstream.id}(\?|$)", times=3)
    upstream.answer_late(VERSIONS, 2)
    sync_env.timings = Timings()
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert asked == ["versions", "record", "versions", "record", "versions"]
    assert moments[4] - moments[2] >= 0.5
    sync_env.sync()  # its meta was read from an old list, perhaps
    upstream.assert_true()


def test_a_meta_that_is_older_than_the_versions_is_read_again(make_sync_env: MakeSyncEnv) -> None:
    """An editor is faster than the run: what is written is of one moment, and the next list says the same."""
    upstream = Upstream(make_sync_env, is_live=False)
    sync_env = upstream.env
    sync_env.act(lambda world: edit(world, upstream.id))
    upstream.faults.run_after(lambda world: publish(world, upstream.id), path=r"/items\?")
    assert sync_env.sync().counts.versions_inserted == 1
    report = sync_env.sync()
    assert (report.counts.records_swept, report.counts.records_pulled) == (1, 0)
    upstream.assert_true()


@pytest.mark.parametrize("times", [1, TIMES])
def test_what_goes_back_in_a_quick_check_is_asked_for_again(times: int, make_sync_env: MakeSyncEnv) -> None:
    """A version was live for no time at all: only its interval shows it, and the old answer has none."""
    upstream = Upstream(make_sync_env, is_live=False)
    sync_env = upstream.env

    def publish_and_unpublish(world: World) -> None:
        publish(world, upstream.id)
        unpublish(world, upstream.id)

    sync_env.act(publish_and_unpublish)
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "other"}))
    upstream.answer_late(f"/items/{upstream.id}/versions", times)
    report = sync_env.sync(quick_check_from=1)
    assert (report.outcome, report.counts.records_swept) == (Outcome.SUCCEEDED, 0)
    assert upstream.old_answers == times
    upstream.assert_true()


def test_old_answers_from_before_a_record_was_made_do_not_delete_it(make_sync_env: MakeSyncEnv) -> None:
    """The list and the record are as they were before it was made, in six answers."""
    upstream = Upstream(make_sync_env, is_live=False)
    sync_env = upstream.env
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "second"}))
    sync_env.sync()
    before = emitted_events(sync_env.mirror)
    upstream.answer_late(EVERYTHING)
    assert sync_env.sync(full=True).outcome is Outcome.PARTIAL
    assert upstream.old_answers == TIMES
    assert emitted_events(sync_env.mirror) == before
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    upstream.assert_true()


@pytest.mark.parametrize("goes_dark", [False, True], ids=["live", "not live any more"])
def test_old_versions_do_not_take_back_what_was_published_in_part(goes_dark: bool, make_sync_env: MakeSyncEnv) -> None:
    """That is a version of its own, and not the current one: only the list of versions shows it."""
    upstream = Upstream(make_sync_env, is_live=False)
    sync_env = upstream.env
    sync_env.act(lambda world: world.add_locale(world.account, "it"))
    sync_env.act(lambda world: world.create_field(world.account, "post", "body", localized=True))
    sync_env.act(lambda world: world.update(world.user, upstream.id, {"body": {"en": "one", "it": "uno"}}))
    sync_env.act(lambda world: world.remember())
    sync_env.act(lambda world: world.publish(world.user, upstream.id, Selection.of(["en"])))
    if goes_dark:
        sync_env.act(lambda world: world.unpublish(world.user, upstream.id))
    sync_env.sync()
    before = emitted_events(sync_env.mirror)
    upstream.answer_late(VERSIONS, 3)
    sync_env.sync(full=True)
    assert emitted_events(sync_env.mirror) == before
    sync_env.sync()
    sync_env.sync()
    assert emitted_events(sync_env.mirror) == before
    upstream.assert_true()
