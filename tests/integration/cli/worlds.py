"""Small projects for tests of the commands."""

from __future__ import annotations

from datetime import timedelta

from versionsync.simulator import Clock, World

__all__ = ["blog"]


def blog(*, records: int = 3, versions: int = 2) -> World:
    """A project of one model with `records` posts of `versions` versions each; every other one is published."""
    world = World(seed=1, clock=Clock.stopped())
    editor = world.account
    post = world.create_model(editor, "post")
    world.create_field(editor, post, "title")
    for number in range(records):
        record = world.create(editor, post, {"title": f"Post {number}"})
        for version in range(1, versions):
            world.update(editor, record.id, {"title": f"Post {number}, version {version}"})
        if number % 2 == 0:
            world.publish(editor, record.id)
    world.clock.advance(timedelta(minutes=1))  # what is older than a moment is trusted at once
    return world
