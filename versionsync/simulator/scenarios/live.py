"""Editors who work by themselves in real time, for trying a program that follows a project.

In each project, an editor opens a record, saves it a few times, and often publishes it. In between, records are
created, published, scheduled, unpublished, restored and deleted. What happens, and in which order, comes from the seed;
when it happens depends on the real clock. Another client that writes to the project changes what comes next.

Titles, texts, numbers, dates, colours and booleans are edited. Links, files and blocks stay unchanged.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.project import Project
from versionsync.simulator.scenarios.news.prose import (
    Words,
    headline,
    paragraph,
    random_color,
    sentence,
    shortened,
    slug,
)
from versionsync.simulator.world.content import Json, load
from versionsync.simulator.world.models import Field, Model
from versionsync.simulator.world.people_roles_tokens import Editor, EditorKind
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.world import World
from versionsync.text import count

__all__ = ["PACE", "LiveEditors", "LiveProject", "changed_fields", "has_title", "name_of", "new_fields"]

PACE: Final = 12.0
"""Actions a minute in a project, on average: one every five seconds."""
MAX_PAUSE: Final = 3.0
"""The longest pause, in times of the average, so that something happens soon."""
MAX_DELAY_SECONDS: Final = 1.0
"""Longer delays are not made up for."""
RECORDS_TRIED: Final = 20
ACTIONS_TRIED: Final = 5
SPARE_RECORDS: Final = 10
"""How many more records than at the start there can be; then editors delete some before they create others."""
MAX_SAVES: Final = 4
PUBLISHED_SHARE: Final = 0.7
PLANNED_SECONDS: Final = (20, 120)
_WRITING: Final = frozenset({EditorKind.USER, EditorKind.SSO_USER, EditorKind.ACCOUNT})


class NothingToDo(Exception):
    """There is no record for an action."""


class LiveProject:
    """The record that the editors of *world* have open, and what they do next."""

    __slots__ = ("_actions", "_editor", "_max_records", "_min_records", "_open", "_saves_left", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self._actions = 0
        self._open: str | None = None
        self._editor: Editor | None = None
        self._saves_left = 0
        self._min_records = len(world.primary.records)
        self._max_records = self._min_records + SPARE_RECORDS

    def act(self) -> str | None:
        """Do the next possible action; return its description, or None if there is none."""
        return next((done for done in (self._try() for _ in range(ACTIONS_TRIED)) if done is not None), None)

    def _try(self) -> str | None:
        # Each action has its own generator: it takes no memory in between, and other draws do not change it.
        rng = random.Random(f"live:{self.world.seed}:{self._actions}")  # noqa: S311 - repeatable on purpose
        self._actions += 1
        self.world.tick()
        record = self.world.primary.records.get(self._open) if self._open is not None else None
        try:
            if record is not None and self._editor is not None:
                return self._continue(record, self._editor, rng)
            action = rng.choices(tuple(_WEIGHTS_OF_ACTIONS), tuple(_WEIGHTS_OF_ACTIONS.values()))[0]
            return action(self, self._choose_editor(rng), rng)
        except (ApiError, NothingToDo):
            self._open = None
            return None

    def edit(self, editor: Editor, rng: random.Random) -> str:
        record = self._choose(rng, lambda record: True)
        self._open, self._editor, self._saves_left = record.id, editor, rng.randint(1, MAX_SAVES)
        return self._continue(record, editor, rng)

    def publish(self, editor: Editor, rng: random.Random) -> str:
        """Publish a record with unpublished changes."""
        record = self._choose(rng, _can_publish)
        self.world.publish(editor, record.id)
        return f"{editor.name} published {_name(record)}"

    def schedule(self, editor: Editor, rng: random.Random) -> str:
        record = self._choose(
            rng, lambda one: _can_publish(one) and one.publication_scheduled_at is None and one.head.is_valid
        )
        at = (self.world.now() + timedelta(seconds=rng.randint(*PLANNED_SECONDS))).replace(microsecond=0)
        self.world.schedule_publication(editor, record.id, at)
        return f"{editor.name} planned to publish {_name(record)} at {at:%H:%M:%S} UTC"

    def unpublish(self, editor: Editor, rng: random.Random) -> str:
        record = self._choose(rng, lambda one: one.model.draft_mode and one.published is not None)
        if record.model.is_singleton:
            raise NothingToDo
        self.world.unpublish(editor, record.id)
        return f"{editor.name} unpublished {_name(record)}"

    def create(self, editor: Editor, rng: random.Random) -> str:
        """Create a record, and keep it open."""
        where = self.world.primary
        if len(where.records) >= self._max_records:
            return self.delete(editor, rng)
        models = [model for model in where.models.values() if not model.is_block and _is_plain(model)]
        if not models:
            raise NothingToDo
        model = rng.choice(models)
        record = self.world.create(editor, model, new_fields(model, where.locales, rng))
        self._open, self._editor, self._saves_left = record.id, editor, rng.randint(1, MAX_SAVES)
        return f"{editor.name} began {_name(record)}"

    def restore(self, editor: Editor, rng: random.Random) -> str:
        record = self._choose(rng, lambda record: len(record.versions) > 1)
        self.world.restore(editor, rng.choice(record.versions[:-1]).id)
        return f"{editor.name} restored an earlier version of {_name(record)}"

    def delete(self, editor: Editor, rng: random.Random) -> str:
        """Delete a record, unless that leaves fewer records than at the start."""
        if len(self.world.primary.records) <= self._min_records:
            raise NothingToDo
        record = self._choose(rng, lambda record: _is_plain(record.model))
        self.world.delete(editor, record.id)
        return f"{editor.name} deleted {_name(record)} with its {count(len(record.versions), 'version')}"

    def _continue(self, record: Record, editor: Editor, rng: random.Random) -> str:
        """Save the open record again; after enough saves publish or close it."""
        if self._saves_left > 0:
            self._saves_left -= 1
            changes = changed_fields(record.model, _content(record), self.world.now(), rng)
            if changes:
                name = _name(record)
                self.world.update(editor, record.id, changes)
                return f"{editor.name} changed {name}: {', '.join(changes)}"
        self._open = None
        if _can_publish(record) and rng.random() < PUBLISHED_SHARE:
            self.world.publish(editor, record.id)
            return f"{editor.name} published {_name(record)}"
        raise NothingToDo

    def _choose_editor(self, rng: random.Random) -> Editor:
        people = self.world.people.editors.values()
        return rng.choice([one for one in people if one.kind in _WRITING and one.is_active] or [self.world.api])

    def _choose(self, rng: random.Random, fits: Callable[[Record], bool]) -> Record:
        """Return a random record that *fits*. Only some are tried, since this must be quick in a large project."""
        records = list(self.world.primary.records.values())
        for record in rng.sample(records, min(RECORDS_TRIED, len(records))):
            if not record.model.is_block and fits(record):
                return record
        raise NothingToDo


_WEIGHTS_OF_ACTIONS: Final[Mapping[Callable[[LiveProject, Editor, random.Random], str], int]] = {
    LiveProject.edit: 50,
    LiveProject.create: 14,
    LiveProject.publish: 10,
    LiveProject.delete: 10,
    LiveProject.unpublish: 6,
    LiveProject.schedule: 5,
    LiveProject.restore: 5,
}
"""The actions without an open record, and how often each of 100 times."""


class LiveEditors:
    """Editors who act on *projects* while `run` runs; the list may grow.

    *pace*: actions a minute in each project, on average. *report* is called with the world and a description.
    """

    def __init__(
        self, projects: Sequence[Project], *, pace: float = PACE, report: Callable[[World, str], object] | None = None
    ) -> None:
        if pace <= 0:
            raise ValueError(f"editors cannot work at {pace} actions a minute")
        self._projects = projects
        self._pace = pace
        self._report = report
        self._live: list[LiveProject] = []
        self._rng = random.Random(f"live:{projects[0].world.seed}")  # noqa: S311 - repeatable on purpose

    def act(self) -> None:
        """Let an editor in one of the projects do the next action."""
        self._live += [LiveProject(project.world) for project in self._projects[len(self._live) :]]
        project = self._rng.choice(self._live)
        done = project.act()
        if done is not None and self._report is not None:
            self._report(project.world, done)

    async def run(self) -> None:
        """Act at random times, without an end."""
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            average = 60.0 / (self._pace * len(self._projects))
            due += min(self._rng.expovariate(1.0 / average), MAX_PAUSE * average)
            due = max(due, now() - MAX_DELAY_SECONDS)
            await asyncio.sleep(due - now())
            self.act()


def _can_publish(record: Record) -> bool:
    return record.model.draft_mode and record.status != "published"


def _content(record: Record) -> dict[str, Json]:
    content: dict[str, Json] = load(record.head.read())
    return content


def _name(record: Record) -> str:
    return name_of(record.model, _content(record), record.id)


TITLES: Final = frozenset({"title", "headline"})
"""The api_keys of string fields that are edited: other strings may be names, paths or codes."""
SHORT_TEXT: Final = 400
"""Up to this many characters a text grows; in a longer one a sentence is replaced."""
_SENTENCE: Final = re.compile(r"[^.\n]+\.")


def has_title(model: Model) -> bool:
    """Return whether records of *model* have a title, so that an editor can create one."""
    return any(_is_title(field) for field in model.fields.values())


def _is_plain(model: Model) -> bool:
    """Return whether editors create and delete records of *model*."""
    return has_title(model) and not model.tree and not model.is_singleton


def new_fields(model: Model, locales: list[str], rng: random.Random) -> dict[str, object]:
    """Return the first content of a record of *model*: its title, and empty texts."""
    texts = [field for field in model.fields.values() if field.field_type in {"text", "structured_text"}]
    titles = {field.api_key: _titled(field, locales, rng) for field in model.ordered_fields if _is_title(field)}
    empty = {field.api_key: dict.fromkeys(locales) if field.localized else None for field in texts}
    return empty | _with_slugs(model, titles)


def changed_fields(model: Model, content: Mapping[str, Json], now: datetime, rng: random.Random) -> dict[str, object]:
    """Return a field of a record of *model*, or a few, with new values; none if none of *content* is editable."""
    fields = [field for field in model.ordered_fields if field.api_key in content and _is_edited(field)]
    if not fields:
        return {}
    field = rng.choices(fields, [_WEIGHTS.get(field.field_type, 1) for field in fields])[0]
    value = content[field.api_key]
    if _is_title(field):
        locales = list(value) if field.localized and isinstance(value, dict) else []
        return _with_slugs(model, {field.api_key: _titled(field, locales, rng)})
    change = _CHANGES[field.field_type]
    if field.localized:
        if not isinstance(value, dict):
            return {}
        return {field.api_key: {locale: change(one, locale, now, rng) for locale, one in value.items()}}
    return {field.api_key: change(value, "en", now, rng)}


def name_of(model: Model, content: Mapping[str, Json], record_id: str) -> str:
    """Return the display name of a record: its first string in its first locale, or its model and id."""
    for field in model.ordered_fields:
        if field.field_type == "string":
            value = content.get(field.api_key)
            if isinstance(value, dict):
                value = next(iter(value.values()), None)
            if isinstance(value, str) and value:
                return f"“{shortened(value)}”"
    return f"{model.name} {record_id}"


def _is_title(field: Field) -> bool:
    return field.field_type == "string" and field.api_key in TITLES


def _is_edited(field: Field) -> bool:
    return _is_title(field) or field.field_type in _CHANGES


def _titled(field: Field, locales: list[str], rng: random.Random) -> Json:
    title = headline(rng)
    return {locale: _localized(title, locale) for locale in locales} if field.localized else title.en


def _with_slugs(model: Model, titles: dict[str, object]) -> dict[str, object]:
    """Return *titles* with the slugs of the first one."""
    title = next(iter(titles.values()), None)
    for field in model.ordered_fields if title is not None else ():
        if field.field_type != "slug":
            continue
        if isinstance(title, dict) and field.localized:
            titles[field.api_key] = {locale: slug(text) for locale, text in title.items()}
        elif isinstance(title, str) and not field.localized:
            titles[field.api_key] = slug(title)
        elif isinstance(title, dict):
            titles[field.api_key] = slug(next(iter(title.values()), ""))
    return titles


def _localized(words: Words, locale: str) -> str:
    return words.it if locale == "it" else words.en


def _text(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    added = _localized(sentence(rng), locale)
    if not isinstance(value, str) or not value:
        return _localized(paragraph(rng), locale)
    if len(value) <= SHORT_TEXT:
        return f"{value} {added}"
    found = [match.span() for match in _SENTENCE.finditer(value)]
    if not found:
        return f"{value}\n{added}"
    start, end = rng.choice(found)
    return f"{value[:start]} {added}{value[end:]}".strip()


def _structured_text(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    """Replace one span with another sentence, or add a first paragraph; blocks and links stay unchanged."""
    added = _localized(sentence(rng), locale)
    match value:
        case {"document": {"children": [_, *_] as children} as document}:
            indexes = [number for number, node in enumerate(children) if _has_span(node)]
            if not indexes:
                changed = [*children, _paragraph(added)]
            else:
                index = rng.choice(indexes)
                changed = [*children[:index], _with_new_span(children[index], added, rng), *children[index + 1 :]]
            return {**value, "document": {**document, "children": changed}}
        case _:
            return {"schema": "dast", "document": {"type": "root", "children": [_paragraph(added)]}}


def _has_span(node: Json) -> bool:
    return node.get("type") == "paragraph" and any(child.get("type") == "span" for child in node["children"])


def _with_new_span(paragraph: Json, text: str, rng: random.Random) -> Json:
    children = list(paragraph["children"])
    index = rng.choice([number for number, child in enumerate(children) if child.get("type") == "span"])
    children[index] = {**children[index], "value": text}
    return {**paragraph, "children": children}


def _paragraph(text: str) -> Json:
    return {"type": "paragraph", "children": [{"type": "span", "value": text}]}


Change = Callable[[Json, str, datetime, random.Random], Json]
"""Returns another value for a value in a locale."""

_CHANGES: Final[Mapping[str, Change]] = {
    "text": _text,
    "structured_text": _structured_text,
    "integer": lambda value, locale, now, rng: (
        (value if isinstance(value, int) and abs(value) < 10**12 else 0) + rng.randint(1, 9)
    ),
    "float": lambda value, locale, now, rng: rng.randrange(100, 100_000) / 100,
    "boolean": lambda value, locale, now, rng: not value,
    "date": lambda value, locale, now, rng: f"{now.year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
    "color": lambda value, locale, now, rng: random_color(rng),
}
_WEIGHTS: Final = {"string": 6, "text": 6, "structured_text": 8}
"""How often a type is edited; the others have 1."""
