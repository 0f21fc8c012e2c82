"""Whatever editors do, the mirror and its events say what really happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from tests.fixtures.compare_with_expected import differences, emitted_events
from tests.fixtures.fake_upstreams import gateway, refusal
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync import cma
from versionsync.ledger.times import format_time
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import events, models, version_rewrites, versions
from versionsync.simulator import SimulatorOptions, World
from versionsync.sync.report import Outcome, RunKind, RunReport

Act = Callable[[World], object]


def story(sync_env: SyncEnv) -> list[Act]:
    """What editors do in a few days: every act that moves a flag."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    price = sync_env.act(lambda world: world.create(world.user, "price", {"title": "10"}))
    return [
        lambda world: world.update(world.user, post.id, {"title": "two"}),
        lambda world: world.publish(world.account, post.id),
        lambda world: world.update(world.sso_user, post.id, {"title": "three"}),
        lambda world: world.update(world.user, post.id, {"title": "four"}),
        lambda world: world.publish(world.user, post.id),
        lambda world: world.unpublish(world.user, post.id),
        lambda world: world.publish(world.user, post.id),
        lambda world: world.update(world.user, price.id, {"title": "11"}),
        lambda world: world.update(world.user, price.id, {"title": "12"}),
        lambda world: world.restore(world.user, post.versions[0].id),
        lambda world: world.publish(world.user, post.id),
        lambda world: world.delete(world.user, price.id),
    ]


@pytest.mark.both_databases
def test_a_first_run_mirrors_everything(sync_env: SyncEnv) -> None:
    """All versions, their flags and their whole past as events."""
    for act in story(sync_env):
        sync_env.act(act)
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    assert report.kind is RunKind.BACKFILL
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_second_run_costs_one_request_and_writes_nothing(sync_env: SyncEnv) -> None:
    """Invariants 10 and 12."""
    for act in story(sync_env):
        sync_env.act(act)
    sync_env.sync()
    before = emitted_events(sync_env.mirror)
    assert sync_env.requests(lambda: sync_env.sync(settled=False)) == 1
    assert emitted_events(sync_env.mirror) == before


def test_a_full_run_with_nothing_new_writes_nothing(sync_env: SyncEnv) -> None:
    """Invariant 10, though every history is read again."""
    for act in story(sync_env):
        sync_env.act(act)
    sync_env.sync()
    report = sync_env.sync(full=True)
    counts = report.counts
    assert (counts.versions_inserted, counts.versions_changed, counts.events_written) == (0, 0, 0)
    assert counts.records_pulled > 0


@pytest.mark.both_databases
def test_watching_every_act_tells_every_transition(sync_env: SyncEnv) -> None:
    """Each transition is one event, in order, with upstream's time."""
    acts = story(sync_env)
    sync_env.sync()
    for act in acts:
        sync_env.act(act)
        report = sync_env.sync()
        assert report.outcome is Outcome.SUCCEEDED, report
        assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []


@pytest.mark.parametrize("every", [2, 3, 5, 12])
def test_what_came_and_went_unwatched_is_told(sync_env: SyncEnv, every: int) -> None:
    """A mirror that syncs now and then has everything that DatoCMS still shows."""
    acts = story(sync_env)
    sync_env.sync()
    for place, act in enumerate(acts, start=1):
        sync_env.act(act)
        if place % every == 0:
            sync_env.sync()
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_acts_of_one_second_keep_their_order(sync_env: SyncEnv) -> None:
    """Whole-second times: the list shows the order, the times do not."""
    acts = story(sync_env)
    sync_env.pause = timedelta(0)
    for act in acts:
        sync_env.act(act)
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_change_in_the_second_of_the_last_look_is_not_missed(sync_env: SyncEnv) -> None:
    """The beacon does not move within its own second, so it is not trusted in it."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.sync(settled=False)
    sync_env.pause = timedelta(0)
    sync_env.act(lambda world: world.update(world.user, post.id, {"title": "two"}))
    sync_env.sync(settled=False)
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_merged_burst_is_a_rewrite_and_loses_nothing(make_sync_env: MakeSyncEnv) -> None:
    """Invariant 1: the content first seen is kept beside the one that replaced it."""
    sync_env = make_sync_env(switches=SimulatorOptions(history_resolution=timedelta(hours=1)))
    sync_env.act(lambda world: world.create_field(world.account, world.create_model(world.account, "post"), "title"))
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.sync()
    sync_env.act(lambda world: world.update(world.user, post.id, {"title": "second"}))
    report = sync_env.sync()
    assert (report.counts.versions_inserted, report.counts.versions_rewritten) == (0, 1)
    assert differences(sync_env.mirror, sync_env.truth()) == []
    with sync_env.mirror.read() as connection:
        assert "first" in str(connection.scalar(select(version_rewrites.c.attributes)))
        assert "second" in str(connection.scalar(select(versions.c.attributes)))


def test_a_burst_merged_under_a_new_id_is_missing_and_created(make_sync_env: MakeSyncEnv) -> None:
    """The old version stays, marked as missing, without its flag."""
    sync_env = make_sync_env(
        switches=SimulatorOptions(history_resolution=timedelta(hours=1), merged_versions_keep_id=False)
    )
    sync_env.act(lambda world: world.create_field(world.account, world.create_model(world.account, "post"), "title"))
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.sync()
    sync_env.act(lambda world: world.update(world.user, post.id, {"title": "second"}))
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []
    assert "version.missing" in {event[0] for event in emitted_events(sync_env.mirror)}


@pytest.mark.parametrize("readable", [False, True])
def test_a_deleted_record_is_a_tombstone_and_its_versions_stay(make_sync_env: MakeSyncEnv, readable: bool) -> None:
    """Invariants 1 and 5; what was still readable of it is mirrored."""
    sync_env = make_sync_env(switches=SimulatorOptions(deleted_versions_readable=readable))
    sync_env.act(lambda world: world.create_field(world.account, world.create_model(world.account, "post"), "title"))
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.sync()
    sync_env.act(lambda world: world.update(world.user, post.id, {"title": "second"}))
    sync_env.act(lambda world: world.delete(world.user, post.id))
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    assert differences(sync_env.mirror, sync_env.truth()) == []
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(func.count()).select_from(versions)) == (2 if readable else 1)
    assert emitted_events(sync_env.mirror)[-1][0] == "record.deleted"


def test_a_record_that_returns_is_told(sync_env: SyncEnv) -> None:
    """Deleted and made again under its id: the same row goes on, the old versions are missing."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.sync()
    sync_env.act(lambda world: world.delete(world.user, post.id))
    sync_env.sync()
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "again"}, id=post.id))
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []
    types = [event[0] for event in emitted_events(sync_env.mirror)]
    assert types.count("record.deleted") == types.count("record.returned") == types.count("version.missing") == 1


def test_a_return_that_nobody_watched_is_told(sync_env: SyncEnv) -> None:
    """Between two runs: its age and its versions show that it is another one."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.sync()
    sync_env.act(lambda world: world.delete(world.user, post.id))
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "again"}, id=post.id))
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []
    types = [event[0] for event in emitted_events(sync_env.mirror)]
    assert types.count("record.deleted") == types.count("record.returned") == 1


def test_a_deleted_model_takes_its_records_along(sync_env: SyncEnv) -> None:
    """Evidence: each record is asked for, and the model does not exist any more."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.sync()
    sync_env.act(lambda world: world.destroy_model(world.account, "post"))
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []
    with sync_env.mirror.read() as connection:
        types = set(connection.scalars(select(events.c.type)))
    assert {"model.deleted", "field.deleted", "record.deleted"} <= types


def test_changes_of_the_schema_are_events(sync_env: SyncEnv) -> None:
    """Made, renamed, retyped, deleted; a first run finds a schema, and no change of it."""
    sync_env.sync()
    with sync_env.mirror.read() as connection:
        assert list(connection.scalars(select(events.c.type))) == []
    field = sync_env.act(lambda world: world.create_field(world.account, "post", "body"))
    sync_env.sync()
    sync_env.act(lambda world: world.update_field(world.account, field.id, api_key="text"))
    sync_env.sync()
    sync_env.act(lambda world: world.destroy_field(world.account, field.id))
    sync_env.act(lambda world: world.create_model(world.account, "page"))
    sync_env.sync()
    with sync_env.mirror.read() as connection:
        assert sorted(connection.scalars(select(events.c.type))) == [
            "field.changed",
            "field.created",
            "field.deleted",
            "model.created",
        ]


@pytest.mark.both_databases
def test_a_renamed_field_is_in_its_view_at_once_for_versions_with_its_old_name(make_sync_env: MakeSyncEnv) -> None:
    """The view is made from the event of this run, too."""
    sync_env = make_sync_env(switches=SimulatorOptions(renamed_fields="old_key"))
    model = sync_env.act(lambda world: world.create_model(world.account, "post"))
    field = sync_env.act(lambda world: world.create_field(world.account, model, "title"))
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.sync()
    sync_env.act(lambda world: world.update_field(world.account, field.id, api_key="headline"))
    sync_env.sync()
    with sync_env.mirror.read() as connection:
        assert connection.execute(text("SELECT headline FROM website_post_versions")).all() == [("one",)]


@pytest.mark.both_databases
def test_a_view_that_cannot_follow_the_schema_is_told(sync_env: SyncEnv) -> None:
    """On PostgreSQL, where a user's own view uses it; the run succeeds all the same."""
    sync_env.sync()
    with sync_env.mirror.write() as tx:
        tx.exec_driver_sql("CREATE VIEW mine AS SELECT title FROM website_post_versions")
    (title,) = sync_env.act(lambda world: list(world.primary.model("post").fields.values()))
    sync_env.act(lambda world: world.update_field(world.account, title.id, api_key="headline"))
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED
    told_of = ["website_post_versions" in note for note in report.notes]
    assert told_of == ([True] if sync_env.mirror.dialect.name == "postgresql" else [])


def test_a_change_of_the_schema_is_told_though_no_run_has_succeeded_yet(sync_env: SyncEnv) -> None:
    """The first run has read the schema, whatever became of its records."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    direct, refused = sync_env.spec, refusal("INVALID_PARAMS", 422)
    with gateway(direct.base_url, instead=lambda path: refused if post.id in path else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        assert sync_env.sync().outcome is Outcome.PARTIAL
        sync_env.act(lambda world: world.create_field(world.account, "post", "body"))
        assert sync_env.sync().outcome is Outcome.PARTIAL
    with sync_env.mirror.read() as connection:
        (row,) = connection.execute(select(events).where(events.c.type.startswith("field.")))
        first_seen_at = connection.scalar(select(func.min(models.c.first_seen_at)))
    assert row.type == "field.created"
    assert json.loads(row.data)["after"] == format_time(first_seen_at)


def test_an_environment_that_is_being_copied_is_waited_for(make_sync_env: MakeSyncEnv) -> None:
    """Whatever it would answer: what is not there yet was not deleted."""
    sync_env = make_sync_env(switches=SimulatorOptions(fork_duration=timedelta(minutes=30)))
    sync_env.act(lambda world: world.create_field(world.account, world.create_model(world.account, "post"), "title"))
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.act(lambda world: world.fork(world.account, "main", "spring"))
    sync_env.spec = replace(sync_env.spec, environment="spring")
    reports: list[RunReport] = []
    assert sync_env.requests(lambda: reports.append(sync_env.sync())) == 1
    assert isinstance(reports[0].error, cma.Unavailable)
    assert "the environment spring is creating" in str(reports[0].error)
    sync_env.wait(3600)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth("spring")) == []


def test_following_the_primary_environment_through_a_promotion(sync_env: SyncEnv, mirror: Mirror) -> None:
    """The same source goes on, records keep their history by their id."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.sync()
    sync_env.act(lambda world: world.fork(world.account, "main", "spring"))
    sync_env.act(lambda world: world.update(world.user, post.id, {"title": "second"}, environment="spring"))
    sync_env.act(lambda world: world.promote(world.account, "spring"))
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    assert report.environment == "spring"
    assert differences(mirror, sync_env.truth("spring")) == []
    with mirror.read() as connection:
        data = connection.scalar(select(events.c.data).where(events.c.type == "source.environment_changed"))
    assert '"main"' in str(data) and '"spring"' in str(data)
    assert sync_env.requests(lambda: sync_env.sync(settled=False)) == 3, "swept once more"
    assert sync_env.requests(lambda: sync_env.sync(settled=False)) == 1


def test_a_long_history_costs_one_request_more_only_where_it_must(sync_env: SyncEnv) -> None:
    """Stopping at the last known current version; what was published is asked for by itself."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "0"}))
    sync_env.act(lambda world: world.publish(world.user, post.id))
    for number in range(1, 130):
        sync_env.act(lambda world, number=number: world.update(world.user, post.id, {"title": str(number)}))
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []
    assert sync_env.requests(lambda: sync_env.sync(full=True)) == 6  # beacon, schema, sweep, three pages

    sync_env.act(lambda world: world.update(world.user, post.id, {"title": "130"}))
    assert sync_env.requests(sync_env.sync) == 4  # beacon, schema, sweep, one page
    sync_env.act(lambda world: world.publish(world.user, post.id))
    assert sync_env.requests(sync_env.sync) == 5  # and the version that was published until now
    sync_env.act(lambda world: world.unpublish(world.user, post.id))
    assert sync_env.requests(sync_env.sync) == 5  # the list twice, since it shows nothing as young as the change
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []


def test_a_publication_by_schedule_is_seen_though_the_beacon_stands_still(make_sync_env: MakeSyncEnv) -> None:
    """The mirror knows when it was due, and syncs then."""
    sync_env = make_sync_env(switches=SimulatorOptions(schedules_move_beacon=False))
    sync_env.act(lambda world: world.create_field(world.account, world.create_model(world.account, "post"), "title"))
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    due = START + timedelta(hours=5)
    sync_env.act(lambda world: world.schedule_publication(world.user, post.id, due))
    sync_env.sync()
    assert sync_env.requests(lambda: sync_env.sync(settled=False)) == 1
    sync_env.wait(6 * 3600)
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []
    assert sync_env.requests(lambda: sync_env.sync(settled=False)) == 1


@pytest.mark.parametrize("publishes", [True, False])
def test_a_schedule_that_is_carried_out_late_is_seen_too(make_sync_env: MakeSyncEnv, publishes: bool) -> None:
    """Though an edit after its time has moved the stamp beyond it, and what follows does not move it."""
    sync_env = make_sync_env(switches=SimulatorOptions(schedules_move_beacon=False))
    sync_env.act(lambda world: world.create_field(world.account, world.create_model(world.account, "post"), "title"))
    post, other = (sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"})) for _ in range(2))
    due, late = START + timedelta(hours=5), START + timedelta(hours=5, minutes=4)

    def plan(world: World) -> None:
        if publishes:
            world.schedule_publication(world.user, post.id, due)
        else:
            world.publish(world.user, post.id)
            world.schedule_unpublishing(world.user, post.id, due)
        plans = world.primary.publications if publishes else world.primary.unpublishings
        plans[post.id] = replace(plans[post.id], at=late)

    sync_env.act(plan)
    sync_env.sync()
    sync_env.simulator.act(lambda world: world.clock.set(due))
    sync_env.act(lambda world: world.update(world.user, other.id, {"title": "second"}))
    assert sync_env.sync().counts.versions_inserted == 1
    sync_env.wait(600)
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []
    assert sync_env.requests(lambda: sync_env.sync(settled=False)) == 1


def test_a_schedule_of_a_record_that_became_a_block_is_not_awaited(make_sync_env: MakeSyncEnv) -> None:
    """Upstream never carries it out."""
    sync_env = make_sync_env(switches=SimulatorOptions(schedules_move_beacon=False))
    sync_env.act(lambda world: world.create_field(world.account, world.create_model(world.account, "post"), "title"))
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "first"}))
    sync_env.act(lambda world: world.schedule_publication(world.user, post.id, START + timedelta(hours=5)))
    sync_env.sync()
    sync_env.act(lambda world: world.update_model(world.account, post.model.id, is_block=True))
    sync_env.wait(6 * 3600)
    sync_env.sync()
    assert sync_env.requests(lambda: sync_env.sync(settled=False)) == 1


def test_a_small_change_in_a_large_project_costs_a_handful(sync_env: SyncEnv) -> None:
    """Asked for by time and proven by counting; what that cannot see is found by a sweep."""
    ids = [
        sync_env.act(lambda world, title=str(place): world.create(world.user, "post", {"title": title})).id
        for place in range(20)
    ]
    for id in ids[:10]:
        sync_env.act(lambda world, live=id: world.publish(world.user, live))
    sync_env.sync(quick_check_from=1)
    sync_env.wait(3600)
    quick, pull = 7, 1  # beacon, schema, five questions
    sweep = 4 + 1 + 5  # no time says so: all are listed, and then what is young is asked for once more
    role, role_again, model, confirmations = 1, 1, 1, 2
    schema_again = 1
    young = 5  # made within the last day: it may be absent from an old answer
    acts: list[tuple[int, Act]] = [
        (quick + pull, lambda world: world.update(world.user, ids[3], {"title": "new"})),
        (quick + pull, lambda world: world.publish(world.user, ids[12])),
        (quick + schema_again + pull, lambda world: world.create(world.user, "post", {"title": "another"})),
        (sweep + pull, lambda world: world.unpublish(world.user, ids[5])),
        (sweep + role + role_again + model + confirmations + young, lambda world: world.delete(world.user, ids[19])),
    ]
    for expected, act in acts:
        sync_env.act(act)
        sync_env.wait(600)
        assert sync_env.requests(lambda: sync_env.sync(settled=False, quick_check_from=1)) == expected
        assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []
        assert sync_env.requests(lambda: sync_env.sync(settled=False, quick_check_from=1)) == 1


def test_counting_finds_what_hides_behind_an_edit(sync_env: SyncEnv) -> None:
    """An unpublication and a deletion in the shadow of something that can be asked for."""
    ids = [
        sync_env.act(lambda world, title=str(place): world.create(world.user, "post", {"title": title})).id
        for place in range(6)
    ]
    sync_env.act(lambda world: world.publish(world.user, ids[0]))
    sync_env.sync(quick_check_from=1)
    sync_env.wait(3600)
    sync_env.act(lambda world: world.unpublish(world.user, ids[0]))
    sync_env.act(lambda world: world.update(world.user, ids[1], {"title": "new"}))
    sync_env.sync(quick_check_from=1)
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []
    sync_env.act(lambda world: world.delete(world.user, ids[2]))
    sync_env.act(lambda world: world.update(world.user, ids[1], {"title": "newer"}))
    sync_env.sync(quick_check_from=1)
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []


@pytest.mark.both_databases
@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_record_that_the_database_refuses_stops_no_other(sync_env: SyncEnv, others: int) -> None:
    """Invariant 13: it is named, those written with it are mirrored, and the next run tries it again."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "same"}))
    sync_env.sync()
    with sync_env.mirror.write() as tx:
        tx.execute(text("CREATE UNIQUE INDEX no_two_alike ON versions (attributes_hash)"))
    refused = sync_env.act(lambda world: world.create(world.user, "post", {"title": "same"})).id
    for number in range(others):
        sync_env.act(lambda world, number=number: world.create(world.user, "post", {"title": str(number)}))  # type: ignore[misc]
    report = sync_env.sync()
    assert report.outcome is Outcome.PARTIAL
    (failure,) = report.failures
    assert failure.record_id == refused
    assert "refuses a row" in failure.reason
    assert report.counts.versions_inserted == others
    with sync_env.mirror.write() as tx:
        tx.execute(text("DROP INDEX no_two_alike"))
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []
