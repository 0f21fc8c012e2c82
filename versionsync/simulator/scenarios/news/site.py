"""A realistic small project: half a year of a news site in two languages, with everything that editors do; and a day.

    world = World(seed=1)
    news = build_news(world, articles=32)
    editors_day(world)      # ["Ben Writer changed …", …]

The same seed makes the same ids, contents and story; times lie before the world's present. The option
`history_resolution` decides whether bursts are merged.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from versionsync.simulator.scenarios.news.articles import file_value
from versionsync.simulator.scenarios.news.prose import Words, headline, paragraph, shortened, slug
from versionsync.simulator.scenarios.news.schema import NewsSchema, build_schema
from versionsync.simulator.scenarios.news.staff import Newsroom, Staff, hire, take_pictures
from versionsync.simulator.scenarios.news.stories import (
    MAX_STORY,
    STORYLINES,
    WITHDRAWN,
    Past,
    Story,
    Storyline,
    Waits,
    begin_draft,
)
from versionsync.simulator.world.content import load, split
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.world import World
from versionsync.text import count

__all__ = ["News", "Storyline", "build_news", "create_pages", "editors_day", "maintain_pages"]

CATEGORIES: Final = (
    Words("Town", "Città"), Words("Sea", "Mare"), Words("Culture", "Cultura"), Words("Letters", "Lettere"),
)  # fmt: skip
AUTHORS: Final = ("Giulia Ferrè", "ליאור כהן", "ليلى حداد", "Søren Ødegård", "John “Jack” O’Neil")
PAGES: Final = (Words("About us", "Chi siamo"), Words("Contact", "Contatti"), Words("Imprint", "Note legali"))


def create_pages(newsroom: Newsroom) -> Waits:
    """Create authors, categories, pages and the homepage, in less than two days."""
    world, schema, staff = newsroom.world, newsroom.schema, newsroom.staff
    for position, category in enumerate(CATEGORIES, start=1):
        attributes: dict[str, object] = {"name": category._asdict(), "color": None, "position": position}
        newsroom.categories.append(world.create(staff.importer, schema.category, attributes).id)
    yield timedelta(hours=2)
    for name in AUTHORS:
        attributes = {
            "name": name,
            "biography": paragraph(newsroom.rng, sentences=2)._asdict(),
            "portrait": file_value(newsroom.picture(), alt=name),
            "joined_on": world.now().date().isoformat(),
        }
        author = world.create(staff.owner, schema.author, attributes)
        newsroom.authors.append(author.id)
        yield timedelta(minutes=7)
        world.publish(staff.owner, author.id)
    yield timedelta(hours=20)
    parent: str | None = None
    for title in PAGES:
        attributes = {"title": title._asdict(), "slug": slug(title.en), "sections": [], "parent_id": parent}
        page = world.create(staff.publisher, schema.page, attributes)
        newsroom.pages.append(page.id)
        parent = parent or page.id
        yield timedelta(minutes=20)
        world.publish(staff.publisher, page.id)
    attributes = {"welcome": {"en": "Good morning 👋", "it": "Buongiorno 👋"}, "top_stories": []}
    homepage = world.create(staff.owner, schema.homepage, attributes)
    world.publish(staff.owner, homepage.id)
    newsroom.homepage = homepage.id


def maintain_pages(newsroom: Newsroom, *, until: datetime) -> Waits:
    """About every ten days, change the homepage, a category's colour, a page's text and a biography."""
    world, rng = newsroom.world, newsroom.rng
    while world.now() < until:
        known = newsroom.articles[-8:]
        if known:
            lead, others = newsroom.lasting(known[-1:]), newsroom.lasting(known[:-1])
            top = {"lead_story": next(iter(lead), None), "top_stories": others}
            world.update(newsroom.serializer(), newsroom.homepage, top)
            yield timedelta(minutes=rng.randint(1, 90))
            world.publish(newsroom.serializer(), newsroom.homepage)
        color = {"red": rng.randrange(256), "green": 120, "blue": 200, "alpha": 255}
        world.update(newsroom.serializer(), rng.choice(newsroom.categories), {"color": color})
        yield timedelta(hours=rng.randint(1, 30))
        page = rng.choice(newsroom.pages)
        world.update(newsroom.serializer(), page, {"sections": [_quote(newsroom)]})
        author = rng.choice(newsroom.authors)
        world.update(newsroom.serializer(), author, {"biography": paragraph(rng)._asdict()})
        yield timedelta(hours=rng.randint(1, 30))
        world.publish(newsroom.serializer(), page)
        if rng.random() < 0.5:
            world.publish(newsroom.serializer(), author)
        yield timedelta(days=rng.randint(6, 12))


def _quote(newsroom: Newsroom) -> dict[str, object]:
    return {
        "type": "item",
        "attributes": {"words": paragraph(newsroom.rng, sentences=1).en, "said_by": newsroom.rng.choice(AUTHORS)},
        "relationships": {"item_type": {"data": {"id": newsroom.schema.quote.id, "type": "item_type"}}},
    }


def editors_day(world: World) -> list[str]:
    """Change and publish one article, unpublish one, delete one, create one; return a line for each.

    The world comes from `build_news`. Each call changes other articles, as long as there are any.
    """
    rng = random.Random(f"day:{world.seed}:{world.sequence}")  # noqa: S311 - repeatable on purpose
    day = _Day(world, rng)
    return [line for line in (day.correct(), day.unpublish(), day.delete(), day.create()) if line]


class _Day:
    """The actions of a day: each takes another article and returns a description; empty without such an article."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._model = world.primary.model("article")
        self._touched: set[str] = set()

    def correct(self) -> str:
        """Change the title of a published article and publish it again."""
        world, editor = self._world, self._world.user
        record = self._choose(published=True)
        if record is None:
            return ""
        before = title_of(record)
        locales = split(bytes(split(record.head.read())["title"]))
        title = dict(zip(locales, headline(self._rng), strict=False))
        world.update(editor, record.id, {"title": title, "slug": {key: slug(text) for key, text in title.items()}})
        world.publish(editor, record.id)
        return f"{editor.name} changed “{before}” to “{title_of(record)}” and published it"

    def unpublish(self) -> str:
        editor = self._world.sso_user
        record = self._choose(published=True, alone=True)
        if record is None:
            return ""
        self._world.unpublish(editor, record.id)
        return f"{editor.name} unpublished “{title_of(record)}”"

    def delete(self) -> str:
        editor = self._world.account
        record = self._choose(published=False)
        if record is None:
            return ""
        self._world.delete(editor, record.id)
        return f"{editor.name} deleted “{title_of(record)}” with its {count(len(record.versions), 'version')}"

    def create(self) -> str:
        editor = self._world.user
        title = headline(self._rng)._asdict()
        attributes = {"title": title, "slug": {locale: slug(text) for locale, text in title.items()}}
        record = self._world.create(editor, self._model, attributes)
        return f"{editor.name} began “{title_of(record)}”"

    def _choose(self, *, published: bool, alone: bool = False) -> Record | None:
        """Return another article that is published, or that is not; *alone*: one that no record links to."""
        candidates = [
            record
            for record in self._world.primary.records.values()
            if record.model is self._model
            and record.id not in self._touched
            and (record.published is not None) is published
            and not (alone and self._world.references(record.id))
        ]
        if not candidates:
            return None
        chosen = self._rng.choice(candidates)
        self._touched.add(chosen.id)
        return chosen


def title_of(record: Record) -> str:
    """Return the title of *record* in its first locale."""
    return shortened(next(iter(load(split(record.head.read())["title"]).values()), ""))


HISTORY: Final = timedelta(days=180)
SETUP: Final = timedelta(days=2)
"""The time for the site's own pages and people, before the articles."""


@dataclass(frozen=True, slots=True)
class News:
    """The schema and people of the site, and the ids of its records."""

    schema: NewsSchema
    staff: Staff
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    pages: tuple[str, ...]
    homepage: str
    articles: Mapping[Storyline, tuple[str, ...]]
    """By their storyline, with the deleted ones."""


def build_news(world: World, *, articles: int = 32) -> News:
    """Fill *world* with the site's models, people, pictures, and the history of *articles* articles.

    16 articles or more have all storylines. The world has one environment.
    """
    if articles < 0:
        raise ValueError(f"a news site of {articles} articles cannot be built")
    end = world.now()
    start = end - HISTORY
    world.created_at = world.primary.created_at = start
    with world.acting_at(start):
        schema, staff = build_schema(world), hire(world)
        newsroom = Newsroom(world, schema, staff, take_pictures(world, staff), random.Random(f"news:{world.seed}"))  # noqa: S311
    past = Past(world, end)
    past.add(start, create_pages(newsroom))
    past.add(start + SETUP, maintain_pages(newsroom, until=end))
    room = int((HISTORY - SETUP - MAX_STORY).total_seconds())
    stories: dict[Storyline, list[Story]] = {storyline: [] for storyline in Storyline}
    for number in range(articles):
        storyline = list(Storyline)[number % len(Storyline)]
        own_newsroom = newsroom.with_own_random(f"article {number}")
        starts = start + SETUP + timedelta(seconds=own_newsroom.rng.randrange(room))
        story = Story(own_newsroom, begin_draft(own_newsroom, storyline), is_passing=storyline in WITHDRAWN)
        stories[storyline].append(story)
        past.add(starts, STORYLINES[storyline](story))
    past.run()
    world.people.remove(staff.former)
    by_storyline = {
        storyline: tuple(story.record_id for story in its_stories) for storyline, its_stories in stories.items()
    }
    authors, categories, pages = (tuple(ids) for ids in (newsroom.authors, newsroom.categories, newsroom.pages))
    return News(schema, staff, authors, categories, pages, newsroom.homepage, by_storyline)
