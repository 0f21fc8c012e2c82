"""The passages that a version added or removed, as rows of the projection `search`. Pure."""

from __future__ import annotations

from typing import Final

from versionsync.history.projections.changes import VersionContent, comparable
from versionsync.history.projections.titles import storable
from versionsync.history.search.passages import Passage, changed_passages, passage_hash
from versionsync.history.search.patterns import MOST_WORDS
from versionsync.history.search.words import LONGEST_WORD, fold, words_of
from versionsync.mirror.tables.passages import PassageRow

__all__ = ["passages_of"]

PIECE: Final = 250
"""Words of a part of a passage. PostgreSQL keeps at most 255 places of one word in a row."""
LONGEST_PATH: Final = 1000


def passages_of(after: VersionContent, before: VersionContent | None) -> list[PassageRow]:
    """Return the passages that `after` added and removed. `before` is the version before it; None: it is the first."""
    if before is not None and before.hash == after.hash:
        return []
    former, latter, schema = comparable(after, before)
    added, removed = changed_passages(former, latter, schema, after.model_id)
    rows = [_row(after, number, one, is_added=True) for number, one in enumerate(added, start=1)]
    rows += (_row(after, number, one, is_added=False) for number, one in enumerate(removed, start=len(rows) + 1))
    return rows


def _row(version: VersionContent, number: int, passage: Passage, *, is_added: bool) -> PassageRow:
    place, text = passage.place, passage.text
    pieces: list[list[str]] = []
    are_plain = False
    if is_added:
        words = words_of(fold(text))
        pieces = _pieces(words)
        are_plain = len(pieces) == 1 and text.isascii() and all(len(word) < LONGEST_WORD for word in words)
    return PassageRow(
        version_id=version.version_id,
        number=number,
        record_id=version.record_id,
        model_id=version.model_id,
        created_at=version.created_at,
        record_field=storable(place.record_field),
        field_id=place.field_id,
        field=storable(place.field),
        locale=None if place.locale is None else storable(place.locale),
        block_path=storable("/".join(place.block_path), LONGEST_PATH) if place.block_path else None,
        hash=passage_hash(passage),
        text=text if is_added else None,
        pieces=pieces,
        are_plain=are_plain,
    )


def _pieces(words: list[str]) -> list[list[str]]:
    """Cut words into parts, each of which has the words of a phrase that begins in it."""
    step = PIECE - MOST_WORDS
    return [words[start : start + PIECE] for start in range(0, max(len(words) - MOST_WORDS, 1), step)]
