"""A project with a person in it, its mirror, and what an erasure does to that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select, text

from tests.fixtures.projections import fill
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.erasure.carry_out import Erased, clean, erase, plan_erasure
from versionsync.mirror.schema import metadata
from versionsync.simulator import SimulatorOptions, World
from versionsync.simulator.world.records import Record

NAME: Final = "Wilhelmina Quackenbush"
"""The person who asks. No other text of the project has this name in it."""

Row = dict[str, Any]
Tables = dict[str, dict[tuple[Any, ...], Row]]


@dataclass
class ErasureEnv:
    """A mirror with two posts: `person`, whose content names a person, and `other`, which does not."""

    env: SyncEnv
    person: Record
    other: Record

    def update(self, record: Record, **attributes: Any) -> None:
        """Let an editor save a record."""
        self.env.act(lambda world: world.update(world.user, record.id, attributes))

    def sync(self, **options: object) -> Any:
        """Bring the mirror and its projections up to date."""
        report = self.env.sync(**options)
        fill(self.env.mirror)
        return report

    def erase(self, record: Record | None = None, *, field: str | None = None, locale: str | None = None) -> Erased:
        """Erase a record, by default the person's, and clean the files."""
        mirror = self.env.mirror
        plan = plan_erasure(mirror, (), (record or self.person).id, field=field, locale=locale)
        erased = erase(mirror, plan.target, reason="request 117", now=now, wait_seconds=0)
        assert clean(mirror, plan.target.record.source_id, now=now)
        return erased

    def tables(self) -> Tables:
        """Return all rows of all tables by their keys."""
        with self.env.mirror.read() as connection:
            found: Tables = {}
            for table in metadata.sorted_tables:
                keys = [column.name for column in table.primary_key]
                rows = [dict(row._mapping) for row in connection.execute(select(table))]
                found[table.name] = {tuple(row[key] for key in keys): row for row in rows}
            return found

    def named_in(self, name: str = NAME) -> list[str]:
        """Return the tables that have a name in a row."""
        with self.env.mirror.read() as connection:
            return [
                table.name
                for table in metadata.sorted_tables
                if any(
                    name in (value.decode(errors="replace") if isinstance(value, bytes) else str(value))
                    for row in connection.execute(select(table))
                    for value in row
                )
            ]

    def contents(self, record: Record) -> list[str]:
        """Return the contents of a record's versions, the oldest first."""
        query = text("SELECT attributes FROM versions WHERE record_id = :record ORDER BY ordinal")
        with self.env.mirror.read() as connection:
            return [str(row[0]) for row in connection.execute(query, {"record": record.id})]

    def events(self) -> list[tuple[str, str | None]]:
        """Return type and record of all events."""
        with self.env.mirror.read() as connection:
            rows = connection.execute(text("SELECT type, record_id FROM events ORDER BY id"))
            return [(row[0], row[1]) for row in rows]


def now() -> datetime:
    """The local clock."""
    return datetime.now(UTC)


def _project(world: World) -> None:
    quote = world.create_model(world.account, "quote", is_block=True)
    world.create_field(world.account, quote, "words", "text")
    world.create_field(world.account, quote, "speaker")
    post = world.create_model(world.account, "post")
    world.create_field(world.account, post, "title")
    world.create_field(world.account, post, "summary", "text", localized=True)
    world.create_field(world.account, post, "body", "rich_text")


def quote(world: World, words: str, speaker: str) -> dict[str, Any]:
    """A block as an editor sends it."""
    model = {"data": {"id": world.primary.model("quote").id, "type": "item_type"}}
    return {
        "type": "item",
        "attributes": {"words": words, "speaker": speaker},
        "relationships": {"item_type": model},
    }


def content(world: World, about: str, number: int) -> dict[str, Any]:
    """The content of a post about somebody."""
    return {
        "title": f"{about} {number}",
        "summary": {"en": f"what {about} did {number}", "it": f"cosa fece {about} {number}"},
        "body": [quote(world, f"I am {about}", "the editor")],
    }


@pytest.fixture
def erasing(make_sync_env: MakeSyncEnv) -> ErasureEnv:
    """A mirror with three versions of each post, one of which was rewritten, and one of which is live."""
    return made(make_sync_env)


def made(make_sync_env: Callable[..., SyncEnv]) -> ErasureEnv:
    """Make the project, and mirror it while its posts are edited."""
    env = make_sync_env(switches=SimulatorOptions(history_resolution=timedelta(minutes=20)))
    env.act(lambda world: world.update_site(world.account, locales=["en", "it"]))
    env.act(_project)
    person, other = (
        env.act(lambda world, about=about: world.create(world.user, "post", content(world, about, 1)))
        for about in (NAME, "the fish market")
    )
    erasing = ErasureEnv(env, person, other)
    erasing.sync()
    for number in (2, 3):
        for record, about in ((person, NAME), (other, "the fish market")):
            env.act(lambda world, r=record, a=about, n=number: world.update(world.user, r.id, content(world, a, n)))
        erasing.sync()
        env.wait(3600)
    env.act(lambda world: world.publish(world.user, person.id))
    for record, about in ((person, NAME), (other, "the fish market")):
        env.act(lambda world, r=record, a=about: world.update(world.user, r.id, content(world, a, 4)))
    erasing.sync()
    return erasing
