"""What moves `last_data_change_at`, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import World


def beacon(served: Served, environment: str = "main") -> str:
    """The beacon of an environment."""
    meta = served.get(f"/environments/{environment}")["data"]["meta"]
    changed: str = meta["last_data_change_at"]
    return changed


def moves(served: Served, act: Callable[[World], object], environment: str = "main") -> bool:
    """Whether *act*, an hour later, moves the beacon."""
    before = beacon(served, environment)
    served.act(lambda world: world.clock.advance(timedelta(hours=1)))
    served.act(act)
    return beacon(served, environment) != before


def test_publishing_moves_it_but_not_what_is_published_already(served: Served) -> None:
    id = served.act(lambda world: world.create(world.user, "post", {}).id)
    assert moves(served, lambda world: world.publish(world.user, id))
    assert not moves(served, lambda world: world.publish(world.user, id))


def test_a_fork_begins_with_its_own_creation_and_leaves_the_source_alone(served: Served) -> None:
    served.act(lambda world: setattr(world.options, "data_change_delay", timedelta(milliseconds=20)))
    assert not moves(served, lambda world: world.fork(world.account, "main", "next"))
    fork = served.get("/environments/next")["data"]["meta"]
    assert fork["last_data_change_at"] == fork["created_at"] > beacon(served)
    assert not moves(served, lambda world: world.promote(world.account, "next"))
    assert beacon(served, "next") == fork["created_at"]


@pytest.mark.parametrize("expected", [True, False])
@pytest.mark.parametrize("switch", ["unpublishing_moves_beacon", "deleting_moves_beacon"])
def test_whether_unpublishing_and_deleting_move_it_is_a_switch(served: Served, switch: str, expected: bool) -> None:
    served.http.post("/_simulator/switches", json={switch: expected})
    id = served.act(lambda world: world.create(world.user, "post", {"title": {"en": "a"}}).id)
    served.act(lambda world: world.publish(world.user, id))
    unpublishing = moves(served, lambda world: world.unpublish(world.user, id))
    deleting = moves(served, lambda world: world.delete(world.user, id))
    assert (unpublishing, deleting) == (
        expected or switch != "unpublishing_moves_beacon",
        expected or switch != "deleting_moves_beacon",
    )
    assert served.get("/items")["meta"] == {"total_count": 0}


def test_a_plan_to_publish_what_is_live_goes_when_it_is_due_and_moves_nothing(served: Served) -> None:
    id = served.act(lambda world: world.create(world.user, "post", {}).id)
    served.act(lambda world: world.publish(world.user, id))
    served.act(lambda world: world.schedule_publication(world.user, id, world.now() + timedelta(minutes=30)))
    (planned,) = served.get("/items")["data"]
    assert planned["meta"]["publication_scheduled_at"] == "2026-09-01T09:30:00Z"
    assert not moves(served, lambda world: world.tick())
    (live,) = served.get("/items")["data"]
    assert live["meta"] == {**planned["meta"], "publication_scheduled_at": None}
