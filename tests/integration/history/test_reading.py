"""Projections answer for one record where they are not filled, and say how far they are."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import select

from tests.fixtures.projections import fill
from tests.fixtures.sync_env import SyncEnv
from tests.integration.mirror.writing import RECORD, Desk, Shown, a_field, at
from versionsync.history.projections.filling import ProjectionFiller, request_rebuild
from versionsync.history.projections.reading import computed, coverage, record_projections
from versionsync.mirror.schema import records
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.mirror.tables.models import upsert_schema
from versionsync.simulator import World

pytestmark = pytest.mark.both_databases


@pytest.fixture
def written(desk: Desk) -> Desk:
    """A record of three versions, live once, and no process that holds the lease."""
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], [a_field("title")], observed_at=at(0))
    desk.look(Shown("c", 1), Shown("a", 2, "p", live=(3, None)), Shown("b", 4, "c"))
    release(desk.mirror, desk.lease)
    return desk


def test_what_is_computed_in_memory_is_what_the_tables_will_hold(written: Desk) -> None:
    """In the same order."""
    id = written.lease.source_id
    with written.mirror.read() as connection:
        before = record_projections(connection, id, RECORD)
        assert before.is_computed
        assert [row.version_id for row in before.titles] == ["c", "a", "b"]
        assert [row.version_id for row in before.changes] == ["c", "a", "b"]
        assert [(row.kind, row.version_id) for row in before.intervals] == [
            ("current", "c"),
            ("current", "a"),
            ("current", "b"),
            ("published", "a"),
        ]
    fill(written.mirror)
    with written.mirror.read() as connection:
        after = record_projections(connection, id, RECORD)
        assert not after.is_computed
        assert (after.changes, after.intervals, after.titles) == (before.changes, before.intervals, before.titles)


def an_article(world: World, *, number: int) -> None:
    """A record of two versions; the first was published."""
    record = world.create(world.account, "post", {"title": f"{number}"})
    world.publish(world.account, record.id)
    world.update(world.account, record.id, {"title": "more"})


def test_every_record_of_a_project_is_computed_as_it_is_filled(sync_env: SyncEnv) -> None:
    for number in range(3):
        sync_env.act(partial(an_article, number=number))
    sync_env.sync()
    fill(sync_env.mirror)
    with sync_env.mirror.read() as connection:
        ids = connection.scalars(select(records.c.id)).all()
        assert len(ids) == 3
        for id in ids:
            filled, again = record_projections(connection, 1, id), computed(connection, 1, id)
            assert not filled.is_computed
            assert (filled.changes, filled.intervals, filled.titles) == (again.changes, again.intervals, again.titles)


def test_a_record_that_has_something_new_is_computed(written: Desk) -> None:
    """Only that one: others are read from the tables."""
    fill(written.mirror)
    written.lease = acquire(written.mirror, written.lease.source_id, Holder.of_this_process())
    written.look(Shown("x", 9, "c"), id="other")
    with written.mirror.read() as connection:
        assert not record_projections(connection, written.lease.source_id, RECORD).is_computed
        assert record_projections(connection, written.lease.source_id, "other").is_computed


def test_an_unknown_record_has_nothing(written: Desk) -> None:
    with written.mirror.read() as connection:
        found = record_projections(connection, written.lease.source_id, "nobody")
    assert (found.changes, found.intervals, found.titles) == ([], [], [])


def test_projections_tell_how_far_they_are_filled(written: Desk) -> None:
    """Nothing, some of it with a time, or everything."""
    id = written.lease.source_id
    with written.mirror.read() as connection:
        empty = coverage(connection, id)
    assert (empty.is_empty, empty.is_complete, empty.until) == (True, False, None)
    filler = ProjectionFiller(written.mirror, id, events_at_once=2)
    while filler.fill_batch().event_id == 0:
        pass
    with written.mirror.read() as connection:
        partial = coverage(connection, id)
    assert (partial.is_empty, partial.is_complete, partial.until) == (False, False, at(1001))
    fill(written.mirror)
    with written.mirror.read() as connection:
        full = coverage(connection, id)
    assert (full.is_empty, full.is_complete, full.until) == (False, True, None)
    with written.mirror.write() as tx:
        request_rebuild(tx, id, ["titles"])
    with written.mirror.read() as connection:
        assert coverage(connection, id).is_empty
        assert coverage(connection, id, ["intervals"]).is_complete


def test_a_mirror_without_events_is_complete(desk: Desk) -> None:
    with desk.mirror.read() as connection:
        state = coverage(connection, desk.lease.source_id)
    assert (state.is_empty, state.is_complete) == (False, True)
