"""Another form of times: milliseconds and the project's zone, switched in mid-life."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.mirror.schema import events
from versionsync.mirror.tables.sources import load_source
from versionsync.simulator import FaultKind, Faults, World
from versionsync.sync.report import Outcome


def project(world: World) -> None:
    """Ten posts with a date, live and with a newer draft."""
    model = world.create_model(world.account, "post")
    world.create_field(world.account, model, "title")
    world.create_field(world.account, model, "starts_at", "date_time")
    for number in range(10):
        id = world.create(world.user, "post", {"title": f"{number}", "starts_at": "2026-08-01T10:49:40Z"}).id
        world.publish(world.user, id)
        world.update(world.user, id, {"title": f"{number} new"})


@pytest.fixture
def posts(make_sync_env: MakeSyncEnv) -> Iterator[SyncEnv]:
    """A sync_env of that project, mirrored; at the end the mirror is as the truth is."""
    sync_env = make_sync_env()
    sync_env.act(project)
    sync_env.sync()
    yield sync_env
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def formats(sync_env: SyncEnv) -> list[tuple[object, object]]:
    """The changes of format that the events hold: before and now."""
    with sync_env.mirror.read() as connection:
        found = connection.scalars(
            select(events.c.data).where(events.c.type == "source.format_changed").order_by(events.c.id)
        ).all()
    return [(json.loads(data)["before"], json.loads(data)["now"]) for data in found]


def switch(sync_env: SyncEnv, *, milliseconds: bool | None = None, zone: str | None = None) -> None:
    """An administrator changes how times are printed."""
    if milliseconds is not None:
        sync_env.act(lambda world: setattr(world.options, "milliseconds", milliseconds))
        sync_env.act(lambda world: world.update_site(world.account, name=f"milliseconds {milliseconds}"))
    if zone is not None:
        sync_env.act(lambda world: world.update_site(world.account, timezone=zone))


def test_a_change_of_format_is_one_event_and_reads_no_history(posts: SyncEnv) -> None:
    """Once, with what it was and what it is; the list is enough to see that nothing else changed."""
    beacon, schema, list_, list_again, confirmed = 1, 1, 1, 1, 2
    switch(posts, milliseconds=True)
    assert posts.requests(lambda: posts.sync()) == beacon + schema + list_ + list_again + confirmed
    seconds = {"time_precision": 0, "time_zone": "UTC"}
    milliseconds = {"time_precision": 3, "time_zone": "UTC"}
    rome = {"time_precision": 3, "time_zone": "Europe/Rome"}
    assert formats(posts) == [(seconds, milliseconds)]
    assert posts.requests(lambda: posts.sync()) == 1
    switch(posts, zone="Europe/Rome")
    assert posts.requests(lambda: posts.sync()) == beacon + schema + list_ + list_again + confirmed
    assert formats(posts) == [(seconds, milliseconds), (milliseconds, rome)]
    posts.sync(full=True)
    switch(posts, milliseconds=False, zone="UTC")
    posts.sync()
    assert formats(posts)[2:] == [(rome, seconds)]
    posts.sync(full=True)
    assert len(formats(posts)) == 3


def test_the_format_is_known_from_the_first_sync_on(posts: SyncEnv) -> None:
    """It is no change when it is seen for the first time."""
    with posts.mirror.read() as connection:
        found = load_source(connection, "website")
    assert found is not None
    assert (found.project.time_precision, found.project.time_zone) == (0, "UTC")
    assert formats(posts) == []


@pytest.mark.parametrize("path", ["^/site", r"^/items\?"])
def test_an_old_answer_is_no_change_of_the_format(path: str, make_sync_env: MakeSyncEnv) -> None:
    """The project, or the list, is printed as it was before the change that is known."""
    faults = Faults()
    sync_env = make_sync_env(faults=faults)
    sync_env.act(project)
    faults.rates[FaultKind.STALE] = 0.0  # so that answers are remembered
    sync_env.sync(full=True)
    switch(sync_env, milliseconds=True, zone="Europe/Rome")
    sync_env.sync(full=True)
    before = formats(sync_env)
    assert before
    faults.plant(FaultKind.STALE, path=path)
    sync_env.sync(full=True)
    assert faults.injected == {FaultKind.STALE: 1}
    sync_env.sync()
    assert formats(sync_env) == before
    assert sync_env.requests(sync_env.sync) == 1
