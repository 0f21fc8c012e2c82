"""A day at the simulated news site: a few typical acts at the clock's present, told in words."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

from versionsync.simulator.scenarios.news.prose import headline, slug
from versionsync.simulator.world.content import load, split
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.world import World

__all__ = ["editors_day"]

LONGEST_TITLE: Final = 60


def editors_day(world: World) -> list[str]:
    """Change and publish one article, unpublish one, delete one, create one; returns what was done, a line each.

    The world is one that `build_news` made. Each call is another day: other articles, as long as there are any.
    """
    rng = random.Random(f"day:{world.seed}:{world.sequence}")  # noqa: S311 - repeatable on purpose
    day = _Day(world, rng)
    return [line for line in (day.correct(), day.withdraw(), day.remove(), day.begin()) if line]


class _Day:
    """The day's acts: each takes another article and tells what it did; nothing when there was no article for it."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._model = world.primary.model("article")
        self._touched: set[str] = set()

    def correct(self) -> str:
        """A published article gets another title, and is published again."""
        world, editor = self._world, self._world.user
        record = self._choose(record for record in self._articles() if record.published is not None)
        if record is None:
            return ""
        before = title_of(record)
        locales = split(bytes(split(record.head.read())["title"]))
        title = dict(zip(locales, headline(self._rng), strict=False))
        world.update(editor, record.id, {"title": title, "slug": {key: slug(text) for key, text in title.items()}})
        world.publish(editor, record.id)
        return f"{editor.name} changed “{before}” to “{title_of(record)}” and published it"

    def withdraw(self) -> str:
        """A published article goes off the site."""
        editor = self._world.sso_user
        record = self._choose(record for record in self._articles() if record.published is not None)
        if record is None:
            return ""
        self._world.unpublish(editor, record.id)
        return f"{editor.name} unpublished “{title_of(record)}”"

    def remove(self) -> str:
        """A draft is deleted."""
        editor = self._world.account
        record = self._choose(record for record in self._articles() if record.published is None)
        if record is None:
            return ""
        self._world.delete(editor, record.id)
        count = len(record.versions)
        return f"{editor.name} deleted “{title_of(record)}” with its {count} version{'s' if count != 1 else ''}"

    def begin(self) -> str:
        """A new article, not published yet."""
        editor = self._world.user
        title = headline(self._rng)._asdict()
        attributes = {"title": title, "slug": {locale: slug(text) for locale, text in title.items()}}
        record = self._world.create(editor, self._model, attributes)
        return f"{editor.name} began “{title_of(record)}”"

    def _articles(self) -> list[Record]:
        records = self._world.primary.records.values()
        return [record for record in records if record.model is self._model and record.id not in self._touched]

    def _choose(self, records: Iterable[Record]) -> Record | None:
        candidates = list(records)
        if not candidates:
            return None
        chosen = self._rng.choice(candidates)
        self._touched.add(chosen.id)
        return chosen


def title_of(record: Record) -> str:
    """What a person would call *record*: its title in the first locale that it has."""
    title = next(iter(load(split(record.head.read())["title"]).values()), "")
    return title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…"
