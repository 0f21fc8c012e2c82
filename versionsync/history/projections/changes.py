"""What a version changed, compared with the version before it. Pure.

Each content has the API keys of the schema that it was read with. A field that was renamed in between is the same
field: the content before is given the names of the content after. A field that was removed in between keeps its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from versionsync.history.diff.compare import compare
from versionsync.history.diff.model import ABSENT, Change
from versionsync.history.diff.schema import Schema
from versionsync.history.projections.titles import storable
from versionsync.history.schema_at import SchemaState
from versionsync.ledger.content import canonical_value
from versionsync.mirror.tables.changes import ChangeRow

__all__ = ["VersionContent", "changes_of", "common_schema", "comparable", "renamed"]

HASH_BYTES: Final = 16
LONGEST_PATH: Final = 1000
RENAMES_KEPT: Final = 64
REMOVED: Final = "\0removed"
"""The end of the key of a removed field, in the content before, if another field has its name now."""

Names = Mapping[str, Mapping[str, str]]
"""The key that a field has now, by model and former API key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionContent:
    """A version with its content, as `versionsync.ledger.content.parse_value` returns it, and the schema of then."""

    version_id: str
    record_id: str
    model_id: str
    created_at: datetime
    hash: bytes
    attributes: Mapping[str, Any]
    state: SchemaState


def changes_of(after: VersionContent, before: VersionContent | None) -> list[ChangeRow]:
    """Return what `after` changed. `before` is the version before it; None: it is the first one."""
    if before is not None and before.hash == after.hash:
        return []
    former, latter, schema = comparable(after, before)
    diff = compare(former, latter, schema, after.model_id)
    return [_row(number, change, after, before) for number, change in enumerate(diff.changes, start=1)]


def comparable(
    after: VersionContent, before: VersionContent | None
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any], Schema]:
    """Return two contents with the names that fields have now, and the schema to compare them by."""
    latter = renamed(after.attributes, after.state.former_keys, after.model_id)
    if before is None:
        return None, latter, after.state.schema
    former = renamed(before.attributes, _renames(before.state, after.state), before.model_id)
    return former, latter, common_schema(before.state, after.state)


def _row(number: int, change: Change, after: VersionContent, before: VersionContent | None) -> ChangeRow:
    place = change.place
    path = place.block_path
    return ChangeRow(
        version_id=after.version_id,
        number=number,
        record_id=after.record_id,
        model_id=after.model_id,
        previous_version_id=None if before is None else before.version_id,
        created_at=after.created_at,
        field_id=place.field_id,
        field=storable(place.field.removesuffix(REMOVED)),
        locale=None if place.locale is None else storable(place.locale),
        block_id=storable(path[-1]) if path else None,
        block_path=storable("/".join(path), LONGEST_PATH) if path else None,
        kind=change.kind.value,
        operation=change.operation.value,
        words_added=change.words_added,
        words_removed=change.words_removed,
        before_hash=_hash(change.before),
        after_hash=_hash(change.after),
    )


def _hash(value: object) -> bytes | None:
    return None if value is ABSENT else sha256(canonical_value(value)).digest()[:HASH_BYTES]


def common_schema(before: SchemaState, after: SchemaState) -> Schema:
    """Return the schema of now, with the fields that were removed since `before`."""
    return after.schema if before.number == after.number else _common(_Pair(before, after))


def _renames(before: SchemaState, after: SchemaState) -> Names:
    """Return the keys that fields of `before` have in the content that is compared, if that is another one."""
    return before.former_keys if before.number == after.number else _renamed_between(_Pair(before, after))


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two states of one schema. They are equal if they are the same objects: numbers repeat in other sources."""

    before: SchemaState
    after: SchemaState

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pair) and self.before is other.before and self.after is other.after

    def __hash__(self) -> int:
        return hash((id(self.before), id(self.after)))


@lru_cache(maxsize=RENAMES_KEPT)
def _common(pair: _Pair) -> Schema:
    now = pair.after.schema
    present = {one.id for fields in now.fields.values() for one in fields.values()}
    fields = {model_id: dict(of_model) for model_id, of_model in now.fields.items()}
    for model_id, of_model in pair.before.schema.fields.items():
        for key, one in of_model.items():
            if one.id not in present:
                of_now = fields.setdefault(model_id, {})
                of_now[key + REMOVED if key in of_now else key] = one
    return Schema(fields, {**pair.before.schema.model_names, **now.model_names})


@lru_cache(maxsize=RENAMES_KEPT)
def _renamed_between(pair: _Pair) -> Names:
    now = {one.id: key for fields in pair.after.schema.fields.values() for key, one in fields.items()}
    found: dict[str, dict[str, str]] = {}
    for model_id, fields in pair.before.schema.fields.items():
        taken = pair.after.schema.of_model(model_id)
        for key, one in fields.items():
            new = now.get(one.id, key + REMOVED if key in taken else key)
            if new != key:
                found.setdefault(model_id, {})[key] = new
    for model_id, keys in pair.before.former_keys.items():
        for former, key in keys.items():
            found.setdefault(model_id, {}).setdefault(former, found.get(model_id, {}).get(key, key))
    return found


def renamed(attributes: Mapping[str, Any], names: Names, model_id: str | None) -> Mapping[str, Any]:
    """Return a content with the names that its fields have now, also those of its blocks. It is a copy."""
    if not names:
        return attributes
    try:
        return _renamed_members(attributes, names, model_id)
    except RecursionError:
        return attributes


def _renamed_members(attributes: Mapping[str, Any], names: Names, model_id: str | None) -> dict[str, Any]:
    keys = names.get(model_id, {}) if model_id is not None else {}
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        new = keys.get(name, name)
        if new in found or (new != name and new in attributes and new not in keys):
            new = name  # the content has another value of this name
        found[new] = _renamed_value(value, names)
    return found


def _renamed_value(value: Any, names: Names) -> Any:
    if isinstance(value, list):
        return [_renamed_value(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    members = {name: _renamed_value(one, names) for name, one in value.items() if name != "attributes"}
    if "attributes" in value:
        inner = value["attributes"]
        model_id = _block_model(value)
        is_block = model_id is not None and isinstance(inner, dict)
        members["attributes"] = _renamed_members(inner, names, model_id) if is_block else _renamed_value(inner, names)
    return members


def _block_model(value: Mapping[str, Any]) -> str | None:
    inner: Any = value
    for name in ("relationships", "item_type", "data", "id"):
        inner = inner.get(name) if isinstance(inner, dict) else None
    return inner if isinstance(inner, str) else None
