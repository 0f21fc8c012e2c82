"""How rows of the history look in a terminal: times, editors, intervals, marks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final

from versionsync.cli.terminal.output import Cell, Output
from versionsync.history.model import ActKind, FieldChange, Interval, Pending, PendingReason, Usage, Version
from versionsync.history.moments import in_zone, name_of_zone
from versionsync.history.names import short_id
from versionsync.ledger.events import JsonValue
from versionsync.text import count, short_span

__all__ = [
    "CURRENT_MARK",
    "LIVE_MARK",
    "STYLES",
    "FieldLife",
    "acts_cell",
    "id_cell",
    "live_cell",
    "marks",
    "time_head",
    "title_cell",
    "value_in_words",
    "waits_for",
]

CURRENT_MARK: Final = "●"
LIVE_MARK: Final = "◉"
STYLES: Final = {
    ActKind.DELETED: "bold red",
    ActKind.UNPUBLISHED: "red",
    ActKind.PUBLISHED: "green",
    ActKind.CREATED: "cyan",
    ActKind.EDITED: "",
}


def time_head(zone: tzinfo, word: str = "time") -> str:
    """Return the head of a column of times, with their zone."""
    return f"{word} ({name_of_zone(zone)})"


def marks(version: Version | Usage, output: Output) -> Cell:
    """Return ● for the current version and ◉ for the live one."""
    current, live = (CURRENT_MARK, LIVE_MARK) if output.has_unicode else ("*", "P")
    text = (current if version.is_current else " ") + (live if version.is_published else " ")
    return text, "bold green" if version.is_published else "bold"


def title_cell(title: str | None, model: str | None = None) -> Cell:
    """Return a title in italics; without one the model, as most models without titles have a single record."""
    return (title, "italic") if title else (model or "–", "dim italic")


def id_cell(id: str | None, *, in_full: bool) -> Cell:
    """Return an id, or its beginning, which names it too."""
    return ("–" if id is None else id if in_full else short_id(id)), "dim"


def live_cell(spans: Sequence[Interval], zone: tzinfo, *, is_wide: bool) -> Cell:
    """Return when a version was live: `09-08 – 10-08`, `10-08 →` if it still is, with how many more times before."""
    if not spans:
        return "–", "dim"
    last = spans[-1]
    start, end = (_moment(at, zone, is_wide=is_wide) for at in (last.valid_from, last.valid_until))
    more = f" (+{len(spans) - 1})" if len(spans) > 1 else ""
    if last.valid_until is None:
        return f"{start} →{more}", "green"
    return (f"{start} – {end}{more}" if end != start else f"{start}{more}"), ""


def _moment(at: datetime | None, zone: tzinfo, *, is_wide: bool) -> str:
    text = in_zone(at, zone)
    return text if is_wide else text[:10]


def acts_cell(acts: Sequence[ActKind]) -> Cell:
    """Return the most important of what happened to a record, and whether it is new."""
    is_new = ActKind.CREATED in acts[1:]
    return f"{acts[0].value}, new" if is_new else acts[0].value, STYLES.get(acts[0], "")


def waits_for(one: Pending, now: datetime) -> str:
    """Return what a record waits for: `draft`, `changes`, `live in 2 d`."""
    words = []
    for reason in one.reasons:
        match reason:
            case PendingReason.PUBLICATION:
                words.append(_due("live", one.publication_scheduled_at, now))
            case PendingReason.UNPUBLISHING:
                words.append(_due("offline", one.unpublishing_scheduled_at, now))
            case _:
                words.append(reason.value)
    return ", ".join(words)


def _due(what: str, at: datetime | None, now: datetime) -> str:
    if at is None:
        return what
    return f"{what} in {short_span(at - now)}" if at - now > timedelta(0) else f"{what} now"


class FieldLife:
    """The values of one field, version by version, newest first. The field may have been renamed meanwhile."""

    def __init__(self, name: str) -> None:
        """Follow the field with this API key or id."""
        self._name = name
        self._ids: set[str] = set()

    def value(self, version: Version) -> str:
        """Return what the version made of the field, in words."""
        changes = version.changes or ()
        self._ids |= {one.field_id for one in changes if one.field_id and self._name in (one.field, one.field_id)}
        its = [one for one in changes if one.field == self._name or one.field_id in self._ids]
        words = dict.fromkeys(self._words(version, one) for one in its)
        return "; ".join(words)

    @staticmethod
    def _words(version: Version, change: FieldChange) -> str:
        locale = f"{change.locale}: " if change.locale else ""
        if change.block_id is not None:
            return f"{locale}in a block, +{change.words_added} −{change.words_removed} words"
        value = (version.attributes or {}).get(change.field)
        if change.locale is not None and isinstance(value, dict):
            value = value.get(change.locale)
        return locale + value_in_words(value)


def value_in_words(value: JsonValue) -> str:
    """Return a value as a short text: a structured text as its words, a list as its number of elements."""
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return count(len(value), "element")
    if isinstance(value, dict) and "document" in value:
        return " ".join(_texts_in(value["document"]))
    return json.dumps(value, ensure_ascii=False)


def _texts_in(node: JsonValue) -> Iterator[str]:
    """Yield the texts of a document, in their order."""
    if isinstance(node, dict):
        if isinstance(text := node.get("value"), str):
            yield text
        node = node.get("children")
    for child in node if isinstance(node, list) else ():
        yield from _texts_in(child)
