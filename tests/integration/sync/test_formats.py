"""Another form of times: milliseconds and the project's zone, switched in mid-life."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from tests.fixtures.comparing import differences
from tests.fixtures.lab import Lab, MakeLab
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
def posts(make_lab: MakeLab) -> Iterator[Lab]:
    """A lab of that project, mirrored; at the end the mirror is as the truth is."""
    lab = make_lab()
    lab.act(project)
    lab.sync()
    yield lab
    assert lab.sync(full=True).outcome is Outcome.SUCCEEDED
    assert differences(lab.mirror, lab.truth()) == []


def formats(lab: Lab) -> list[tuple[object, object]]:
    """The changes of format that the events hold: before and now."""
    with lab.mirror.read() as connection:
        found = connection.scalars(
            select(events.c.data).where(events.c.type == "source.format_changed").order_by(events.c.id)
        ).all()
    return [(json.loads(data)["before"], json.loads(data)["now"]) for data in found]


def switch(lab: Lab, *, milliseconds: bool | None = None, zone: str | None = None) -> None:
    """An administrator changes how times are printed."""
    if milliseconds is not None:
        lab.act(lambda world: setattr(world.options, "milliseconds", milliseconds))
        lab.act(lambda world: world.update_site(world.account, name=f"milliseconds {milliseconds}"))
    if zone is not None:
        lab.act(lambda world: world.update_site(world.account, timezone=zone))


def test_a_change_of_format_is_one_event_and_reads_no_history(posts: Lab) -> None:
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


def test_the_format_is_known_from_the_first_sync_on(posts: Lab) -> None:
    """It is no change when it is seen for the first time."""
    with posts.mirror.read() as connection:
        found = load_source(connection, "website")
    assert found is not None
    assert (found.project.time_precision, found.project.time_zone) == (0, "UTC")
    assert formats(posts) == []


@pytest.mark.parametrize("path", ["^/site", r"^/items\?"])
def test_an_old_answer_is_no_change_of_the_format(path: str, make_lab: MakeLab) -> None:
    """The project, or the list, is printed as it was before the change that is known."""
    faults = Faults()
    lab = make_lab(faults=faults)
    lab.act(project)
    faults.rates[FaultKind.STALE] = 0.0  # so that answers are remembered
    lab.sync(full=True)
    switch(lab, milliseconds=True, zone="Europe/Rome")
    lab.sync(full=True)
    before = formats(lab)
    assert before
    faults.plant(FaultKind.STALE, path=path)
    lab.sync(full=True)
    assert faults.injected == {FaultKind.STALE: 1}
    lab.sync()
    assert formats(lab) == before
    assert lab.requests(lab.sync) == 1
