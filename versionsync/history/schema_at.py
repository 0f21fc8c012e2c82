"""The schema of a source as it was at any of its events, read from the mirror.

The tables have the schema of now. The events of models and fields lead back from there: each is undone in turn. What
was there when the schema was first read has no event, and counts as always there.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection

from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.ledger.events import EventType
from versionsync.ledger.schema import TITLE_FIELDS
from versionsync.mirror.tables.events import SchemaEvent, schema_events
from versionsync.mirror.tables.models import FieldState, ModelState, load_field_states, load_model_states

__all__ = ["SchemaHistory", "SchemaState"]

STATES_KEPT: Final = 32


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The schema as it was for some time.

    Attributes:
        number: How many events of the schema had happened. Two states of one source with the same number are equal.
        schema: Its fields.
        former_keys: The API keys that fields had before and no field has now, with the keys of now, by model.
        title_fields: The field that is the title of the records of a model, by model.
    """

    number: int
    schema: Schema
    former_keys: Mapping[str, Mapping[str, str]]
    title_fields: Mapping[str, SchemaField]


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    title_fields: tuple[str | None, ...]
    """Ids of the fields that the model names as its title: one for each of TITLE_FIELDS, or None."""


@dataclass(frozen=True, slots=True)
class _Field:
    model_id: str
    field: SchemaField


@dataclass(frozen=True, slots=True)
class _Step:
    """What one event changed: a model or field before (None: there was none) and after, and a key that was given up."""

    id: str
    before: _Model | _Field | None
    after: _Model | _Field | None

    @property
    def is_of_model(self) -> bool:
        return isinstance(self.before or self.after, _Model)


@dataclass(slots=True)
class SchemaHistory:
    """All schemas that a source had. It is not shared between threads."""

    _models: dict[str, _Model]
    _fields: dict[str, _Field]
    _ids: list[int] = field(default_factory=list)
    _steps: list[_Step] = field(default_factory=list)
    _position: int = 0
    _states: OrderedDict[int, SchemaState] = field(default_factory=OrderedDict)

    @classmethod
    def load(cls, connection: Connection, source_id: int) -> SchemaHistory:
        """Read the history of the schema of a source."""
        return cls.of(
            load_model_states(connection, source_id),
            load_field_states(connection, source_id),
            schema_events(connection, source_id),
        )

    @classmethod
    def of(
        cls, models: Sequence[ModelState], fields: Sequence[FieldState], events: Sequence[SchemaEvent]
    ) -> SchemaHistory:
        """Return the history that leads to these models and fields, which may be deleted, by these events."""
        last_models = {one.id: _model_of(one) for one in models}
        last_fields = {one.id: _field_of(one) for one in fields}
        history = cls(
            {one.id: last_models[one.id] for one in models if not one.is_deleted},
            {one.id: last_fields[one.id] for one in fields if not one.is_deleted},
        )
        steps = []
        for event in reversed(events):
            step = history._undo(event, last_models, last_fields)
            if step is not None:
                steps.append((event.id, step))
                history._apply(step, forward=False)
        steps.reverse()
        history._ids = [id for id, _ in steps]
        history._steps = [step for _, step in steps]
        return history

    def at(self, event_id: int) -> SchemaState:
        """Return the schema as it was when the event `event_id` was written."""
        number = bisect_right(self._ids, event_id)
        state = self._states.get(number)
        if state is None:
            while self._position < number:
                self._apply(self._steps[self._position], forward=True)
                self._position += 1
            while self._position > number:
                self._position -= 1
                self._apply(self._steps[self._position], forward=False)
            state = self._states[number] = self._state(number)
            if len(self._states) > STATES_KEPT:
                self._states.popitem(last=False)
        return state

    def _undo(
        self, event: SchemaEvent, last_models: Mapping[str, _Model], last_fields: Mapping[str, _Field]
    ) -> _Step | None:
        """Return what `event` changed, from the state after it. None: nothing that matters here."""
        before: _Model | _Field | None
        after: _Model | _Field | None
        if event.type.startswith("field."):
            before, after = self._undo_field(event, last_fields)
        else:
            before, after = self._undo_model(event, last_models)
        return None if before == after else _Step(_id_in(event), before, after)

    def _undo_field(self, event: SchemaEvent, last: Mapping[str, _Field]) -> tuple[_Field | None, _Field | None]:
        id = _id_in(event)
        after = self._fields.get(id)
        if event.type == EventType.FIELD_DELETED:
            return _deleted_field(event, last.get(id)), None
        if event.type == EventType.FIELD_CREATED or after is None:
            return None, after
        return _field_before(after, event.data.get("changes", {})), after

    def _undo_model(self, event: SchemaEvent, last: Mapping[str, _Model]) -> tuple[_Model | None, _Model | None]:
        id = _id_in(event)
        after = self._models.get(id)
        if event.type == EventType.MODEL_DELETED:
            return _deleted_model(event.data["model"], last.get(id)), None
        if event.type == EventType.MODEL_CREATED or after is None:
            return None, after
        return _model_before(after, event.data.get("changes", {})), after

    def _apply(self, step: _Step, *, forward: bool) -> None:
        state = step.after if forward else step.before
        rows: dict[str, Any] = self._models if step.is_of_model else self._fields
        if state is None:
            rows.pop(step.id, None)
        else:
            rows[step.id] = state

    def _state(self, number: int) -> SchemaState:
        ordered = sorted(self._fields.values(), key=lambda one: (one.field.position, one.field.id))
        schema = Schema.of(
            ((one.model_id, one.field) for one in ordered), {id: model.name for id, model in self._models.items()}
        )
        return SchemaState(number, schema, self._former_keys(number, schema), self._title_fields(schema))

    def _former_keys(self, number: int, schema: Schema) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for step in self._steps[:number]:
            before, now = step.before, self._fields.get(step.id)
            if not isinstance(before, _Field) or now is None or now.model_id != before.model_id:
                continue
            former, key = before.field.api_key, now.field.api_key
            if former != key and former not in schema.of_model(now.model_id):
                found.setdefault(now.model_id, {})[former] = key
        return found

    def _title_fields(self, schema: Schema) -> dict[str, SchemaField]:
        found = {}
        for model_id, fields in schema.fields.items():
            by_id = {one.id: one for one in fields.values()}
            model = self._models.get(model_id)
            named = (by_id[id] for id in (model.title_fields if model else ()) if id is not None and id in by_id)
            short = (one for one in fields.values() if one.field_type == "string")
            if chosen := next(named, None) or next(short, None):
                found[model_id] = chosen
        return found


def _model_of(row: ModelState) -> _Model:
    payload = json.loads(row.payload) if row.payload else {}
    members = {**(payload.get("attributes") or {}), **(payload.get("relationships") or {})}
    return _Model(row.name or row.api_key or "", _title_ids(members.get))


def _title_ids(value_of: Callable[[str], Any]) -> tuple[str | None, ...]:
    return tuple(_linked_id(value_of(name)) for name in TITLE_FIELDS)


def _linked_id(link: object) -> str | None:
    """Return the id that a relationship points to."""
    data = link.get("data") if isinstance(link, dict) else None
    id = data.get("id") if isinstance(data, dict) else None
    return id if isinstance(id, str) else None


def _field_of(row: FieldState) -> _Field:
    return _Field(
        row.model_id,
        SchemaField(
            id=row.id,
            api_key=row.api_key,
            label=row.label,
            field_type=row.field_type,
            is_localized=row.is_localized,
            position=row.position,
        ),
    )


def _id_in(event: SchemaEvent) -> str:
    return str(event.data["field" if event.type.startswith("field.") else "model"]["id"])


def _deleted_field(event: SchemaEvent, last: _Field | None) -> _Field | None:
    """Return a field as it was before its deletion. Its row has a later state if it came back since."""
    named: Mapping[str, Any] = event.data["field"]
    if "field_type" in named:
        return _Field(
            event.model_id,
            SchemaField(
                id=str(named["id"]),
                api_key=str(named["api_key"]),
                label=str(named["label"]),
                field_type=str(named["field_type"]),
                is_localized=bool(named["localized"]),
                position=int(named["position"]),
            ),
        )
    return last and _Field(event.model_id, replace(last.field, api_key=str(named["api_key"])))


def _deleted_model(named: Mapping[str, Any], last: _Model | None) -> _Model | None:
    if TITLE_FIELDS[0] in named:
        return _Model(str(named["name"]), _title_ids(named.get))
    return last


def _field_before(after: _Field, changes: Mapping[str, Any]) -> _Field:
    now = after.field
    before = replace(
        now,
        api_key=_text(changes, "api_key", now.api_key),
        label=_text(changes, "label", now.label),
        field_type=_text(changes, "field_type", now.field_type),
        is_localized=bool(_former(changes, "localized", now.is_localized)),
        position=position if isinstance(position := _former(changes, "position", now.position), int) else now.position,
    )
    return _Field(_linked_id(_former(changes, "item_type", None)) or after.model_id, before)


def _model_before(after: _Model, changes: Mapping[str, Any]) -> _Model:
    titles = (
        _linked_id(changes[name][0]) if name in changes else id
        for name, id in zip(TITLE_FIELDS, after.title_fields, strict=True)
    )
    return _Model(_text(changes, "name", after.name), tuple(titles))


def _former(changes: Mapping[str, Any], member: str, now: Any) -> Any:
    """Return the value of a member before a change, or `now` if it did not change."""
    return changes[member][0] if member in changes else now


def _text(changes: Mapping[str, Any], member: str, now: str) -> str:
    value = _former(changes, member, now)
    return value if isinstance(value, str) else now
