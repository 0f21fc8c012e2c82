"""The same act on many records: each succeeds or fails for itself, as upstream's bulk operations do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from versionsync.simulator.errors import ApiError, invalid_params
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.record_actions import RecordActions

__all__ = ["BULK_LIMIT", "BulkActions", "BulkResult"]

BULK_LIMIT = 200
"""The most records that one bulk operation takes."""


class BulkResult(NamedTuple):
    """How many of the records an operation reached."""

    successful: int
    failed: int


class BulkActions(RecordActions):
    """The bulk operations; at most `BULK_LIMIT` ids each."""

    def publish_many(self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None) -> BulkResult:
        """Publish each record that can be published."""
        return _each(record_ids, lambda one: self.publish(editor, one, environment=environment))

    def unpublish_many(
        self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None
    ) -> BulkResult:
        """Unpublish each record that can be unpublished."""
        return _each(record_ids, lambda one: self.unpublish(editor, one, environment=environment))

    def delete_many(self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None) -> BulkResult:
        """Delete each record that can be deleted."""
        return _each(record_ids, lambda one: self.delete(editor, one, environment=environment))

    def move_many_to_stage(
        self, editor: Editor, record_ids: Iterable[str], stage: str, *, environment: str | None = None
    ) -> BulkResult:
        """Move each record whose workflow has *stage* there."""
        return _each(record_ids, lambda one: self.move_to_stage(editor, one, stage, environment=environment))


def _each(record_ids: Iterable[str], act: Callable[[str], object]) -> BulkResult:
    wanted = list(record_ids)
    if len(wanted) > BULK_LIMIT:
        raise invalid_params("items", f"at most {BULK_LIMIT} records at once")
    successful = 0
    for record_id in wanted:
        try:
            act(record_id)
        except ApiError:
            continue
        successful += 1
    return BulkResult(successful, len(wanted) - successful)
