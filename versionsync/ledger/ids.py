"""Ids as DatoCMS makes them: URL-safe base64 of a UUID, or a decimal number in old projects."""

from __future__ import annotations

import re
from binascii import a2b_base64
from typing import NewType
from uuid import UUID

__all__ = ["ModelId", "RecordId", "VersionId", "uuid_of"]

RecordId = NewType("RecordId", str)
VersionId = NewType("VersionId", str)
ModelId = NewType("ModelId", str)

# 16 bytes leave four bits of the last letter unused: with them set, two ids would be one UUID.
_UUID_ID = re.compile("[A-Za-z0-9_-]{21}[AQgw]")


def uuid_of(id: str) -> UUID | None:
    """The UUID that `id` spells, or None for an id of another form (a number of an old project)."""
    if not _UUID_ID.fullmatch(id):
        return None
    return UUID(bytes=a2b_base64(id.replace("-", "+").replace("_", "/") + "=="))
