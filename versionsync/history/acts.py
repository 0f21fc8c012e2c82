"""Turn events into acts: what somebody did at one moment is one to five events of one record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from versionsync.history.model import Act, ActKind, Event
from versionsync.ledger.events import EventType

__all__ = ["group_events", "kinds_of", "subject_of", "version_of", "words_of"]

_OF_TYPE: Final = {
    EventType.RECORD_DELETED: ActKind.DELETED,
    EventType.RECORD_RETURNED: ActKind.RETURNED,
    EventType.RECORD_ERASED: ActKind.ERASED,
    EventType.VERSION_PUBLISHED: ActKind.PUBLISHED,
    EventType.VERSION_UNPUBLISHED: ActKind.UNPUBLISHED,
    EventType.VERSION_REWRITTEN: ActKind.REWRITTEN,
    EventType.VERSION_MISSING: ActKind.MISSING,
    EventType.VERSION_RETURNED: ActKind.RETURNED,
    EventType.RECORD_CREATED: ActKind.CREATED,
    EventType.VERSION_CREATED: ActKind.EDITED,
    EventType.VERSION_BECAME_CURRENT: ActKind.REVERTED,
}
_ORDER: Final = (
    *(ActKind.DELETED, ActKind.CREATED, ActKind.EDITED, ActKind.REVERTED, ActKind.PUBLISHED, ActKind.UNPUBLISHED),
    *(ActKind.REWRITTEN, ActKind.MISSING, ActKind.RETURNED, ActKind.ERASED),
)
_ABOUT_VERSION: Final = (
    *(EventType.VERSION_CREATED, EventType.VERSION_PUBLISHED, EventType.VERSION_BECAME_CURRENT),
    *(EventType.VERSION_UNPUBLISHED, EventType.VERSION_REWRITTEN, EventType.VERSION_MISSING),
    EventType.VERSION_RETURNED,
)
"""Whose version the act is about, if its events are about several."""

_WORDS: Final = {
    ActKind.REVERTED: "set back to an earlier version",
    ActKind.REWRITTEN: "rewritten in place",
    ActKind.MISSING: "lost a version",
    ActKind.RETURNED: "back",
    ActKind.ERASED: "erased here on request",
}


def group_events(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Yield the events of each act, in the order of their first ids.

    They are those of one record that occurred and were observed at the same times. Events that are about no record are
    acts of their own.
    """
    waiting: dict[tuple[str, object], list[Event]] = {}
    instants: dict[str, object] = {}
    for event in events:
        instant = (event.occurred_at, event.observed_at)
        if instants.get(event.source) != instant:
            for key in [key for key in waiting if key[0] == event.source]:
                yield waiting.pop(key)
            instants[event.source] = instant
        about: object = event.record_id if event.record_id is not None else event.id
        waiting.setdefault((event.source, about), []).append(event)
    yield from waiting.values()


def kinds_of(events: Sequence[Event]) -> tuple[ActKind, ...]:
    """Return what the events of one act come to; nothing if they only follow from another act."""
    types = {event.type for event in events}
    if any(type.startswith(("model.", "field.")) for type in types):
        return (ActKind.SCHEMA,)
    if any(type.startswith("source.") for type in types):
        return (ActKind.SOURCE,)
    kinds = {kind for type, kind in _OF_TYPE.items() if type in types}
    if ActKind.CREATED in kinds:
        kinds.discard(ActKind.EDITED)
    if kinds & {ActKind.CREATED, ActKind.EDITED}:
        kinds.discard(ActKind.REVERTED)  # each new version becomes current
    if ActKind.PUBLISHED in kinds:
        kinds.discard(ActKind.UNPUBLISHED)  # of the version that it replaced
    return tuple(kind for kind in _ORDER if kind in kinds)


def version_of(events: Sequence[Event]) -> str | None:
    """Return the version that an act is about, or None."""
    by_type = {event.type: event.version_id for event in events}
    return next((by_type[type] for type in _ABOUT_VERSION if by_type.get(type)), None)


def subject_of(event: Event, model: str | None) -> str:
    """Return what a change of the schema or of the source is about: `article.title`, `main → sandbox`."""
    data = event.data
    for member in ("field", "model"):
        one = data.get(member)
        if isinstance(one, dict):
            name = str(one.get("api_key") or one.get("id") or "")
            what = f"{model}.{name}" if member == "field" and model else name
            changed = data.get("changes")
            return f"{what}: {', '.join(changed)}" if isinstance(changed, dict) and changed else what
    if "from" in data:
        return f"{data.get('from')} → {data.get('to')}"
    now = data.get("now")
    return ", ".join(str(value) for value in now.values() if value is not None) if isinstance(now, dict) else ""


def words_of(act: Act) -> str:
    """Return what was done, in words: `edited and published`, `field changed`."""
    if act.kinds and act.kinds[0] in (ActKind.SCHEMA, ActKind.SOURCE):
        return act.events[-1].type.replace(".", " ").replace("_", " ")
    words = [_WORDS.get(kind, kind.value) for kind in act.kinds]
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"
