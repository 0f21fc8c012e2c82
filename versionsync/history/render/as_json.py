"""A diff for programs: an object for each change, whose members are named as the columns of `changes` are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from versionsync.history.diff.model import ABSENT, Change, Json, Place, Span, SpanOperation, pointer
from versionsync.history.render.words import Names

__all__ = ["rows_of"]


def rows_of(
    changes: Iterable[Change],
    names: Names,
    *,
    source: str,
    record_id: str,
    previous_version_id: str | None,
    version_id: str | None,
    created_at: datetime | None,
) -> Iterator[dict[str, Any]]:
    """Yield an object for each change.

    `before` and `after` are missing if there was no value. Each span names the version that it comes from: that
    before the change for what was removed or stayed, that after it for what was added or has other formatting.

    A block that was moved to another list or field has two objects: one at its place before, with `moved_to`, and one
    at its place after, with `moved_from`.

    Args:
        changes: The changes of a diff.
        names: The titles of the records that spans point to.
        source: The name of the source.
        record_id: The record.
        previous_version_id: The version before. None: there is none.
        version_id: The version after. None: there is none.
        created_at: When it was made.
    """
    for number, change in enumerate(changes, start=1):
        place = change.place
        row: dict[str, Any] = {
            "source": source,
            "record_id": record_id,
            "previous_version_id": previous_version_id,
            "version_id": version_id,
            "created_at": created_at,
            "number": number,
            "model_id": place.model_id,
            "field_id": place.field_id,
            "field": place.field,
            "record_field": place.record_field,
            "locale": place.locale,
            "block_id": place.block_id,
            "block_path": "/".join(place.block_path) if place.block_path else None,
            "member": pointer(place.member),
            "kind": change.kind.value,
            "operation": change.operation.value,
            "restructuring": change.restructuring.value if change.restructuring else None,
            "words_added": change.words_added,
            "words_removed": change.words_removed,
            "is_limited": change.is_limited,
            "sources": [pointer(path) for path in change.sources],
            "targets": [pointer(path) for path in change.targets],
        }
        if change.before is not ABSENT:
            row["before"] = change.before
        if change.after is not ABSENT:
            row["after"] = change.after
        for name, home in (("moved_to", change.moved_to), ("moved_from", change.moved_from)):
            if home is not None:
                row[name] = _home(home)
        row["spans"] = [_span(span, names, previous_version_id, version_id) for span in change.spans]
        yield row


def _home(place: Place) -> dict[str, Json]:
    """The list or field that a block was moved to or from."""
    return {
        "field": place.field,
        "record_field": place.record_field,
        "locale": place.locale,
        "block_path": "/".join(place.block_path) if place.block_path else None,
    }


def _span(span: Span, names: Names, previous_version_id: str | None, version_id: str | None) -> dict[str, Json]:
    is_new = span.operation in (SpanOperation.ADDED, SpanOperation.FORMATTED)
    found: dict[str, Json] = {
        "operation": span.operation.value,
        "text": span.text,
        "version_id": version_id if is_new or previous_version_id is None else previous_version_id,
    }
    if span.marks:
        found["marks"] = sorted(span.marks)
    if span.link is not None:
        found["link"] = span.link
    if span.record_id is not None:
        found |= {"record_id": span.record_id, "title": names.titles.get(span.record_id)}
    if span.node is not None:
        found["node"] = span.node
    if span.is_border:
        found["is_border"] = True
    if span.operation is SpanOperation.FORMATTED:
        found["marks_before"] = sorted(span.marks_before or ())
        found["link_before"] = span.link_before
        found["record_id_before"] = span.record_id_before
    return found
