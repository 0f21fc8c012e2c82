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
from versionsync.ledger.events import Event, EventType, JsonValue, observed_event
from versionsync.ledger.ids import ModelId
from versionsync.ledger.sameness import same_value

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

    models: Mapping[str, Model]
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
    events = (
        *_events(known.models, seen.models, seen_before, observed_at),
        *_events(known.fields, seen.fields, seen_before, observed_at),
    )
    return SchemaPlan(
        models=tuple(model for id, model in seen.models.items() if not _is_same(known.models.get(id), model)),
        fields=tuple(field for id, field in seen.fields.items() if not _is_same(known.fields.get(id), field)),
        deleted_models=tuple(model.id for id, model in known.models.items() if id not in seen.models),
        deleted_fields=tuple(id for id in known.fields if id not in seen.fields),
        events=events if seen_before is not None else (),
    )


def _events(
    known: Mapping[str, Model] | Mapping[str, Field],
    seen: Mapping[str, Model] | Mapping[str, Field],
    seen_before: datetime | None,
    observed_at: datetime,
) -> Iterator[Event]:
    def event(transition: str, one: Model | Field, **data: JsonValue) -> Event:
        kind, model_id = ("field", one.model_id) if isinstance(one, Field) else ("model", one.id)
        last_state = _last_state(one) if transition == "deleted" else {}
        return observed_event(
            EventType(f"{kind}.{transition}"),
            one.id,
            observed_at,
            seen_before=seen_before,
            model_id=model_id,
            data={kind: {"id": one.id, "api_key": one.api_key, **last_state}, **data},
        )

    for id, one in seen.items():
        before = known.get(id)
        if before is None:
            yield event("created", one)
        elif changes := changed_members(before, one):
            yield event("changed", one, changes={name: list(values) for name, values in changes.items()})
    for id, one in known.items():
        if id not in seen:
            yield event("deleted", one)


def _is_same(known: Model | Field | None, seen: Model | Field) -> bool:
    """Whether the mirror's row says what upstream does; PostgreSQL gives the payload back in another spelling."""
    if known is None or replace(known, payload=seen.payload) != seen:
        return False
    if canonical(known.payload.encode()) == canonical(seen.payload.encode()):
        return True
    # Only times in another form differ: some members do by their texts, and none by its value.
    return bool(_changes(known, seen, with_times=frozenset())) and not changed_members(known, seen)


def _last_state(one: Model | Field) -> dict[str, JsonValue]:
    """Return what the history needs of a model or field after its row was overwritten: it may return as another one."""
    if isinstance(one, Field):
        return {
            "label": one.label,
            "field_type": one.field_type,
            "localized": one.is_localized,
            "position": one.position,
        }
    members = _members(one.payload)
    return {"name": one.name, **{name: members.get(name) for name in TITLE_FIELDS}}


def changed_members(before: Model | Field, after: Model | Field) -> dict[str, tuple[JsonValue, JsonValue]]:
    """Compare two descriptions of a model or field: by member its value before and after, where these differ.

    Their `meta` is left out, since it moves by itself. A time in another zone or precision is the same time.
    """
    has_times = all(isinstance(one, Field) and one.field_type == "date_time" for one in (before, after))
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


def _value(member: JsonValue) -> bytes:
    return canonical(json.dumps(member).encode())  # to Python, true is 1


def _members(payload: str) -> dict[str, JsonValue]:
    # The standard library's reader: msgspec refuses lone surrogates, which editors paste into descriptions.
    document: dict[str, Any] = json.loads(payload, parse_float=partial(_number, float), parse_int=partial(_number, int))
    attributes, relationships = document.get("attributes") or {}, document.get("relationships") or {}
    return {**attributes, **{name: value for name, value in relationships.items() if name not in _NOT_A_CHANGE}}


def _number(type_: Callable[[str], int | float], text: str) -> int | float | str:
    """The number that `text` spells; `text` itself where Python has no such number."""
    try:
        number = type_(text)
    except ValueError:
        return text
    return number if isinstance(number, int) or isfinite(number) else text
