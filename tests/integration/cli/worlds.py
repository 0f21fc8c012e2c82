"""Small projects for tests of the commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.fixtures.uploads import add_upload, files
from versionsync.simulator import Clock, World

__all__ = ["blog", "magazine"]


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


def magazine() -> World:
    """The blog, and three articles of the last days: one is live, one waits to go live, one is to be deleted."""
    world = blog()
    now = datetime.now(UTC)
    world.clock.advance(now - timedelta(days=3) - world.now())
    article = world.create_model(world.account, "article")
    world.create_field(world.account, article, "title")
    world.create_field(world.account, article, "slug", "slug")
    world.create_field(world.account, article, "pictures", "gallery")
    picture = add_upload(world, "fish-market.jpg")
    market, bus, _ = (
        world.create(world.user, article, {"title": title, "slug": title.lower().replace(" ", "-")})
        for title in ("Old fish market", "The night bus", "The lost map")
    )
    world.update(world.user, market.id, {"pictures": files(picture)})
    world.publish(world.user, market.id)
    world.publish(world.user, bus.id)
    world.clock.advance(timedelta(days=2, hours=23))
    world.update(world.user, market.id, {"title": "The old fish market"})
    world.publish(world.user, market.id)
    world.update(world.user, bus.id, {"title": "The last night bus"})
    world.clock.advance(timedelta(minutes=50))
    return world
