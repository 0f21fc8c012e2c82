"""What was erased on request, and what is left of a content then. Pure.

An erasure is about a whole record, or about one field of its model or of a block model. It is in force until it is
lifted. After that, it still holds for the versions that the mirror had by then: what was erased stays erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from versionsync.ledger.content import canonical_value, parse_value
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.sameness import block_model

__all__ = ["NOTHING", "ErasedField", "Erasure", "Erasures", "erase_content"]

NOTHING: Final = b"{}"
"""The content of a version of an erased record."""


@dataclass(frozen=True, slots=True)
class ErasedField:
    """A field whose values are erased.

    Attributes:
        model_id: Its model: the record's, or that of a block.
        keys: The API keys under which a content may have it.
        locale: Only this locale. None: all of it.
    """

    model_id: ModelId
    keys: frozenset[str]
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure of a record.

    Attributes:
        field: The field. None: everything.
        versions: The versions that it holds for. None: all, also those that come later.
    """

    field: ErasedField | None
    versions: frozenset[VersionId] | None = None


@dataclass(frozen=True, slots=True)
class Erasures:
    """The erasures of a source, by record."""

    by_record: Mapping[RecordId, Sequence[Erasure]] = field(default_factory=dict)

    def of(self, record_id: RecordId, version_id: VersionId) -> list[Erasure]:
        """Return those that hold for a version."""
        found = self.by_record.get(record_id, ())
        return [one for one in found if one.versions is None or version_id in one.versions]

    def erased(self, record_id: RecordId, version_id: VersionId, model_id: ModelId, content: bytes) -> bytes:
        """Return what may be kept of the content of a version. Raises ContentError if that cannot be read."""
        if record_id not in self.by_record:
            return content
        return erase_content(content, model_id, self.of(record_id, version_id))


def erase_content(content: bytes, model_id: ModelId, erasures: Iterable[Erasure]) -> bytes:
    """Return `content` (JSON text of a record of this model) without what these erasures are about."""
    fields = []
    for one in erasures:
        if one.field is None:
            return NOTHING
        fields.append(one.field)
    return _erase_fields(content, model_id, fields)


def _erase_fields(content: bytes, model_id: ModelId, fields: Sequence[ErasedField]) -> bytes:
    """Return `content` with null in the place of the values of these fields. All other values stay equal.

    With a locale, only the member of that locale is null. If the value was not localized yet when the version was
    made, all of it is: it is what the locale began with. Raises ContentError if `content` cannot be read.
    """
    if not fields:
        return content
    value = parse_value(content)
    is_changed = False
    # A stack of our own: contents are nested as deep as Python can read them, so nothing here may call itself.
    waiting: list[tuple[object, ModelId | None]] = [(value, model_id)]
    while waiting:
        one, owner = waiting.pop()
        if isinstance(one, list):
            waiting += ((item, None) for item in one)
        elif isinstance(one, dict):
            for each in fields:
                is_changed |= owner == each.model_id and _erase_member(one, each)
            block = block_model(one)
            waiting += ((item, block if name == "attributes" else None) for name, item in one.items())
    return canonical_value(value) if is_changed else content


def _erase_member(members: dict[str, object], field: ErasedField) -> bool:
    """Erase the field from the members of a record or block; return whether anything changed."""
    is_changed = False
    for key in field.keys & members.keys():
        value = members[key]
        if field.locale is None or not isinstance(value, dict):
            is_changed |= value is not None
            members[key] = None
        elif value.get(field.locale) is not None:
            value[field.locale] = None
            is_changed = True
    return is_changed
