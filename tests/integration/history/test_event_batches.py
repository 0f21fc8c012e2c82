"""Events come in batches, and the batches are all events: none twice, none missing, wherever a batch ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from tests.fixtures.sync_env import SyncEnv
from versionsync.api import Event, Mirror
from versionsync.mirror.schema import events
from versionsync.mirror.tables.events import last_event_id
from versionsync.simulator import World

pytestmark = pytest.mark.both_databases

BATCHES = (1, 2, 3, 5, 7, 11, 13, 17, 29, 50)
LONGEST = 12
"""More than the events that follow one another and have one time."""


@pytest.fixture
def env(sync_env: SyncEnv) -> SyncEnv:
    """Two sources. Of each, one run mirrors records that were published at once, between other edits of them."""
    env = sync_env
    for name in ("website", "shop", "website"):
        env.spec = replace(env.spec, name=name)
        env.act(_create)
        env.act(_publish_all)
        env.act(_edit_some)
        env.act(_publish_all)
        assert not env.sync().error
    return env


def _create(world: World) -> None:
    for number in range(5):
        world.create(world.user, "post", {"title": f"{number}"})


def _edit_some(world: World) -> None:
    for id in sorted(world.environment(None).records)[::2]:
        world.update(world.user, id, {"title": f"again {id}"})


def _publish_all(world: World) -> None:
    for id in sorted(world.environment(None).records):
        world.publish(world.user, id)


@pytest.mark.parametrize("sources", [("website",), ("shop", "website")])
@pytest.mark.parametrize("size", BATCHES)
def test_no_event_is_lost_between_two_batches(
    env: SyncEnv, sources: tuple[str, ...], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror(env.mirror, sources=sources)
    (whole,) = mirror.event_reader().batches()
    every = [event.id for event in whole]
    if len(sources) == 2:
        with env.mirror.read() as connection:
            assert every[-1] == last_event_id(connection)
    monkeypatch.setattr("versionsync.history.questions.events.BATCH", size)
    batches = list(mirror.event_reader().batches())
    assert [event.id for batch in batches for event in batch] == every == sorted(set(every))
    assert len(batches) > 1


@pytest.mark.parametrize("size", BATCHES)
def test_an_act_is_in_one_batch(env: SyncEnv, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of one source, run and time are read together, unless a batch has room for nothing else."""
    monkeypatch.setattr("versionsync.history.questions.events.BATCH", LONGEST + size)
    last: dict[str, Event] = {}
    batches = list(Mirror(env.mirror).event_reader().batches())
    for batch in batches:
        for source in ("shop", "website"):
            own = [event for event in batch if event.source == source]
            if own:
                assert source not in last or _instant(own[0]) != _instant(last[source])
                last[source] = own[-1]
    assert len(batches) > 1


def _instant(event: Event) -> tuple[object, object]:
    return event.observed_at, event.occurred_at


def test_what_another_source_commits_late_is_not_missed(env: SyncEnv) -> None:
    """In PostgreSQL, an event of one source may be committed after one of another source with a higher id."""
    reader = Mirror(env.mirror).event_reader()
    (every,) = reader.batches()
    shop = [event.id for event in every if event.source == "shop"]
    late = every[-10].id
    assert shop[-1] < late
    with env.mirror.write() as tx:
        tx.execute(delete(events).where(events.c.id == late))
    reader.start_before_last(3)
    (batch,) = reader.batches()
    assert [event.id for event in batch] == [event.id for event in every[-3:]]
    with env.mirror.write() as tx:
        tx.execute(update(events).where(events.c.id == shop[-1]).values(id=late))
    (batch,) = reader.batches()
    assert [(event.id, event.source) for event in batch] == [(late, "shop")]
