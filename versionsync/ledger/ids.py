"""Ids as DatoCMS makes them: URL-safe base64 of a UUID, or a decimal number in old projects."""

from __future__ import annotations

import base64
from typing import NewType
from uuid import UUID

__all__ = ["ModelId", "RecordId", "VersionId", "uuid_of"]

RecordId = NewType("RecordId", str)
VersionId = NewType("VersionId", str)
ModelId = NewType("ModelId", str)

UUID_ID_LENGTH = 22
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_LAST = frozenset(
    "AQgw"
)  # 16 bytes leave four bits of the last letter unused: with them set, two ids would be one UUID


def uuid_of(id: str) -> UUID | None:
    """The UUID that `id` spells, or None for an id of another form (a number of an old project)."""
    if len(id) != UUID_ID_LENGTH or not _ALPHABET.issuperset(id) or id[-1] not in _LAST:
        return None
    return UUID(bytes=base64.urlsafe_b64decode(id + "=="))
