"""Which field of now a member of an old content belongs to, and whether its value has the shape of a field type. Pure.

Fields are matched by id. Upstream may show a field that was renamed since under either of its names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec

from versionsync.history.diff.model import Json
from versionsync.history.diff.schema import SchemaField
from versionsync.history.schema_at import SchemaState
from versionsync.restore.rules import FieldRules, ProjectRules

__all__ = [
    "FieldMatches",
    "Match",
    "block_model",
    "fits_type",
    "is_block",
    "is_empty",
    "locales_in",
    "matches",
    "remade_fields",
]

STATES_KEPT: Final = 64

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_DATE_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
_INTEGER: Final = re.compile(rb"-?[0-9]+\Z")
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "color": frozenset({"red"}),
    "file": frozenset({"upload_id"}),
    "lat_lon": frozenset({"latitude"}),
    "seo": frozenset({"title", "description", "image", "twitter_card", "no_index"}),
    "structured_text": frozenset({"document"}),
    "video": frozenset({"provider_uid", "url"}),
}
"""By field type the members of its value, of which it has at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What becomes of a member of a content.

    Attributes:
        then: The field that it was, if that is known.
        now: The field that it is. None: there is no such field any more.
        is_retyped: The field was removed, and another one of another type has its name now.
        unless: If the content has one of these members, that one holds the value of the field.
        instead: The field that this member belongs to in that case.
    """

    then: SchemaField | None
    now: FieldRules | None
    is_retyped: bool = False
    unless: tuple[str, ...] = ()
    instead: FieldRules | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FieldMatches:
    """Matches the fields of one state of the schema with the rules of now. Equal: the same objects."""

    state: SchemaState
    rules: ProjectRules
    _found: dict[str, Mapping[str, Match]] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldMatches) and self.state is other.state and self.rules is other.rules

    def __hash__(self) -> int:
        return hash((id(self.state), id(self.rules)))

    def of_model(self, model_id: str) -> Mapping[str, Match]:
        """Return the matches of a model or block model by the keys of its content."""
        found = self._found.get(model_id)
        if found is None:
            model = self.rules.models.get(model_id)
            then = self.state.schema.of_model(model_id)
            former = self.state.former_keys.get(model_id, {})
            found = self._found[model_id] = _matches(then, former, model.fields if model else {})
        return found


def matches(state: SchemaState, rules: ProjectRules) -> FieldMatches:
    """Return how the fields of `state` match those of now. It is remembered."""
    return _remembered(FieldMatches(state, rules))


@lru_cache(maxsize=STATES_KEPT)
def _remembered(one: FieldMatches) -> FieldMatches:
    return one


def _matches(
    then: Mapping[str, SchemaField], former: Mapping[str, str], now: Mapping[str, FieldRules]
) -> dict[str, Match]:
    now_by_id = {one.id: one for one in now.values()}
    then_by_id = {one.id: one for one in then.values()}

    def match(key: str, one: SchemaField, *winners: str) -> Match:
        kept = now_by_id.get(one.id)
        if kept is None:
            namesake = now.get(one.api_key)
            if namesake is None or namesake.id in then_by_id:
                return Match(then=one, now=None, unless=winners)
            if namesake.field_type != one.field_type:
                return Match(then=one, now=None, is_retyped=True, unless=winners)
            return Match(then=one, now=namesake, unless=winners)
        if kept.api_key != key and kept.api_key not in then:
            # Only an upstream that shows old versions with new names can have shown that name.
            return Match(then=one, now=kept, unless=(*winners, kept.api_key), instead=now.get(key))
        return Match(then=one, now=kept, unless=winners)

    found = {key: match(key, one) for key, one in then.items()}
    for name, key in former.items():
        if name not in found and key in then:
            found[name] = match(name, then[key], key)
    for key, one in now.items():
        if key not in found:
            found[key] = Match(then=then_by_id.get(one.id), now=one)
    return found


def remade_fields(state: SchemaState, rules: ProjectRules, model_id: str) -> frozenset[str]:
    """Return the fields of now, by API key, that were removed since `state` and made again: upstream has no values."""
    found = matches(state, rules).of_model(model_id).values()
    return frozenset(one.now.api_key for one in found if one.then and one.now and one.then.id != one.now.id)


def is_empty(value: Json) -> bool:
    """Return whether a value counts as no value: null, an empty text, list or object."""
    return value is None or value == "" or value == [] or value == {}


def is_block(value: Json) -> bool:
    """Return whether a value is a whole block."""
    return isinstance(value, dict) and value.get("type") == "item" and isinstance(value.get("attributes"), dict)


def block_model(block: Mapping[str, Any]) -> str:
    """Return the id of the model of a block; empty if it names none."""
    match block.get("relationships"):
        case {"item_type": {"data": {"id": str(id)}}}:
            return id
    return ""


def locales_in(value: Json, field_type: str, locales: tuple[str, ...], *, was_localized: bool) -> bool:
    """Return whether a value is an object of values by locale.

    Args:
        value: Any value of a field.
        field_type: The type of the field when the value was made.
        locales: The locales of the project.
        was_localized: Whether the field is known to have been localized then.
    """
    if not isinstance(value, dict) or _is_object_of(value, field_type):
        return False
    return was_localized or (bool(value) and all(name in locales for name in value))


def _is_object_of(value: Mapping[str, Json], field_type: str) -> bool:
    if field_type == "single_block":
        return is_block(value)
    return not _MEMBERS.get(field_type, frozenset()).isdisjoint(value)


def fits_type(value: Json, field_type: str) -> bool:
    """Return whether a value, of one locale if it is localized, has the shape of a field type. Null always has."""
    if value is None:
        return True
    match field_type:
        case "string" | "text" | "slug" | "link":
            return isinstance(value, str)
        case "json":
            return isinstance(value, str) and _is_json(value)
        case "date":
            return isinstance(value, str) and _DATE.match(value) is not None
        case "date_time":
            return isinstance(value, str) and _DATE_TIME.match(value) is not None
        case "boolean":
            return isinstance(value, bool)
        case "float":
            return isinstance(value, int | float | msgspec.Raw) and not isinstance(value, bool)
        case "integer":
            if isinstance(value, msgspec.Raw):
                return _INTEGER.match(bytes(value)) is not None
            return isinstance(value, int) and not isinstance(value, bool)
        case "links":
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case "gallery":
            return isinstance(value, list) and all(fits_type(one, "file") and one is not None for one in value)
        case "rich_text":
            return isinstance(value, list) and all(is_block(one) for one in value)
        case "single_block":
            return is_block(value)
    return isinstance(value, dict) and _is_object_of(value, field_type)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True
