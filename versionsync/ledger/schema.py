"""Models and fields, and what changed between two checks. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from math import isfinite
from typing import Any

from versionsync.ledger.content import canonical
from versionsync.ledger.events import Event, EventType, JsonValue, TimeBasis
from versionsync.ledger.ids import ModelId
from versionsync.ledger.sameness import same_value
from versionsync.ledger.times import format_time

__all__ = [
    "TITLE_FIELDS",
    "Field",
    "Model",
    "Schema",
    "SchemaPlan",
    "changed_members",
    "is_same_value",
    "plan_schema",
]

TITLE_FIELDS = ("presentation_title_field", "title_field")
"""The members of a model that say which field is its records' title, the first one that is set."""

# A model's lists of its fields change with every field, which has an event of its own.
_NOT_A_CHANGE = frozenset({"fields", "fieldsets"})
# Members of a date_time field that hold times, which upstream prints in the project's zone and precision.
_WITH_TIMES = frozenset({"default_value", "validators"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as upstream described it. `payload` is its JSON document as sent."""

    id: ModelId
    api_key: str
    name: str
    is_block: bool
    is_singleton: bool
    draft_mode: bool
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a model as upstream described it. `payload` is its JSON document as sent."""

    id: str
    model_id: ModelId
    api_key: str
    label: str
    field_type: str
    is_localized: bool
    position: int
    payload: str


@dataclass(frozen=True, slots=True)
class Schema:
    """All models and fields by id, of upstream or of the mirror, without deleted ones."""

    models: Mapping[ModelId, Model]
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """What one check of the schema changes: rows to write, rows to mark as deleted, and their events."""

    models: tuple[Model, ...]
    fields: tuple[Field, ...]
    deleted_models: tuple[ModelId, ...]
    deleted_fields: tuple[str, ...]
    events: tuple[Event, ...]


def plan_schema(known: Schema, seen: Schema, *, seen_before: datetime | None, observed_at: datetime) -> SchemaPlan:
    """The least that makes the mirror's schema agree with `seen`.

    `seen_before` is when the schema was last read; None for the first time, which finds a schema and no change of it:
    then there are no events.
    """
    stamp = _Stamp(seen_before, observed_at)
    events = [
        *_model_events(known, seen, stamp),
        *_field_events(known, seen, stamp),
    ]
    return SchemaPlan(
        models=tuple(model for id, model in seen.models.items() if not _is_same(known.models.get(id), model)),
        fields=tuple(field for id, field in seen.fields.items() if not _is_same(known.fields.get(id), field)),
        deleted_models=tuple(id for id in known.models if id not in seen.models),
        deleted_fields=tuple(id for id in known.fields if id not in seen.fields),
        events=tuple(events) if seen_before is not None else (),
    )


@dataclass(frozen=True, slots=True)
class _Stamp:
    seen_before: datetime | None
    observed_at: datetime

    def event(self, type: EventType, id: str, model_id: ModelId, data: dict[str, JsonValue]) -> Event:
        after = format_time(self.seen_before) if self.seen_before else None
        return Event(
            type=type,
            key=f"{type}:{id}:observed:{format_time(self.observed_at)}",
            occurred_at=self.observed_at,
            basis=TimeBasis.OBSERVED,
            model_id=model_id,
            data={"after": after, **data},
        )


def _model_events(known: Schema, seen: Schema, stamp: _Stamp) -> Iterator[Event]:
    for id, model in seen.models.items():
        before = known.models.get(id)
        if before is None:
            yield stamp.event(EventType.MODEL_CREATED, id, id, {"model": _name(model)})
        elif changes := _difference(before, model):
            yield stamp.event(EventType.MODEL_CHANGED, id, id, {"model": _name(model), "changes": changes})
    for id, model in known.models.items():
        if id not in seen.models:
            yield stamp.event(EventType.MODEL_DELETED, id, id, {"model": _last_state(model)})


def _field_events(known: Schema, seen: Schema, stamp: _Stamp) -> Iterator[Event]:
    for id, field in seen.fields.items():
        before = known.fields.get(id)
        if before is None:
            yield stamp.event(EventType.FIELD_CREATED, id, field.model_id, {"field": _name(field)})
        elif changes := _difference(before, field):
            data: dict[str, JsonValue] = {"field": _name(field), "changes": changes}
            yield stamp.event(EventType.FIELD_CHANGED, id, field.model_id, data)
    for id, field in known.fields.items():
        if id not in seen.fields:
            yield stamp.event(EventType.FIELD_DELETED, id, field.model_id, {"field": _last_state(field)})


def _is_same(known: Model | Field | None, seen: Model | Field) -> bool:
    """Whether the mirror's row says what upstream does; PostgreSQL gives the payload back in another spelling."""
    if known is None or replace(known, payload=seen.payload) != seen:
        return False
    if canonical(known.payload.encode()) == canonical(seen.payload.encode()):
        return True
    # Only times in another form differ: some members do by their texts, and none by its value.
    return bool(_changes(known, seen, with_times=frozenset())) and not changed_members(known, seen)


def _has_times(thing: Model | Field) -> bool:
    return isinstance(thing, Field) and thing.field_type == "date_time"


def _name(thing: Model | Field) -> dict[str, JsonValue]:
    return {"id": thing.id, "api_key": thing.api_key}


def _last_state(thing: Model | Field) -> dict[str, JsonValue]:
    """Return what the history needs of a model or field after its row was overwritten: it may return as another one."""
    if isinstance(thing, Field):
        return {
            **_name(thing),
            "label": thing.label,
            "field_type": thing.field_type,
            "localized": thing.is_localized,
            "position": thing.position,
        }
    members = _members(thing.payload)
    return {**_name(thing), "name": thing.name, **{name: members.get(name) for name in TITLE_FIELDS}}


def changed_members(before: Model | Field, after: Model | Field) -> dict[str, tuple[JsonValue, JsonValue]]:
    """Compare two descriptions of a model or field: by member its value before and after, where these differ.

    Their `meta` is left out, since it moves by itself. A time in another zone or precision is the same time.
    """
    has_times = _has_times(before) and _has_times(after)
    return _changes(before, after, with_times=_WITH_TIMES if has_times else frozenset())


def _changes(
    before: Model | Field, after: Model | Field, *, with_times: frozenset[str]
) -> dict[str, tuple[JsonValue, JsonValue]]:
    old, new = _members(before.payload), _members(after.payload)
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if not is_same_value(old.get(name), new.get(name), with_times=name in with_times)
    }


def is_same_value(one: JsonValue, other: JsonValue, *, with_times: bool = False) -> bool:
    """Return whether two members have the same JSON value; `with_times`: a time in another form is the same one."""
    before, after = _value(one), _value(other)
    return before == after or (with_times and same_value(before, after))


def _difference(before: Model | Field, after: Model | Field) -> dict[str, JsonValue]:
    return {name: list(values) for name, values in changed_members(before, after).items()}


def _value(member: JsonValue) -> bytes:
    return canonical(json.dumps(member).encode())  # to Python, true is 1


def _members(payload: str) -> dict[str, JsonValue]:
    document = _document(payload)
    attributes, relationships = document.get("attributes") or {}, document.get("relationships") or {}
    return {**attributes, **{name: value for name, value in relationships.items() if name not in _NOT_A_CHANGE}}


def _document(payload: str) -> dict[str, Any]:
    # The standard library's reader: msgspec refuses lone surrogates, which editors paste into descriptions.
    document: dict[str, Any] = json.loads(payload, parse_float=partial(_number, float), parse_int=partial(_number, int))
    return document


def _number(type_: Callable[[str], int | float], text: str) -> int | float | str:
    """The number that `text` spells; `text` itself where Python has no such number."""
    try:
        number = type_(text)
    except ValueError:
        return text
    return number if isinstance(number, int) or isfinite(number) else text
