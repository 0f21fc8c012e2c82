"""Whether upstream says the same as the mirror in other words. Pure.

Upstream prints the same content in other words from time to time: every date-time in another zone or precision after
a setting of the project changed, members that are no field, a removed field left out, a retyped field converted. None
of this is a change that an editor made, and none of it is a rewrite. What editors enter is in the fields: their values
are compared by the type of the field.

Of the times of records and versions, the one that the mirror holds is kept where the seen one is the same instant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from versionsync.ledger.content import ContentError, canonical_value, parse_value
from versionsync.ledger.ids import ModelId
from versionsync.ledger.records import KnownRecord, SeenRecord, SeenVersion
from versionsync.ledger.times import TimeText, read_time, same_instant, same_time_text, same_wall_clock

__all__ = [
    "ContentFields",
    "Sameness",
    "block_model",
    "compare_contents",
    "keep_record_times",
    "keep_version_times",
    "same_value",
]


class Sameness(Enum):
    """How two contents of one version compare.

    MOVED: they differ only in date-times that show the same time of day in another zone. That is what a change of the
    project's zone does to the `date_time` fields of projects without `improved_timezone_management`.
    """

    SAME = "same"
    MOVED = "moved"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class ContentFields:
    """What the mirror knows of the fields of a source.

    `types` holds, for each model that has or had a field, the type of each present field by its api_key. `reshaped`
    holds the id of the last event in which a field of a model, by its api_key, got another type, or became localized
    or no longer is. The order of events does not depend on the clock. `former` holds the api_key of each present field
    by those that it had before: upstream may show old versions with them.
    """

    types: Mapping[ModelId, Mapping[str, str]]
    reshaped: Mapping[ModelId, Mapping[str, int]]
    former: Mapping[ModelId, Mapping[str, str]] = field(default_factory=dict)

    def is_reshaped(self, model_id: ModelId, api_key: str, stored_by: int) -> bool:
        """Return whether a present field of a model was reshaped after content was stored by the event `stored_by`."""
        return self.reshaped.get(model_id, {}).get(api_key, 0) > stored_by


class _Rule(Enum):
    """How a part of a content is compared."""

    TIME = "the value of a date_time field, perhaps by locale"
    BLOCKS = "exact, except the blocks inside"
    TOLERANT = "texts that are one instant are equal, and blocks are compared by their fields"
    EXACT = "exact"


_RULES = {
    "date_time": _Rule.TIME,
    "rich_text": _Rule.BLOCKS,
    "single_block": _Rule.BLOCKS,
    "structured_text": _Rule.BLOCKS,
} | dict.fromkeys(
    (
        "boolean",
        "color",
        "date",
        "file",
        "float",
        "gallery",
        "integer",
        "json",
        "lat_lon",
        "link",
        "links",
        "seo",
        "slug",
        "string",
        "text",
        "video",
    ),
    _Rule.EXACT,
)
_MISSING = object()
_NO_EVENT = 0
_Pair = tuple[object, object, _Rule]


def compare_contents(
    stored: bytes, seen: bytes, fields: ContentFields, model_id: ModelId, *, stored_by: int
) -> Sameness:
    """Compare two contents (JSON texts) of one version of a model by their values.

    A member that is no present field of the model, under its name or a former one, never makes a difference by itself,
    nor does a field that was
    reshaped after `stored_by`, the event with which the mirror stored `stored`. The same goes for the blocks inside.
    If no field of a model is known, all of its members are compared, and date-times that are one instant are equal.
    Content that cannot be read is different.
    """
    try:
        before, after = parse_value(stored), parse_value(seen)
        return _compare(_members(before, after, model_id, fields, stored_by), fields, stored_by)
    except ContentError:
        return Sameness.DIFFERENT


def same_value(a: bytes, b: bytes) -> bool:
    """Return whether two JSON texts have one value, where date-times that are one instant are equal.

    Raises ContentError if one is no JSON.
    """
    pair = (parse_value(a), parse_value(b), _Rule.TOLERANT)
    return _compare(iter([pair]), ContentFields({}, {}), _NO_EVENT) is Sameness.SAME


def _compare(pairs: Iterator[_Pair], fields: ContentFields, stored_by: int) -> Sameness:
    result = Sameness.SAME
    # A stack of our own: contents are nested as deep as Python can read them, so nothing here may call itself.
    waiting = list(pairs)
    while waiting:
        a, b, rule = waiting.pop()
        if rule is _Rule.EXACT:
            if canonical_value(a) != canonical_value(b):
                return Sameness.DIFFERENT
            continue
        match a, b:
            case dict(), dict():
                if a.keys() != b.keys():
                    return Sameness.DIFFERENT
                waiting.extend(_inside(a, b, rule, fields, stored_by))
            case list(), list():
                if len(a) != len(b):
                    return Sameness.DIFFERENT
                waiting.extend((one, other, rule) for one, other in zip(a, b, strict=True))
            case str(), str() if a == b:
                pass
            case str(), str():
                texts = _compare_texts(a, b, rule)
                if texts is Sameness.DIFFERENT:
                    return texts
                result = result if texts is Sameness.SAME else texts
            case _:
                if canonical_value(a) != canonical_value(b):
                    return Sameness.DIFFERENT
    return result


def _compare_texts(a: str, b: str, rule: _Rule) -> Sameness:
    """Compare two texts that are not equal character by character."""
    before, after = _time(a, rule), _time(b, rule)
    if before is None or after is None:
        return Sameness.DIFFERENT
    if same_time_text(before, after):
        return Sameness.SAME
    moved = rule is _Rule.TIME and same_wall_clock(before, after)
    return Sameness.MOVED if moved else Sameness.DIFFERENT


def _time(text: str, rule: _Rule) -> TimeText | None:
    return None if rule is _Rule.BLOCKS else read_time(text)


def _inside(
    a: dict[str, object], b: dict[str, object], rule: _Rule, fields: ContentFields, stored_by: int
) -> Iterator[_Pair]:
    """The members of two objects that have the same ones; those of a block by the fields of its model."""
    model_id = None if rule is _Rule.TIME else block_model(a)
    if model_id is None or model_id != block_model(b):
        yield from ((a[name], b[name], rule) for name in a)
        return
    for name in a:
        if name == "attributes":
            yield from _members(a[name], b[name], model_id, fields, stored_by)
        else:
            yield a[name], b[name], _Rule.TOLERANT


def _members(a: object, b: object, model_id: ModelId, fields: ContentFields, stored_by: int) -> Iterator[_Pair]:
    """The members of the `attributes` of a version or block that count: its model's fields."""
    types = fields.types.get(model_id)
    if types is None or not isinstance(a, dict) or not isinstance(b, dict):
        yield a, b, _Rule.TOLERANT
        return
    for key, type in types.items():
        before, after = a.get(key, _MISSING), b.get(key, _MISSING)
        is_in_both = before is not _MISSING and after is not _MISSING
        if is_in_both and fields.is_reshaped(model_id, key, stored_by):
            continue  # its value was converted; one that was renamed, too, is only in one of them
        if before is not after:
            yield _null(before), _null(after), _RULES.get(type, _Rule.TOLERANT)
    for former, key in fields.former.get(model_id, {}).items():
        if former not in types and former in a and former in b and not fields.is_reshaped(model_id, key, stored_by):
            yield a[former], b[former], _RULES.get(types[key], _Rule.TOLERANT)


def _null(value: object) -> object:
    """A field that is not there, since it is younger than what was read, is an empty one."""
    return None if value is _MISSING else value


def block_model(value: dict[str, object]) -> ModelId | None:
    """The model of a block, None for any other object."""
    if not isinstance(value.get("attributes"), dict):
        return None
    inner: object = value
    for name in ("relationships", "item_type", "data", "id"):
        if not isinstance(inner, dict):
            return None
        inner = inner.get(name)
    return ModelId(inner) if isinstance(inner, str) else None


def keep_record_times(known: KnownRecord | None, seen: SeenRecord) -> SeenRecord:
    """Return `seen` with each time of `known` that is the same instant."""
    if known is None:
        return seen
    return replace(
        seen,
        created_at=_kept(known.created_at, seen.created_at),
        updated_at=_kept(known.updated_at, seen.updated_at),
        published_at=_kept(known.published_at, seen.published_at),
        first_published_at=_kept(known.first_published_at, seen.first_published_at),
    )


def keep_version_times(known: SeenVersion, seen: SeenVersion) -> SeenVersion:
    """Return `seen` with each time of `known` that is the same instant.

    If the precision became coarser while the version was live, its publication may seem to end a fraction of a
    second before it began. Its end is kept as upstream states it, so that it is recognised in finer precision, too.
    """
    if (
        known.created_at == seen.created_at
        and known.published_from == seen.published_from
        and known.published_until == seen.published_until
    ):
        return seen
    created_at = known.created_at if same_instant(known.created_at, seen.created_at) else seen.created_at
    published_until = _kept(known.published_until, seen.published_until)
    # One that had ended and ends otherwise now is another publication, though it may have begun in the same second.
    is_same = known.is_published or known.published_until in (None, published_until)
    published_from = _kept(known.published_from, seen.published_from) if is_same else seen.published_from
    return replace(seen, created_at=created_at, published_from=published_from, published_until=published_until)


def _kept(known: datetime | None, seen: datetime | None) -> datetime | None:
    return known if same_instant(known, seen) else seen
