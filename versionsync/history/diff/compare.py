"""Compare two contents field by field, locale by locale and block by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

from versionsync.history.diff.documents import is_document, text_of
from versionsync.history.diff.equality import is_empty, is_same, is_same_deep
from versionsync.history.diff.findings import Findings, Spot
from versionsync.history.diff.lines import block_id_of, block_model_of
from versionsync.history.diff.members import blocks_at, compare_json, is_block
from versionsync.history.diff.model import (
    ABSENT,
    Absent,
    ChangeKind,
    ContentDiff,
    Json,
    Operation,
    Place,
    Restructuring,
)
from versionsync.history.diff.moves import join_moves
from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.diff.tokens import words_in
from versionsync.history.diff.values import TEXT_TYPES, compare_if_documents, compare_value
from versionsync.ledger.content import ContentError

__all__ = ["compare"]

_Value = Json | Literal[Absent.ABSENT]
_DICT_TYPES: Final = frozenset({"color", "file", "json", "lat_lon", "seo", "single_block", "structured_text", "video"})
"""Types whose value may be an object. Of all others, an object holds locales."""


def compare(
    before: Mapping[str, Json] | None, after: Mapping[str, Json] | None, schema: Schema, model_id: str
) -> ContentDiff:
    """Return what changed between two contents of one record.

    Args:
        before: The attributes before, as `versionsync.ledger.content.parse_value` returns them; None: there was no
            version before.
        after: The attributes after; None: there is no version after.
        schema: The fields of the models. What it does not know is compared as JSON.
        model_id: The model of the record.
    """
    if before is None and after is None:
        return ContentDiff()
    comparison = _Comparison(schema)
    ids = _Ids(before or {}, after or {})
    findings = Findings(comparison.block, compare_if_documents, comparison.words_of, ids.are_strangers)
    comparison.fields(findings, before or {}, after or {}, model_id, None)
    join_moves(findings)
    operation = (
        Operation.ADDED
        if before is None
        else Operation.REMOVED
        if after is None
        else Operation.CHANGED
        if findings.changes
        else None
    )
    return ContentDiff(
        changes=tuple(findings.changes),
        operation=operation,
        respellings=tuple(findings.respellings),
        outlines=tuple(findings.outlines),
        is_limited=any(change.is_limited for change in findings.changes),
    )


@dataclass(frozen=True)
class _Ids:
    """The ids of the blocks of two contents, read when they are first asked for."""

    before: Mapping[str, Json]
    after: Mapping[str, Json]

    @cached_property
    def _sides(self) -> tuple[set[str | None], set[str | None]]:
        before, after = ({block_id_of(block) for _, block in blocks_at(side)} for side in (self.before, self.after))
        return before, after

    def are_strangers(self, one: str | None, other: str | None) -> bool:
        """Return whether a block before and a block after are two, since one of them is on both sides."""
        before, after = self._sides
        return one in after or other in before


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Compares fields by a schema."""

    schema: Schema

    def fields(
        self,
        findings: Findings,
        before: Mapping[str, Json],
        after: Mapping[str, Json],
        model_id: str | None,
        block: Spot | None,
    ) -> None:
        """Compare the attributes of a record, or of a block at the spot `block`."""
        fields = self.schema.of_model(model_id)
        for name in _names(fields, before, after):
            a, b = before.get(name, ABSENT), after.get(name, ABSENT)
            if a is b:
                continue
            mark = findings.mark()
            try:
                if not is_same(a, b):
                    self._field(findings, name, fields.get(name), a, b, model_id, block)
            except (RecursionError, ContentError):
                if block is not None:
                    raise
                # Nested as deep as no editor nests: the whole value is compared without a call a level.
                findings.forget(mark)
                if not is_same_deep(a, b):
                    spot = _spot(name, fields.get(name), model_id, block)
                    findings.add(ChangeKind.ATTRIBUTE, Operation.CHANGED, a, b, spot, is_limited=True)

    def _field(
        self,
        findings: Findings,
        name: str,
        field: SchemaField | None,
        before: _Value,
        after: _Value,
        model_id: str | None,
        block: Spot | None,
    ) -> None:
        """Compare two values of a field that differ, by locale if they have locales."""
        spot = _spot(name, field, model_id, block)
        field_type = field.field_type if field is not None else None
        if field is None or not field.is_localized or not _has_locales(field_type, before, after):
            compare_value(findings, field_type if field else _guess(before, after), before, after, spot)
            return
        a: Mapping[str, Json] = before or {} if before is not ABSENT else {}
        b: Mapping[str, Json] = after or {} if after is not ABSENT else {}
        if not isinstance(before, dict) or not isinstance(after, dict):
            # A field without any locale: it appears or goes as a whole, and is shown by locale.
            _whole_by_locale(findings, field_type, before, after, spot)
            return
        for locale in [*a, *(locale for locale in b if locale not in a)]:
            one, other = a.get(locale, ABSENT), b.get(locale, ABSENT)
            if not is_same(one, other):
                place = replace(spot.place, locale=locale)
                at = Spot(place, (*spot.source, locale), (*spot.target, locale))
                compare_value(findings, field_type, one, other, at)

    def block(self, findings: Findings, before: Json, after: Json, spot: Spot) -> None:
        """Compare two blocks that are one block before and after."""
        if not is_block(before) or not is_block(after) or block_model_of(before) != block_model_of(after):
            if is_same(before, after):
                return
            findings.add(
                ChangeKind.STRUCTURE,
                Operation.CHANGED,
                before,
                after,
                spot,
                words_added=self.words_of(after),
                words_removed=self.words_of(before),
                restructuring=Restructuring.REPLACED,
            )
            return
        if not is_same(before.get("id", ABSENT), after.get("id", ABSENT)):
            at = Spot(spot.place, (*spot.source, "id"), (*spot.target, "id"))
            findings.respell(before.get("id", ABSENT), after.get("id", ABSENT), at)
        self.fields(
            findings,
            before["attributes"],
            after["attributes"],
            block_model_of(after),
            _within(spot, block_id_of(after)),
        )
        for name in [*before, *(name for name in after if name not in before)]:
            if name not in ("id", "attributes"):
                a, b = before.get(name, ABSENT), after.get(name, ABSENT)
                if not is_same(a, b):
                    compare_json(findings, a, b, spot.member(name))

    def words_of(self, item: Json) -> int:
        """Return the number of words in the texts of a block, and in the blocks in it."""
        if not is_block(item):
            return 0
        fields = self.schema.of_model(block_model_of(item))
        return sum(
            self._words_in(fields[name].field_type if name in fields else None, value)
            for name, value in item["attributes"].items()
        )

    def _words_in(self, field_type: str | None, value: Json) -> int:
        match value:
            case str():
                return words_in([value]) if field_type in TEXT_TYPES or (field_type is None and " " in value) else 0
            case {"type": "item"}:
                return self.words_of(value)
            case dict() if is_document(value):
                text, blocks = text_of(value)
                return words_in([text.text]) + sum(map(self.words_of, blocks))
            case list():
                return sum(self._words_in(field_type, one) for one in value)
            case dict() if field_type == "seo" or field_type in TEXT_TYPES:
                texts = (value.get("title"), value.get("description")) if field_type == "seo" else value.values()
                return words_in([text for text in texts if isinstance(text, str)])
        return 0


def _names(fields: Mapping[str, SchemaField], before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterable[str]:
    """The fields in the order of the schema, then those that it does not know."""
    known = [name for name in fields if name in before or name in after]
    unknown = (before.keys() | after.keys()) - fields.keys()
    return [*known, *sorted(unknown)] if unknown else known


def _spot(name: str, field: SchemaField | None, model_id: str | None, block: Spot | None) -> Spot:
    field_id = field.id if field is not None else None
    if block is None:
        place = Place(field=name, field_id=field_id, record_field=name, record_field_id=field_id, model_id=model_id)
        return Spot(place, (name,), (name,))
    place = replace(block.place, field=name, field_id=field_id, model_id=model_id)
    return Spot(place, (*block.source, name), (*block.target, name))


def _within(spot: Spot, block_id: str | None) -> Spot:
    """Return the spot of the attributes of a block at a spot."""
    path = (*spot.place.block_path, block_id or "")
    place = replace(spot.place, block_path=path, member=())
    return Spot(place, (*spot.source, "attributes"), (*spot.target, "attributes"))


def _has_locales(field_type: str | None, before: _Value, after: _Value) -> bool:
    """Return whether the values of a localized field are in locales; they are not if it was localized in between."""
    return all(
        value is ABSENT
        or value is None
        or (
            isinstance(value, dict)
            and not is_document(value)
            and not is_block(value)
            and not _is_value(field_type, value)
        )
        for value in (before, after)
    )


_MEMBERS: Final = {
    "color": frozenset({"red", "green", "blue"}),
    "file": frozenset({"upload_id"}),
    "lat_lon": frozenset({"latitude", "longitude"}),
    "seo": frozenset({"description", "image"}),
    "video": frozenset({"url", "provider"}),
}
"""Members that a value of a type has, and no object of locales."""


def _is_value(field_type: str | None, value: dict[str, Json]) -> bool:
    return not _MEMBERS.get(field_type or "", frozenset()).isdisjoint(value)


def _whole_by_locale(findings: Findings, field_type: str | None, before: _Value, after: _Value, spot: Spot) -> None:
    """Compare a localized field that has locales on one side only."""
    findings.respell(before, after, spot)
    a, b = (value if isinstance(value, dict) else {} for value in (before, after))
    for locale in [*a, *b]:
        place = replace(spot.place, locale=locale)
        at = Spot(place, (*spot.source, locale), (*spot.target, locale))
        compare_value(findings, field_type, a.get(locale, ABSENT), b.get(locale, ABSENT), at)


def _guess(before: _Value, after: _Value) -> str | None:
    """Guess the type of a field that the schema does not know, from values that can be of one type only."""
    values = [value for value in (before, after) if not is_empty(value)]
    if values and all(isinstance(value, list) and value and all(map(is_block, value)) for value in values):
        return "rich_text"
    if values and all(map(is_block, values)):
        return "single_block"
    return None
