"""Publications that leave no trace in the list of records: found by reading histories, within a limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.mirror.schema import events, records, sources
from versionsync.mirror.tables.sources import Checkpoint, load_source
from versionsync.simulator import Selection, World
from versionsync.sync.report import Outcome
from versionsync.sync.unexplained_changes import ReadLimit

POSTS = 12


def localized(world: World) -> None:
    """A model with a localized title and two locales; some posts are live, each with a newer draft."""
    world.options.republishing_moves_published_at = False
    world.add_locale(world.account, "it")
    model = world.create_model(world.account, "post")
    world.create_field(world.account, model, "title", localized=True)
    for number in range(POSTS):
        world.clock.advance(timedelta(seconds=1))  # the times show which was published first
        id = world.create(world.user, "post", {"title": {"en": f"{number}", "it": f"{number}"}}).id
        world.publish(world.user, id)
        world.update(world.user, id, {"title": {"en": f"{number} new", "it": f"{number} nuovo"}})


@pytest.fixture
def posts(make_sync_env: MakeSyncEnv) -> SyncEnv:
    """A sync_env in which publishing again leaves `published_at` as it is; its posts are mirrored."""
    sync_env = make_sync_env()
    sync_env.act(localized)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    return sync_env


def publish_in_italian(sync_env: SyncEnv, number: int) -> None:
    """Publish one locale of a post, which leaves its meta as it was."""
    before = meta(sync_env, number)
    sync_env.act(
        lambda world: world.publish(
            world.user,
            list(world.primary.records)[number],
            Selection(locales=frozenset({"it"}), non_localized=False),
        )
    )
    assert meta(sync_env, number) == before


def meta(sync_env: SyncEnv, number: int) -> tuple[object, ...]:
    """What the list of records shows of a post."""

    def read(world: World) -> tuple[object, ...]:
        record = list(world.primary.records.values())[number]
        return record.status, record.published_at, record.updated_at, record.head.id

    return sync_env.simulator.act(read)


def checkpoint(sync_env: SyncEnv) -> Checkpoint:
    """How far the mirror has come."""
    with sync_env.mirror.read() as connection:
        found = load_source(connection, "website")
    assert found is not None
    return found.checkpoint


def publications(sync_env: SyncEnv) -> int:
    """How many events of publications the mirror holds."""
    with sync_env.mirror.read() as connection:
        return connection.scalar(select(func.count()).where(events.c.type == "version.published")) or 0


def an_hour_passes(sync_env: SyncEnv) -> None:
    """Histories were last read an hour earlier than they were."""
    with sync_env.mirror.write() as tx:
        tx.execute(update(sources).values(unexplained_read_at=datetime.now(UTC) - timedelta(hours=1)))


def test_a_publication_that_no_list_shows_is_found_at_once(posts: SyncEnv) -> None:
    """By reading the histories of records with a newer draft; then a run takes one request again."""
    publish_in_italian(posts, 7)
    report = posts.sync()
    assert (report.outcome, report.notes) == (Outcome.SUCCEEDED, [])
    assert publications(posts) == POSTS + 1
    assert checkpoint(posts).unexplained_change_since is None
    assert differences(posts.mirror, posts.truth()) == []
    assert posts.requests(lambda: posts.sync()) == 3, "the lists may have been old: one more"
    assert posts.requests(lambda: posts.sync()) == 1


def test_a_limit_spreads_the_search_over_runs(posts: SyncEnv) -> None:
    """A run succeeds though it has not found the change, and the next ones go on until each candidate was read once."""
    publish_in_italian(posts, 0)  # the one that was published first is read last
    posts.spec = replace(posts.spec, unexplained=ReadLimit(at_once=10, per_hour=10))
    beacon, schema, list_, list_again, histories = 1, 1, 1, 1, 10
    assert posts.requests(lambda: posts.sync()) == beacon + schema + list_ + list_again + histories
    since = checkpoint(posts).unexplained_change_since
    assert since is not None
    assert publications(posts) == POSTS
    assert posts.requests(lambda: posts.sync()) == beacon + schema + list_
    assert posts.requests(lambda: posts.sync()) == 1
    an_hour_passes(posts)
    assert posts.requests(lambda: posts.sync()) == beacon + schema + 8
    assert checkpoint(posts).unexplained_change_since == since
    an_hour_passes(posts)
    posts.sync()
    assert checkpoint(posts).unexplained_change_since is None
    assert publications(posts) == POSTS + 1
    assert differences(posts.mirror, posts.truth()) == []
    assert posts.requests(lambda: posts.sync()) == 1


def test_a_run_says_that_it_looks_for_a_change(posts: SyncEnv) -> None:
    """As a note; the run is a success."""
    publish_in_italian(posts, 0)
    posts.spec = replace(posts.spec, unexplained=ReadLimit(at_once=4, per_hour=4))
    report = posts.sync()
    assert report.outcome is Outcome.SUCCEEDED
    assert ["upstream reports a change that no list shows" in note for note in report.notes] == [True]


@pytest.mark.parametrize("how", ["schema", "project", "deletion", "edit"])
def test_what_explains_a_change_costs_no_search(posts: SyncEnv, how: str) -> None:
    """A change of the schema or of the project, a deletion, an edit."""
    first = posts.simulator.act(lambda world: next(iter(world.primary.records)))
    match how:
        case "schema":
            posts.act(lambda world: world.create_model(world.account, "page"))
        case "project":
            posts.act(lambda world: world.update_site(world.account, name="Another name"))
        case "deletion":
            posts.act(lambda world: world.delete(world.user, first))
        case "edit":
            posts.act(lambda world: world.update(world.user, first, {"title": {"en": "a", "it": "b"}}))
    at_most = 15  # a young record that is absent is asked for six times
    assert posts.requests(lambda: posts.sync()) <= at_most
    assert checkpoint(posts).unexplained_change_since is None
    assert posts.requests(lambda: posts.sync()) == 1


@pytest.mark.parametrize("act", ["publish", "delete"])
def test_what_a_run_of_single_records_found_explains_a_change(posts: SyncEnv, act: str) -> None:
    """As where a webhook names the record: the next complete run finds the beacon moved, and nothing else."""
    id = posts.simulator.act(lambda world: list(world.primary.records)[3])
    if act == "publish":
        publish_in_italian(posts, 3)
    else:
        posts.act(lambda world: world.delete(world.user, id))
    assert posts.sync(record_ids=(id,)).counts.events_written > 0
    beacon, schema, list_, list_again = 1, 1, 1, 1
    assert posts.requests(lambda: posts.sync()) == beacon + schema + list_ + list_again
    assert posts.requests(lambda: posts.sync()) == 1


def test_a_full_sync_explains_everything(posts: SyncEnv) -> None:
    """It reads all histories anyway, and ends a search that is under way."""
    publish_in_italian(posts, 0)
    posts.spec = replace(posts.spec, unexplained=ReadLimit(at_once=2, per_hour=2))
    posts.sync()
    assert checkpoint(posts).unexplained_change_since is not None
    posts.sync(full=True)
    assert checkpoint(posts).unexplained_change_since is None
    assert publications(posts) == POSTS + 1


def test_a_publication_behind_an_edit_is_found_by_the_scrub(posts: SyncEnv) -> None:
    """The edit explains the change. Records with a newer draft are the first whose histories are read again."""
    publish_in_italian(posts, 3)
    other = posts.simulator.act(lambda world: list(world.primary.records)[5])
    posts.act(lambda world: world.update(world.user, other, {"title": {"en": "x", "it": "y"}}))
    posts.act(lambda world: world.create_model(world.account, "page"))
    for number in range(100):
        posts.act(lambda world, number=number: world.create(world.user, "post", {"title": {"en": f"{number}"}}))  # type: ignore[misc]
    posts.sync()
    assert publications(posts) == POSTS
    with posts.mirror.write() as tx:
        tx.execute(update(records).values(synced_at=datetime.now(UTC) - timedelta(days=2)))
    posts.sync(scrub=2 * POSTS)
    assert publications(posts) == POSTS + 1
    assert differences(posts.mirror, posts.truth()) == []


def test_the_budget_of_a_run_is_kept(posts: SyncEnv) -> None:
    """The search takes what the run's own limit leaves, so that it does not end the run."""
    publish_in_italian(posts, 0)
    report = posts.sync(max_requests=20)
    assert report.outcome is Outcome.SUCCEEDED
    assert report.counts.requests < 20
    assert checkpoint(posts).unexplained_change_since is not None
