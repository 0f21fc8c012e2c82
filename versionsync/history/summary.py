"""What a version changed, in a few words: `title (it), body +12 −3 words, cover added`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from versionsync.history.model import FieldChange, Version

__all__ = ["changes_in_words", "version_in_words"]

TEXT: Final = "text"
FORMATTING: Final = "formatting"


@dataclass(slots=True)
class _Field:
    """All changes of one field of the record, or of one field of its blocks."""

    locales: dict[str, None] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)
    added: int = 0
    removed: int = 0


def version_in_words(version: Version) -> str:
    """Return what a version changed, in words. The first version is `created`."""
    if version.changes is None:
        return "not computed yet"
    if version.is_first:
        return "created"
    return ", ".join(changes_in_words(version.changes)) or "saved without a change"


def changes_in_words(changes: Sequence[FieldChange]) -> list[str]:
    """Return a few words for each field that changed, those with most changed words first."""
    found: dict[tuple[str, bool], _Field] = {}
    for change in changes:
        one = found.setdefault((change.field, change.block_id is not None), _Field())
        if change.locale is not None:
            one.locales[change.locale] = None
        one.kinds.add(change.kind)
        one.operations.add(change.operation)
        one.added += change.words_added
        one.removed += change.words_removed
    ordered = sorted(found.items(), key=lambda item: -(item[1].added + item[1].removed))
    return [_words(name, one, in_block=in_block) for (name, in_block), one in ordered]


def _words(name: str, one: _Field, *, in_block: bool) -> str:
    parts = [name]
    if in_block:
        parts.append("in a block")
    if one.locales:
        parts.append(f"({', '.join(one.locales)})")
    if one.operations in ({"added"}, {"removed"}, {"moved"}):
        parts += one.operations
    elif one.kinds == {FORMATTING}:
        parts.append("formatting")
    elif TEXT in one.kinds and one.added + one.removed > 1:
        numbers = [f"+{one.added}"] * bool(one.added) + [f"−{one.removed}"] * bool(one.removed)
        parts.append(f"{' '.join(numbers)} words")
    return " ".join(parts)
