"""A realistic small project: half a year of a news site in two languages, with everything that editors do.

    world = World(seed=1)
    news = build_news(world, articles=32)
    editors_day(world)      # ["Ben Writer changed …", …]

The same seed gives the same ids, contents and story; times lie before the world's present. `history_resolution` of the
world's switches decides whether the bursts in it are merged.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from versionsync.simulator.scenarios.news.day import editors_day
from versionsync.simulator.scenarios.news.pages import create_pages, maintain_pages
from versionsync.simulator.scenarios.news.schema import NewsSchema, build_schema
from versionsync.simulator.scenarios.news.staff import Desk, Staff, hire, take_pictures
from versionsync.simulator.scenarios.news.stories import LONGEST_STORY, TELLERS, Past, Story, Storyline, begin_draft
from versionsync.simulator.world.world import World

__all__ = ["News", "Storyline", "build_news", "editors_day"]

HISTORY: Final = timedelta(days=180)
SETTLING_IN: Final = timedelta(days=2)
"""The site's own pages and people come first."""


@dataclass(frozen=True, slots=True)
class News:
    """Where to find what: all by the ids of records."""

    schema: NewsSchema
    staff: Staff
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    pages: tuple[str, ...]
    homepage: str
    articles: Mapping[Storyline, tuple[str, ...]]
    """By what became of them; the deleted ones too."""


def build_news(world: World, *, articles: int = 32) -> News:
    """Fill *world* with the site's models, people, pictures, and the history of *articles* articles.

    With 16 articles or more every `Storyline` is there; the world's only environment is the one that is filled.
    """
    if articles < 0:
        raise ValueError(f"a news site of {articles} articles cannot be built")
    ends = world.now()
    begins = ends - HISTORY
    world.created_at = world.primary.created_at = begins
    with world.acting_at(begins):
        schema, staff = build_schema(world), hire(world)
        desk = Desk(world, schema, staff, take_pictures(world, staff), random.Random(f"news:{world.seed}"))  # noqa: S311
    past = Past(world, ends)
    past.begin(begins, create_pages(desk))
    past.begin(begins + SETTLING_IN, maintain_pages(desk, until=ends))
    room = int((HISTORY - SETTLING_IN - LONGEST_STORY).total_seconds())
    stories: dict[Storyline, list[Story]] = {storyline: [] for storyline in Storyline}
    for number in range(articles):
        storyline = list(Storyline)[number % len(Storyline)]
        own_desk = desk.of_its_own(f"article {number}")
        starts = begins + SETTLING_IN + timedelta(seconds=own_desk.rng.randrange(room))
        story = Story(own_desk, begin_draft(own_desk, storyline))
        stories[storyline].append(story)
        past.begin(starts, TELLERS[storyline](story))
    past.happen()
    world.people.remove(staff.gone)
    by_storyline = {storyline: tuple(story.record_id for story in told) for storyline, told in stories.items()}
    return News(
        schema, staff, tuple(desk.authors), tuple(desk.categories), tuple(desk.pages), desk.homepage, by_storyline
    )
