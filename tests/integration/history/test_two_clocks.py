"""What the mirror knew at a time, and answers while projections are not filled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.projections import fill
from tests.fixtures.sync_env import SyncEnv
from versionsync.api import Mirror
from versionsync.history.errors import AmbiguousName, NotFilled
from versionsync.sync.options import SourceSpec

pytestmark = pytest.mark.both_databases


def test_what_was_known_leaves_out_what_was_learned_later(sync_env: SyncEnv) -> None:
    """A record is unpublished, which the mirror learns later. The clock of the mirror is the real one."""
    record = sync_env.act(lambda world: world.create(world.user, "post", {"title": "Fish"}))
    sync_env.act(lambda world: world.publish(world.user, record.id))
    sync_env.sync()
    known_then = datetime.now(UTC)
    sync_env.wait(3600)
    sync_env.act(lambda world: world.unpublish(world.user, record.id))
    unpublished_at = sync_env.simulator.act(lambda world: world.now())
    sync_env.sync()
    fill(sync_env.mirror)
    mirror = Mirror(sync_env.mirror)
    later = unpublished_at + timedelta(seconds=1)
    for known_at, is_live in ((None, False), (known_then, True), (datetime.now(UTC), False)):
        for named in (None, record.id):
            found = list(mirror.as_of(later, named, published=True, known_at=known_at))
            assert bool(found) == is_live, (known_at, named)
            assert all(one.valid_until is None for one in found)
    (before,) = mirror.as_of(unpublished_at - timedelta(seconds=1), published=True)
    assert before.valid_until == unpublished_at
    (before,) = mirror.as_of(unpublished_at - timedelta(seconds=1), published=True, known_at=known_then)
    assert before.valid_until is None


def test_the_answers_for_one_record_do_not_wait_for_the_projections(sync_env: SyncEnv) -> None:
    """They are the same before the projections are filled, while some are, and after."""
    records = [
        sync_env.act(lambda world, title=title: world.create(world.user, "post", {"title": title}))
        for title in ("Fish", "Chips")
    ]
    for one in records:
        sync_env.act(lambda world, one=one: world.publish(world.user, one.id))
        sync_env.act(lambda world, one=one: world.update(world.user, one.id, {"title": "Fresh fish"}))
    sync_env.sync()
    mirror = Mirror(sync_env.mirror)

    def answers(id: str) -> object:
        log = list(mirror.versions(id))
        return (
            mirror.record(id).title,
            log,
            list(mirror.versions(id, field="title")),
            [list(mirror.as_of(one.created_at, id)) for one in log],
            [list(mirror.as_of("now", id, published=live, known_at="now")) for live in (True, False)],
            mirror.version(log[0].version_id),
        )

    computed = [answers(record.id) for record in records]
    for ask in (mirror.as_of("now"), mirror.versions(field="title")):
        with pytest.raises(NotFilled):
            next(ask)
    assert all(one.changes is None for one in mirror.versions())
    assert all(one.is_empty for one in mirror.filled())
    fill(sync_env.mirror)
    assert [answers(record.id) for record in records] == computed
    assert all(one.is_complete for one in mirror.filled())
    sync_env.act(lambda world: world.update(world.user, records[0].id, {"title": "Stale fish"}))
    sync_env.sync()
    assert not any(one.is_complete or one.is_empty for one in mirror.filled())
    assert answers(records[1].id) == computed[1]
    newest, *_ = mirror.versions(records[0].id)
    assert newest.title == "Stale fish"
    assert newest.changes
    newest, *others = mirror.versions()
    assert newest.changes is None
    assert all(one.changes is not None for one in others)


def test_an_id_of_several_sources_is_no_safe_position_on_postgresql(sync_env: SyncEnv) -> None:
    """There a lower id may be committed after a higher one of another source. SQLite has one writer."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "Fish"}))
    sync_env.sync()
    mirror = Mirror(sync_env.mirror)
    every = list(mirror.events())
    assert every
    sync_env.spec = SourceSpec(name="second", base_url=sync_env.spec.base_url)
    sync_env.sync()
    if sync_env.mirror.dialect.name == "postgresql":
        with pytest.raises(AmbiguousName, match="ids are in order within one source only") as refused:
            mirror.events()
        assert sorted(refused.value.candidates) == ["--source second", "--source website"]
    else:
        assert len(list(mirror.events())) == 2 * len(every)
    assert list(Mirror(sync_env.mirror, sources=["website"]).events()) == every
    assert len(mirror.event_reader().start_before_last_acts(99)) == 2
