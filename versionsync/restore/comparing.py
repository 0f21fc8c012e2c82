"""Whether upstream has a content that was sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from versionsync.history.diff.model import Json
from versionsync.ledger.content import canonical_value
from versionsync.ledger.sameness import same_value

__all__ = ["holds"]

_OF_BLOCK: Final = frozenset({"id", "meta"})


def holds(sent: Json, got: Json) -> bool:
    """Return whether `got` is `sent` as upstream keeps it.

    Upstream may add members that were not sent, such as the defaults of a block or of a file. It may print a time in
    another form, and may give blocks other ids.
    """
    if isinstance(sent, Mapping):
        if not isinstance(got, Mapping):
            return False
        left_out = _OF_BLOCK if sent.get("type") == "item" else frozenset()
        return all(
            (name in got and holds(value, got[name])) or (name not in got and value is None)
            for name, value in sent.items()
            if name not in left_out
        )
    if isinstance(sent, list):
        return isinstance(got, list) and len(sent) == len(got) and all(map(holds, sent, got))
    if isinstance(sent, str) and isinstance(got, str):
        return sent == got or same_value(canonical_value(sent), canonical_value(got))
    return canonical_value(sent) == canonical_value(got)
