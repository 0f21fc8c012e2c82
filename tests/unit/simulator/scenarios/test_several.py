"""Several projects in one simulator: their names, tokens and contents."""

from __future__ import annotations

from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.bulk import another_world, bulk_worlds, token_of


def build(projects: int) -> list[World]:
    """Small projects whose clock stands still."""
    return list(bulk_worlds(World(seed=5, clock=Clock.stopped()), projects, records=4, versions=2))


def contents(world: World) -> list[bytes]:
    """What is in the records of *world*."""
    return [record.head.read() for record in world.primary.records.values()]


def test_each_project_has_an_id_a_token_and_records_of_its_own() -> None:
    worlds = build(3)
    assert [world.project_id for world in worlds] == ["205", "206", "207"]
    assert [world.token for world in worlds] == [token_of(1), token_of(2), token_of(3)]
    assert token_of(3) == "simulator-full-access-3"
    assert all(list(world.people.tokens) == [world.token] for world in worlds)
    assert len({content for world in worlds for content in contents(world)}) == 12
    assert len({id for world in worlds for id in world.primary.records}) == 12


def test_the_same_seed_makes_the_same_projects() -> None:
    assert [contents(world) for world in build(2)] == [contents(world) for world in build(3)[:2]]


def test_another_world_has_the_same_clock_and_its_own_switches() -> None:
    first = World(clock=Clock.stopped())
    first.options.nested_items_limit = 7
    other = another_world(first, 2, "Shop")
    first.options.nested_items_limit = 8
    assert (other.name, other.clock, other.options.nested_items_limit) == ("Shop", first.clock, 7)


def test_asking_for_webhooks_makes_none() -> None:
    """The object costs memory, and work for every act."""
    world = World()
    assert not world.has_webhooks
    assert "webhooks" not in vars(world)
    world.webhooks.register("news", "http://127.0.0.1:9/")
    assert world.has_webhooks
