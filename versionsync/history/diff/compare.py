"""Compare two contents field by field, locale by locale and block by block."""

from __future__ import annotations

from collections.abc import Mapping

from versionsync.history.diff.model import ABSENT, Change, ChangeKind, ContentDiff, Json, Operation, Place
from versionsync.history.diff.schema import Schema

__all__ = ["compare"]


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
    old, new = before or {}, after or {}
    fields = schema.of_model(model_id)
    keys = [*fields, *sorted((old.keys() | new.keys()) - fields.keys())]
    changes = []
    for key in keys:
        a, b = old.get(key, ABSENT), new.get(key, ABSENT)
        if a is b or a == b:
            continue
        known = fields.get(key)
        field_id = known.id if known else None
        place = Place(field=key, field_id=field_id, record_field=key, record_field_id=field_id, model_id=model_id)
        is_added, is_removed = a in (ABSENT, None), b in (ABSENT, None)
        operation = Operation.ADDED if is_added else Operation.REMOVED if is_removed else Operation.CHANGED
        at: tuple[tuple[str | int, ...], ...] = ((key,),)
        changes.append(
            Change(
                place=place,
                kind=ChangeKind.ATTRIBUTE,
                operation=operation,
                before=a,
                after=b,
                sources=at if a is not ABSENT else (),
                targets=at if b is not ABSENT else (),
            )
        )
    operation_of_all = (
        Operation.ADDED
        if before is None
        else Operation.REMOVED
        if after is None
        else Operation.CHANGED
        if changes
        else None
    )
    return ContentDiff(changes=tuple(changes), operation=operation_of_all)
