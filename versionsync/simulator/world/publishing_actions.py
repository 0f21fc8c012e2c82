"""Publishing and unpublishing: by an editor at once, or by the clock at a planned time."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from datetime import datetime
from typing import NamedTuple

from versionsync.simulator.errors import ApiError, invalid_params, not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.environments import Environment, Scheduled
from versionsync.simulator.world.event_log import Cause
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.records import Record, Selection, Version
from versionsync.simulator.world.reference_actions import ReferenceActions
from versionsync.simulator.world.state import NotificationType

__all__ = ["BulkResult", "PublishingActions", "checked_ids", "each"]

BULK_LIMIT = 200
"""The maximum number of records of a bulk operation."""


class BulkResult(NamedTuple):
    """For how many records a bulk operation succeeded and failed."""

    successful: int
    failed: int


class PublishingActions(ReferenceActions):
    """Publishing and unpublishing. These actions do nothing without draft mode, which publishes on every save."""

    def publish(
        self,
        editor: Editor,
        record_id: str,
        selection: Selection | None = None,
        *,
        recursive: bool = False,
        environment: str | None = None,
    ) -> Record:
        """Publish the current version; with a *selection* only that part of it, over the published version.

        Nothing changes if it is published already. In a tree, an unpublished parent raises UNPUBLISHED_PARENT, or is
        published too (*recursive*). A link to an unpublished record raises UNPUBLISHED_LINK, or publishes it too.
        """
        where = self.environment(environment)
        return self._publish(editor, where, where.record(record_id), selection, recursive=recursive)

    def publish_many(self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None) -> BulkResult:
        """Publish the records. The switch `bulk_publishes_together` decides about links between them."""
        where, wanted = self.environment(environment), checked_ids(record_ids)
        if not self.options.bulk_publishes_together:
            return each(wanted, lambda one: self.publish(editor, one, environment=where.id))
        together = {id: where.records[id] for id in wanted if id in where.records}
        while failing := [
            id for id, record in together.items() if not self._can_publish(editor, where, record, together)
        ]:
            for id in failing:
                del together[id]

        def publish(record_id: str) -> None:
            if record_id not in together:
                raise not_found("item", record_id)
            self._publish(editor, where, together[record_id], None, together=together)

        return each(wanted, publish)

    def _can_publish(self, editor: Editor, where: Environment, record: Record, together: Container[str]) -> bool:
        try:
            where.record(record.id)
            self._check_lock(editor, record, saves=False)
            self._plan_publication(where, record, record.head.read(), together=together)
        except ApiError:
            return False
        return True

    def _plan_publication(
        self,
        where: Environment,
        record: Record,
        content: bytes,
        *,
        recursive: bool = False,
        together: Container[str] = (),
    ) -> list[Record]:
        """Return the records to publish before *content* of *record*. Raise ApiError if it cannot be published."""
        if not record.model.draft_mode or content is (record.published.content if record.published else None):
            return []
        needed = self._needed_to_publish(where, record, content, recursive=recursive, together=together)
        self._check_publishable(where, record, content)
        return needed

    def _publish(
        self,
        editor: Editor,
        where: Environment,
        record: Record,
        selection: Selection | None,
        *,
        recursive: bool = False,
        together: Container[str] = (),
    ) -> Record:
        if not record.model.draft_mode:
            return record
        self._check_lock(editor, record, saves=False)
        content = record.head.read() if selection is None else _selected_content(record, selection)
        for needed in self._plan_publication(where, record, content, recursive=recursive, together=together):
            self._publish_version(where, needed, needed.head)
        if selection is None:
            self._publish_version(where, record, record.head)
        else:
            self._publish_content(editor, where, record, content)
        return record

    def _publish_version(self, where: Environment, record: Record, version: Version) -> None:
        before = self.before(where, record)
        if version is not record.published:
            self._make_live(where, record, version)
            self._touch_published(where, record)
        self.notify(NotificationType.PUBLISH, where, record, before)

    def _publish_content(self, editor: Editor, where: Environment, record: Record, content: bytes) -> None:
        """Publish a part of *record*: what its published version has then."""
        before = self.before(where, record)
        old = record.published.content if record.published else None
        version = self._version_with(where, record, editor, content)
        if version is not record.published or version.content is not old:
            self._make_live(where, record, version)
            self._touch_published(where, record)
        self.notify(NotificationType.PUBLISH, where, record, before)

    def unpublish(
        self,
        editor: Editor,
        record_id: str,
        locales: frozenset[str] | None = None,
        *,
        recursive: bool = False,
        environment: str | None = None,
    ) -> Record:
        """Unpublish the record; with *locales* only those, and the rest stays published.

        In a tree, published children raise PUBLISHED_CHILDREN, or are unpublished too (*recursive*). Published records
        that link to it raise PUBLISHED_REFERENCES, are unpublished too, or lose the link, as their fields say.
        """
        where = self.environment(environment)
        record = where.record(record_id)
        if not record.model.draft_mode or record.published is None:
            return record
        self._check_lock(editor, record, saves=False)
        remaining = frozenset(record.published.locales) - locales if locales else frozenset()
        if remaining:
            return self._unpublish_locales(editor, where, record, remaining)
        ended, trimmed = self._to_unpublish(where, [record.id], recursive=recursive)
        for other in trimmed:
            for one in ended:
                self._check_still_valid(where, other, one.id, "PUBLISHED_REFERENCES")
        for one in reversed(ended):
            before = self.before(where, one)
            self._end_publication(where, one)
            self._touch_published(where, one, moves_beacon=self.options.unpublishing_moves_beacon)
            self.notify(NotificationType.UNPUBLISH, where, one, before)
        for other in trimmed if self.options.deleted_links != "kept" else ():
            for one in ended:
                self._remove_links(editor, where, other, one.id, published_only=True)
        return record

    def _unpublish_locales(
        self, editor: Editor, where: Environment, record: Record, remaining: frozenset[str]
    ) -> Record:
        """Unpublish everything of *record* but its *remaining* locales."""
        before, published = self.before(where, record), record.published
        if published is not None:
            removed = frozenset(published.locales) - remaining
            content = contents.without_locale(published.read(), record.model.localized_keys, removed)
            self._make_live(where, record, self._version_with(where, record, editor, content))
        self._touch_published(where, record, moves_beacon=self.options.unpublishing_moves_beacon)
        self.notify(NotificationType.UNPUBLISH, where, record, before)
        return record

    def _version_with(self, where: Environment, record: Record, editor: Editor, content: bytes) -> Version:
        """Return the version that selective publishing makes live: the current one if it has the same *content*."""
        head, published, loaded = record.head, record.published, contents.load(content)
        if loaded == contents.load(head.read()):
            return head
        if published is not None and loaded == contents.load(published.read()):
            return published
        if published is not None and not self.options.selective_publish_makes_version and not published.is_current:
            self._rewrite_version(where, published, content, Cause.SELECTIVE_PUBLISHING)
            return published
        return self._save_beside(where, record, editor, content)

    def schedule_publication(
        self,
        editor: Editor,
        record_id: str,
        at: datetime,
        selection: Selection | None = None,
        *,
        as_sent: str | None = None,
        environment: str | None = None,
    ) -> Record:
        """Publish the record (or a *selection* of it) at *at*; this replaces an earlier plan.

        *as_sent*: the text of *at* in the request.
        """
        return self._schedule(Scheduled(at, record_id, True, selection, editor, as_sent), environment)

    def schedule_unpublishing(
        self,
        editor: Editor,
        record_id: str,
        at: datetime,
        locales: frozenset[str] | None = None,
        *,
        as_sent: str | None = None,
        environment: str | None = None,
    ) -> Record:
        """Unpublish the record (or some *locales* of it) at *at*; this replaces an earlier plan.

        *as_sent*: the text of *at* in the request.
        """
        selection = None if locales is None else Selection(locales)
        return self._schedule(Scheduled(at, record_id, False, selection, editor, as_sent), environment)

    def cancel_publication(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        return self._cancel(record_id, "scheduled_publication", environment)

    def cancel_unpublishing(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        return self._cancel(record_id, "scheduled_unpublishing", environment)

    def tick(self) -> int:
        """Carry out the plans that are due, each at its planned time; return how many there were."""
        carried_out = 0
        now = self.now()
        while True:
            due = [
                (plan.at, where.id, plan)
                for where in self.environments.values()
                for plans in (where.publications, where.unpublishings)
                for plan in plans.values()
                if plan.at <= now
            ]
            if not due:
                return carried_out
            _, environment_id, plan = min(due, key=lambda one: one[0])
            with self.acting_at(plan.at):
                self._carry_out(self.environments[environment_id], plan)
            carried_out += 1

    def _schedule(self, plan: Scheduled, environment: str | None) -> Record:
        where = self.environment(environment)
        record = where.record(plan.record_id)
        if plan.at <= self.now():
            raise ApiError("INVALID_DATE", at=plan.at.isoformat(), reason="not in the future")
        before = self.before(where, record)
        _set_plan(where, record, plan, publishes=plan.publishes)
        record.sequence = self.next_sequence()
        where.touch(self.now())
        self.notify(NotificationType.UPDATE, where, record, before)
        return record

    def _cancel(self, record_id: str, entity: str, environment: str | None) -> Record:
        where = self.environment(environment)
        record = where.record(record_id)
        if _set_plan(where, record, None, publishes=entity == "scheduled_publication") is None:
            raise not_found(entity, record_id)
        where.touch(self.now())
        return record

    def _carry_out(self, where: Environment, plan: Scheduled) -> None:
        record = where.records[plan.record_id]
        editor = plan.editor or record.creator
        beacon_before = list(where.changes)
        _set_plan(where, record, None, publishes=plan.publishes)
        where.touch(self.now(), moves_beacon=False)  # the plan is removed, even if the action changes nothing
        try:
            if plan.publishes:
                self.publish(editor, record.id, plan.selection, recursive=True, environment=where.id)
            else:
                locales = plan.selection.locales if plan.selection else None
                self.unpublish(editor, record.id, locales, recursive=True, environment=where.id)
        except ApiError:
            where.touch(self.now())  # an invalid record, or one that became a block, stays unchanged
        if not self.options.schedules_move_beacon:
            where.changes = beacon_before


def _selected_content(record: Record, selection: Selection) -> bytes:
    """Return what the published version of *record* has after *selection* is published."""
    published = record.published
    members = contents.take_locales(
        contents.split(published.read()) if published else None,
        contents.split(record.head.read()),
        localized=record.model.localized_keys,
        locales=selection.locales,
        others=selection.non_localized,
    )
    return contents.join(members)


def _set_plan(where: Environment, record: Record, plan: Scheduled | None, *, publishes: bool) -> Scheduled | None:
    """Replace the plan to publish *record*, or to unpublish it, by *plan*; return the previous one."""
    plans = where.publications if publishes else where.unpublishings
    before = plans.pop(record.id, None)
    if plan is not None:
        plans[record.id] = plan
    at = None if plan is None else plan.at
    if publishes:
        record.publication_scheduled_at = at
    else:
        record.unpublishing_scheduled_at = at
    return before


def checked_ids(record_ids: Iterable[str]) -> list[str]:
    """Return the ids of a bulk operation. Raise ApiError (422) if there are too many."""
    wanted = list(record_ids)
    if len(wanted) > BULK_LIMIT:
        raise invalid_params("items", f"at most {BULK_LIMIT} records at once")
    return wanted


def each(record_ids: Iterable[str], act: Callable[[str], object]) -> BulkResult:
    """Do *act* for each record; those for which it raises ApiError failed."""
    wanted, successful = checked_ids(record_ids), 0
    for record_id in wanted:
        try:
            act(record_id)
        except ApiError:
            continue
        successful += 1
    return BulkResult(successful, len(wanted) - successful)
