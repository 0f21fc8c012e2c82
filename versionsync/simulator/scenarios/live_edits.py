"""New values for the fields of any record: what an editor could have typed, by the type of the field.

Titles, texts, numbers, dates, colours and boxes to tick are edited. Links, files and blocks stay as they are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from versionsync.simulator.scenarios.news.prose import Words, headline, paragraph, sentence, slug
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.models import Field, Model

__all__ = ["changed_fields", "has_title", "name_of", "new_fields"]

TITLES: Final = frozenset({"title", "headline"})
"""The api_keys of string fields that are edited: another string may be a name, a path or a code."""
SHORT_TEXT: Final = 400
"""Up to this many characters a text grows; a longer one has one sentence replaced."""
LONGEST_NAME: Final = 60
_SENTENCE: Final = re.compile(r"[^.\n]+\.")


def has_title(model: Model) -> bool:
    """Whether records of *model* have a title: an editor can begin a new one."""
    return any(_is_title(field) for field in model.fields.values())


def new_fields(model: Model, locales: list[str], rng: random.Random) -> dict[str, object]:
    """The first content of a record of *model*: its title, and some text."""
    return {
        field.api_key: dict.fromkeys(locales) if field.localized else None
        for field in model.ordered_fields
        if field.field_type in {"text", "structured_text"}
    } | _with_slugs(
        model, {field.api_key: _titled(field, locales, rng) for field in model.ordered_fields if _is_title(field)}
    )


def changed_fields(model: Model, content: Mapping[str, Json], now: datetime, rng: random.Random) -> dict[str, object]:
    """Some fields of a record of *model*, one as a rule, with other values than in *content*; none if none can be."""
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
    """What a person would call a record: its first string, in the first locale that it has; or model and id."""
    for field in model.ordered_fields:
        if field.field_type == "string":
            value = content.get(field.api_key)
            if isinstance(value, dict):
                value = next(iter(value.values()), None)
            if isinstance(value, str) and value:
                return f"“{value if len(value) <= LONGEST_NAME else value[: LONGEST_NAME - 1] + '…'}”"
    return f"{model.name} {record_id}"


def _is_title(field: Field) -> bool:
    return field.field_type == "string" and field.api_key in TITLES


def _is_edited(field: Field) -> bool:
    return _is_title(field) or field.field_type in _CHANGES


def _titled(field: Field, locales: list[str], rng: random.Random) -> Json:
    title = headline(rng)
    return {locale: _in(title, locale) for locale in locales} if field.localized else title.en


def _with_slugs(model: Model, titles: dict[str, object]) -> dict[str, object]:
    """*titles*, and the slugs that go with the first of them."""
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


def _in(words: Words, locale: str) -> str:
    return words.it if locale == "it" else words.en


def _text(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    added = _in(sentence(rng), locale)
    if not isinstance(value, str) or not value:
        return _in(paragraph(rng), locale)
    if len(value) <= SHORT_TEXT:
        return f"{value} {added}"
    found = [match.span() for match in _SENTENCE.finditer(value)]
    if not found:
        return f"{value}\n{added}"
    start, end = rng.choice(found)
    return f"{value[:start]} {added}{value[end:]}".strip()


def _structured_text(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    """Another sentence in the place of one span, or a first paragraph; blocks and links stay as they are."""
    added = _in(sentence(rng), locale)
    match value:
        case {"document": {"children": [_, *_] as children} as document}:
            places = [number for number, node in enumerate(children) if _has_span(node)]
            if not places:
                changed = [*children, _paragraph(added)]
            else:
                place = rng.choice(places)
                changed = [*children[:place], _respoken(children[place], added, rng), *children[place + 1 :]]
            return {**value, "document": {**document, "children": changed}}
        case _:
            return {"schema": "dast", "document": {"type": "root", "children": [_paragraph(added)]}}


def _has_span(node: Json) -> bool:
    return node.get("type") == "paragraph" and any(child.get("type") == "span" for child in node["children"])


def _respoken(paragraph: Json, text: str, rng: random.Random) -> Json:
    children = list(paragraph["children"])
    place = rng.choice([number for number, child in enumerate(children) if child.get("type") == "span"])
    children[place] = {**children[place], "value": text}
    return {**paragraph, "children": children}


def _paragraph(text: str) -> Json:
    return {"type": "paragraph", "children": [{"type": "span", "value": text}]}


def _integer(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    return (value if isinstance(value, int) and abs(value) < 10**12 else 0) + rng.randint(1, 9)


def _float(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    return rng.randrange(100, 100_000) / 100


def _boolean(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    return not value


def _date(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    return f"{now.year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _color(value: Json, locale: str, now: datetime, rng: random.Random) -> Json:
    return {"red": rng.randrange(256), "green": rng.randrange(256), "blue": rng.randrange(256), "alpha": 255}


_CHANGES: Final[Mapping[str, Callable[[Json, str, datetime, random.Random], Json]]] = {
    "text": _text,
    "structured_text": _structured_text,
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "date": _date,
    "color": _color,
}
_WEIGHTS: Final = {"string": 6, "text": 6, "structured_text": 8}
"""How often a type is edited, compared with 1 for the others."""
