"""A record's fingerprint: what shows that it changed without its versions being read."""

from __future__ import annotations

from hashlib import sha256

from versionsync.ledger.content import canonical
from versionsync.ledger.records import Editor

__all__ = ["fingerprint"]


def fingerprint(meta: bytes, *, model_id: str, creator: Editor | None) -> bytes:
    """32 bytes that change with anything in a record's `meta` (JSON as sent), its model or its creator.

    All of the meta counts, members that are unknown today included: which act of an editor moves which of them is
    not promised anywhere. Raises ContentError if `meta` is no JSON.
    """
    who = f"{creator.type}:{creator.id}" if creator else ""
    return sha256(b"\n".join((canonical(meta), model_id.encode(), who.encode()))).digest()
