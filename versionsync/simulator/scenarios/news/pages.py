"""What the simulated news site has besides articles: authors, categories, pages, the homepage, and their upkeep."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from versionsync.simulator.scenarios.news.articles import file_value
from versionsync.simulator.scenarios.news.prose import Words, paragraph, slug
from versionsync.simulator.scenarios.news.staff import Desk
from versionsync.simulator.scenarios.news.stories import Waits

__all__ = ["create_pages", "maintain_pages"]

CATEGORIES: Final = (
    Words("Town", "Città"), Words("Sea", "Mare"), Words("Culture", "Cultura"), Words("Letters", "Lettere"),
)  # fmt: skip
AUTHORS: Final = ("Giulia Ferrè", "ליאור כהן", "ليلى حداد", "Søren Ødegård", "John “Jack” O’Neil")
PAGES: Final = (Words("About us", "Chi siamo"), Words("Contact", "Contatti"), Words("Imprint", "Note legali"))


def create_pages(desk: Desk) -> Waits:
    """Create all of it; takes less than two days."""
    world, schema, staff = desk.world, desk.schema, desk.staff
    for position, category in enumerate(CATEGORIES, start=1):
        attributes: dict[str, object] = {"name": category._asdict(), "color": None, "position": position}
        desk.categories.append(world.create(staff.importer, schema.category, attributes).id)
    yield timedelta(hours=2)
    for name in AUTHORS:
        attributes = {
            "name": name,
            "biography": paragraph(desk.rng, sentences=2)._asdict(),
            "portrait": file_value(desk.picture(), alt=name),
            "joined_on": world.now().date().isoformat(),
        }
        author = world.create(staff.owner, schema.author, attributes)
        desk.authors.append(author.id)
        yield timedelta(minutes=7)
        world.publish(staff.owner, author.id)
    yield timedelta(hours=20)
    parent: str | None = None
    for title in PAGES:
        attributes = {"title": title._asdict(), "slug": slug(title.en), "sections": [], "parent_id": parent}
        page = world.create(staff.publisher, schema.page, attributes)
        desk.pages.append(page.id)
        parent = parent or page.id
        yield timedelta(minutes=20)
        world.publish(staff.publisher, page.id)
    attributes = {"welcome": {"en": "Good morning 👋", "it": "Buongiorno 👋"}, "top_stories": []}
    homepage = world.create(staff.owner, schema.homepage, attributes)
    world.publish(staff.owner, homepage.id)
    desk.homepage = homepage.id


def maintain_pages(desk: Desk, *, until: datetime) -> Waits:
    """Every ten days or so: other stories on the homepage, a category's colour, a page's text, a biography."""
    world, rng = desk.world, desk.rng
    while world.now() < until:
        known = desk.articles[-8:]
        if known:
            top = {"lead_story": known[-1], "top_stories": known[:-1]}
            world.update(desk.writer(), desk.homepage, top)
            yield timedelta(minutes=rng.randint(1, 90))
            world.publish(desk.writer(), desk.homepage)
        color = {"red": rng.randrange(256), "green": 120, "blue": 200, "alpha": 255}
        world.update(desk.writer(), rng.choice(desk.categories), {"color": color})
        yield timedelta(hours=rng.randint(1, 30))
        page = rng.choice(desk.pages)
        world.update(desk.writer(), page, {"sections": [_quote(desk)]})
        author = rng.choice(desk.authors)
        world.update(desk.writer(), author, {"biography": paragraph(rng)._asdict()})
        yield timedelta(hours=rng.randint(1, 30))
        world.publish(desk.writer(), page)
        if rng.random() < 0.5:
            world.publish(desk.writer(), author)
        yield timedelta(days=rng.randint(6, 12))


def _quote(desk: Desk) -> dict[str, object]:
    return {
        "type": "item",
        "attributes": {"words": paragraph(desk.rng, sentences=1).en, "said_by": desk.rng.choice(AUTHORS)},
        "relationships": {"item_type": {"data": {"id": desk.schema.quote.id, "type": "item_type"}}},
    }
