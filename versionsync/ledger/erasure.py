"""What was erased on request, and what is left of a content then. Pure.

An erasure is about a whole record, about one field of its model or of a block model, or about what contents say of an
upload: its alternative text, its title and its custom data. It is in force until it is lifted. After that, it still
holds for the versions that the mirror had by then: what was erased stays erased.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from versionsync.ledger.content import canonical_value, parse_value
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.sameness import block_model

__all__ = ["NOTHING", "ErasedField", "Erasure", "Erasures", "erase_content"]

NOTHING: Final = b"{}"
"""The content of a version of an erased record."""
SAID_OF_FILES: Final = ("alt", "title", "custom_data")
"""The members of a file in a content that describe it."""


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
        upload_id: Only what a content says of this upload.
    """

    field: ErasedField | None
    versions: frozenset[VersionId] | None = None
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class Erasures:
    """The erasures of a source: by record, and the uploads of which no content may say anything."""

    by_record: Mapping[RecordId, Sequence[Erasure]] = field(default_factory=dict)
    uploads: Sequence[str] = ()

    def of(self, record_id: RecordId, version_id: VersionId) -> list[Erasure]:
        """Return those that hold for a version."""
        found = self.by_record.get(record_id, ())
        return [one for one in found if one.versions is None or version_id in one.versions]

    def erased(self, record_id: RecordId, version_id: VersionId, model_id: ModelId, content: bytes) -> bytes:
        """Return what may be kept of the content of a version. Raises ContentError if that cannot be read."""
        found = self.of(record_id, version_id)
        found += [Erasure(None, upload_id=id) for id in self.uploads if id.encode() in content]
        return erase_content(content, model_id, found)


def erase_content(content: bytes, model_id: ModelId, erasures: Iterable[Erasure]) -> bytes:
    """Return `content` (JSON text of a record of this model) without what these erasures are about."""
    fields, uploads = [], set[str]()
    for one in erasures:
        if one.upload_id is not None:
            uploads.add(one.upload_id)
        elif one.field is None:
            return NOTHING
        else:
            fields.append(one.field)
    return _erase_parts(content, model_id, fields, uploads)


def _erase_parts(content: bytes, model_id: ModelId, fields: Sequence[ErasedField], uploads: Collection[str]) -> bytes:
    """Return `content` with null in the place of the values of these fields, and of what it says of these uploads.

    All other values stay equal.

    With a locale, only the member of that locale is null. If the value was not localized yet when the version was
    made, all of it is: it is what the locale began with. Raises ContentError if `content` cannot be read.
    """
    if not fields and not uploads:
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
            if uploads and one.get("upload_id") in uploads:
                is_changed |= _erase_description(one)
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


def _erase_description(file: dict[str, object]) -> bool:
    """Erase what a content says of a file; return whether anything changed. Its id and focal point stay."""
    is_changed = False
    for name in SAID_OF_FILES:
        if value := file.get(name):
            file[name] = {} if isinstance(value, dict) else None
            is_changed = True
    return is_changed
