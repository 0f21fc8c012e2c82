"""The lives of the news site's articles: each storyline is one typical life.

A storyline is a generator: it acts on the world, and yields the time until it acts again. `Past` runs many of them side
by side, in the order of their times.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from versionsync.simulator.scenarios.news.articles import EDITS, Draft, long_draft, odd_attributes
from versionsync.simulator.scenarios.news.schema import LOCALES, STAGES
from versionsync.simulator.scenarios.news.staff import Newsroom
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.records import Selection
from versionsync.simulator.world.world import World

__all__ = ["MAX_STORY", "STORYLINES", "WITHDRAWN", "Past", "Story", "Storyline", "Waits", "begin_draft"]

Waits = Generator[timedelta, None, None]
"""A storyline in progress: it yields the time until it acts again."""

MAX_STORY: Final = timedelta(days=20)
"""The longest time of a storyline; those that must end in time start early enough."""


class Storyline(StrEnum):
    PUBLISHED = "published"
    UPDATED = "updated"
    PUBLISHED_TWICE = "published_twice"
    WITHDRAWN = "withdrawn"
    BACK_AGAIN = "back_again"
    NEVER_FINISHED = "never_finished"
    BY_SCHEDULE = "by_schedule"
    TO_COME = "to_come"
    IN_A_HURRY = "in_a_hurry"
    LOCALE_BY_LOCALE = "locale_by_locale"
    RESTORED = "restored"
    ITALIAN_ONLY = "italian_only"
    DELETED = "deleted"
    RETURNED = "returned"
    ODD = "odd"
    LONG = "long"


@dataclass(slots=True)
class Past:
    """Everything that happens before *end*."""

    world: World
    end: datetime
    _due: list[tuple[datetime, int, Waits]] = field(default_factory=list)
    _count: int = 0

    def add(self, at: datetime, story: Waits) -> None:
        """Add *story*, which starts at *at*."""
        self._count += 1
        heapq.heappush(self._due, (at, self._count, story))

    def run(self) -> None:
        """Run all stories and scheduled actions, up to the end."""
        world = self.world
        while self._due and self._due[0][0] <= self.end:
            at, number, story = heapq.heappop(self._due)
            with world.acting_at(at):
                world.tick()
                wait = next(story, None)
            if wait is not None:
                heapq.heappush(self._due, (at + wait, number, story))
        with world.acting_at(self.end):
            world.tick()


@dataclass(slots=True)
class Story:
    """The life of one article."""

    newsroom: Newsroom
    draft: Draft
    record_id: str = ""
    is_passing: bool = False
    """It will be withdrawn, if only for a time."""

    @property
    def world(self) -> World:
        return self.newsroom.world

    def write(self, **extra: object) -> None:
        """Create the record, with its old id if it had one."""
        attributes = self.draft.attributes() | extra
        record = self.world.create(
            self.newsroom.serializer(), self.newsroom.schema.article, attributes, id=self.record_id or None
        )
        self.record_id = record.id

    def edit(self, editor: Editor | None = None) -> None:
        change = self.newsroom.rng.choice(EDITS)
        self.world.update(editor or self.newsroom.serializer(), self.record_id, change(self.draft))

    def move_on(self, stage: str) -> None:
        self.world.move_to_stage(self.newsroom.serializer(), self.record_id, stage)

    def publish(self, selection: Selection | None = None) -> None:
        """Publish it; from now on others may link to it."""
        self.world.publish(self.newsroom.serializer(), self.record_id, selection)
        if self.record_id not in self.newsroom.articles:
            self.newsroom.articles.append(self.record_id)
        if self.is_passing:
            self.newsroom.passing.add(self.record_id)

    def unpublish(self) -> None:
        self.world.unpublish(self.newsroom.serializer(), self.record_id)

    def hours(self, minimum: int, maximum: int) -> timedelta:
        """Return a random time of some hours."""
        return timedelta(seconds=self.newsroom.rng.randint(minimum * 3600, maximum * 3600))

    def written_and_published(self) -> Waits:
        self.write()
        for stage in STAGES[1:]:
            yield self.hours(1, 20)
            self.edit()
            self.move_on(stage)
        yield self.hours(1, 20)
        self.publish()


def _published(story: Story) -> Waits:
    yield from story.written_and_published()


def _updated(story: Story) -> Waits:
    yield from story.written_and_published()
    yield story.hours(24, 72)
    story.edit()
    yield story.hours(1, 3)
    story.edit()


def _published_twice(story: Story) -> Waits:
    yield from _updated(story)
    yield story.hours(1, 2)
    story.publish()


def _withdrawn(story: Story) -> Waits:
    yield from story.written_and_published()
    yield story.hours(24, 96)
    story.unpublish()


def _back_again(story: Story) -> Waits:
    """Publish, unpublish and publish the same version: upstream keeps only the second publication."""
    yield from _withdrawn(story)
    yield story.hours(1, 48)
    story.publish()


def _never_finished(story: Story) -> Waits:
    story.write()
    for _ in range(4):
        yield story.hours(2, 60)
        story.edit()


def _by_schedule(story: Story) -> Waits:
    """Publish and unpublish by the clock, without an editor."""
    story.write()
    yield story.hours(1, 5)
    story.edit()
    now = story.world.now()
    story.world.schedule_publication(story.newsroom.serializer(), story.record_id, now + timedelta(hours=15))
    story.world.schedule_unpublishing(story.newsroom.serializer(), story.record_id, now + timedelta(days=6))
    yield timedelta(days=7)
    story.edit()


def _to_come(story: Story) -> Waits:
    """Schedule a publication after the end."""
    story.write()
    yield story.hours(1, 5)
    opening = story.world.now() + MAX_STORY + timedelta(days=300)
    story.world.schedule_publication(story.newsroom.serializer(), story.record_id, opening)


def _in_a_hurry(story: Story) -> Waits:
    """Save a burst by one editor, partly within the same second, and publish at once."""
    story.write()
    editor = story.newsroom.serializer()
    for seconds in (9, 0, 3, 0, 0, 7):
        yield timedelta(seconds=seconds)
        story.edit(editor)
    story.publish()
    yield timedelta(0)
    story.edit(editor)
    yield timedelta(0)
    story.publish()


def _locale_by_locale(story: Story) -> Waits:
    """Publish the English part first, and days later everything."""
    yield from _never_finished(story)
    story.publish(Selection.of(LOCALES[:1], non_localized=True))
    yield story.hours(20, 50)
    story.edit()
    yield story.hours(1, 2)
    story.publish()


def _restored(story: Story) -> Waits:
    yield from _updated(story)
    yield story.hours(1, 2)
    first = story.world.environment().record(story.record_id).versions[0]
    story.world.restore(story.newsroom.serializer(), first.id)
    yield story.hours(1, 2)
    story.publish()


def _deleted(story: Story) -> Waits:
    story.write()
    yield story.hours(1, 9)
    story.edit()
    yield story.hours(1, 9)
    story.world.publish(story.newsroom.serializer(), story.record_id)
    yield story.hours(24, 90)
    story.world.delete(story.newsroom.serializer(), story.record_id)


def _returned(story: Story) -> Waits:
    yield from _deleted(story)
    yield story.hours(1, 30)
    story.write()
    yield story.hours(1, 9)
    story.edit()


def _odd(story: Story) -> Waits:
    story.write(**odd_attributes())
    yield story.hours(1, 9)
    story.publish()


STORYLINES: Final[dict[Storyline, Callable[[Story], Waits]]] = {
    Storyline.PUBLISHED: _published,
    Storyline.UPDATED: _updated,
    Storyline.PUBLISHED_TWICE: _published_twice,
    Storyline.WITHDRAWN: _withdrawn,
    Storyline.BACK_AGAIN: _back_again,
    Storyline.NEVER_FINISHED: _never_finished,
    Storyline.BY_SCHEDULE: _by_schedule,
    Storyline.TO_COME: _to_come,
    Storyline.IN_A_HURRY: _in_a_hurry,
    Storyline.LOCALE_BY_LOCALE: _locale_by_locale,
    Storyline.RESTORED: _restored,
    Storyline.ITALIAN_ONLY: _updated,
    Storyline.DELETED: _deleted,
    Storyline.RETURNED: _returned,
    Storyline.ODD: _odd,
    Storyline.LONG: _updated,
}
"""The generator of each storyline."""
WITHDRAWN: Final = frozenset({Storyline.WITHDRAWN, Storyline.BACK_AGAIN})
"""The storylines of articles that are unpublished by an editor."""


def begin_draft(newsroom: Newsroom, storyline: Storyline) -> Draft:
    """Return the first draft of a storyline."""
    match storyline:
        case Storyline.ITALIAN_ONLY:
            return Draft.begin(newsroom, locales=LOCALES[1:])
        case Storyline.ODD:
            return Draft.begin(newsroom, locales=LOCALES[:1])
        case Storyline.LONG:
            return long_draft(newsroom)
        case _:
            return Draft.begin(newsroom)
