"""What an event is: one transition, written once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.times import format_time

__all__ = ["Event", "EventType", "JsonValue", "TimeBasis", "observed_event", "upstream_event"]

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


class EventType(StrEnum):
    """Every type of event; the values are public."""

    VERSION_CREATED = "version.created"
    VERSION_BECAME_CURRENT = "version.became_current"
    VERSION_SUPERSEDED = "version.superseded"
    VERSION_PUBLISHED = "version.published"
    VERSION_UNPUBLISHED = "version.unpublished"
    VERSION_REWRITTEN = "version.rewritten"
    VERSION_MISSING = "version.missing"
    VERSION_RETURNED = "version.returned"
    RECORD_CREATED = "record.created"
    RECORD_DELETED = "record.deleted"
    RECORD_RETURNED = "record.returned"
    RECORD_ERASED = "record.erased"
    SOURCE_ENVIRONMENT_CHANGED = "source.environment_changed"
    SOURCE_FORMAT_CHANGED = "source.format_changed"
    MODEL_CREATED = "model.created"
    MODEL_CHANGED = "model.changed"
    MODEL_DELETED = "model.deleted"
    FIELD_CREATED = "field.created"
    FIELD_CHANGED = "field.changed"
    FIELD_DELETED = "field.deleted"


class TimeBasis(StrEnum):
    """How we know when it happened: upstream states it, or we only observed that it had."""

    UPSTREAM = "upstream"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One transition. `key` names it within its source, so that deriving it twice writes it once."""

    type: EventType
    key: str
    occurred_at: datetime
    basis: TimeBasis
    record_id: RecordId | None = None
    version_id: VersionId | None = None
    model_id: ModelId | None = None
    data: Mapping[str, JsonValue] = field(default_factory=dict)


def upstream_event(
    type: EventType,
    key: str,
    at: datetime,
    *,
    record_id: RecordId,
    model_id: ModelId,
    version_id: VersionId | None = None,
) -> Event:
    """Return an event whose time `at` upstream states. Its key is its type and `key`."""
    return Event(
        type=type,
        key=f"{type}:{key}",
        occurred_at=at,
        basis=TimeBasis.UPSTREAM,
        record_id=record_id,
        version_id=version_id,
        model_id=model_id,
    )


def observed_event(
    type: EventType,
    subject: str | None,
    at: datetime,
    *,
    seen_before: datetime | None,
    record_id: RecordId | None = None,
    version_id: VersionId | None = None,
    model_id: ModelId | None = None,
    data: Mapping[str, JsonValue] | None = None,
) -> Event:
    """Return an event that was observed at the time `at`.

    Args:
        subject: The id of what it is about. None: the source.
        at: When it was observed.
        seen_before: The last time at which it is known not to have happened.
        data: What else it says.
    """
    return Event(
        type=type,
        key=":".join(filter(None, (type, subject, "observed", format_time(at)))),
        occurred_at=at,
        basis=TimeBasis.OBSERVED,
        record_id=record_id,
        version_id=version_id,
        model_id=model_id,
        data={"after": format_time(seen_before) if seen_before else None, **(data or {})},
    )
