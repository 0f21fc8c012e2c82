"""A small project with cycles, live versions and drafts, blocks and unique values, of which most was destroyed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.fixtures.sync_env import SyncEnv
from tests.integration.restore.conftest import RestoreEnv
from tests.integration.restore.random_project import Picture, picture
from versionsync.restore.selection import Wanted
from versionsync.simulator import World

__all__ = ["Spoiled", "spoil"]


@dataclass(frozen=True)
class Spoiled:
    """What the project was, when, and what it is now."""

    whole: Picture
    at: datetime
    now: Picture

    @property
    def wanted(self) -> Wanted:
        return Wanted(at=self.at, publishes=True, deletes=True)


def spoil(restoring: RestoreEnv) -> Spoiled:
    """Make the project, mirror it, destroy most of it, and mirror that."""
    env = restoring.env
    env.act(_begin)
    restoring.mirror()
    whole, at = env.simulator.act(picture), restoring.now()
    env.act(_destroy)
    restoring.mirror()
    return Spoiled(whole, at, env.simulator.act(picture))


def back(env: SyncEnv, wanted: Picture) -> list[str]:
    """Return the records that are not as in this picture."""
    now = env.simulator.act(picture).records
    return sorted(id for id in {*now, *wanted.records} if now.get(id) != wanted.records.get(id))


def _begin(world: World) -> None:
    owner = world.account
    quote = world.create_model(owner, "quote", is_block=True)
    world.create_field(owner, quote, "words")
    story = world.create_model(owner, "story")
    rule = {"item_item_type": {"item_types": [story.id]}}
    world.create_field(owner, story, "title", validators={"unique": {}})
    world.create_field(owner, story, "body", "rich_text", validators={"rich_text_blocks": {"item_types": [quote.id]}})
    world.create_field(owner, story, "next", "link", validators=rule)
    made = [
        world.create(
            world.user, story, {"title": f"story {number}", "body": [_block(quote.id, f"words of {number}")]}
        ).id
        for number in range(8)
    ]
    for one, other in zip(made, [*made[1:4], made[0], *made[5:], made[4]], strict=True):
        world.update(owner, one, {"next": other})
    world.publish_many(owner, made[:6])
    for one in made[2:5]:
        world.update(owner, one, {"title": f"newer {one}"})


def _destroy(world: World) -> None:
    made = list(world.environment().records)
    for one in made[:5]:
        world.delete(world.account, one)
    world.update(world.account, made[6], {"title": "story 0", "body": []})
    world.update(world.account, made[7], {"title": "other"})
    world.publish(world.account, made[7])
    world.create(world.account, "story", {"title": "new"})


def _block(model_id: str, words: str) -> dict[str, Any]:
    item_type = {"data": {"type": "item_type", "id": model_id}}
    return {"type": "item", "attributes": {"words": words}, "relationships": {"item_type": item_type}}
