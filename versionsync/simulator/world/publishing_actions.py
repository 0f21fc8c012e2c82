"""Publishing and unpublishing: by an editor at once, or by the clock at a planned time."""

from __future__ import annotations

from datetime import datetime

from versionsync.simulator.errors import ApiError, not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.environments import Environment, Scheduled
from versionsync.simulator.world.event_log import (
    Cause,
    PublicationBegan,
    PublicationEnded,
    RecordDeleted,
    VersionMade,
    VersionRewritten,
)
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.records import Record, Selection, Version
from versionsync.simulator.world.state import NotificationType, WorldState

__all__ = ["PublishingActions"]


class PublishingActions(WorldState):
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
        published too (*recursive*).
        """
        where = self.environment(environment)
        record = where.record(record_id)
        if not record.model.draft_mode:
            return record
        self._publish_parent(editor, where, record, recursive=recursive)
        before = self.before(where, record)
        content = record.published.content if record.published else None
        if not record.head.is_valid and selection is None:
            raise ApiError("INVALID_FIELD", code="VALIDATION_INVALID", item=record_id)
        version = record.head if selection is None else self._selected_version(where, record, editor, selection)
        if version is not record.published or version.content is not content:
            self._make_live(where, record, version)
            self._touch_published(where, record)
        self.notify(NotificationType.PUBLISH, where, record, before)
        return record

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

        In a tree, published children raise PUBLISHED_CHILDREN, or are unpublished too (*recursive*).
        """
        where = self.environment(environment)
        record = where.record(record_id)
        if not record.model.draft_mode or record.published is None:
            return record
        self._unpublish_children(editor, where, record, recursive=recursive)
        before = self.before(where, record)
        remaining = frozenset(record.published.locales) - locales if locales else frozenset()
        if remaining:
            self._make_live(
                where, record, self._selected_version(where, record, editor, Selection(remaining), reduces=True)
            )
        else:
            self._end_publication(where, record)
        self._touch_published(where, record, moves_beacon=self.options.unpublishing_moves_beacon)
        self.notify(NotificationType.UNPUBLISH, where, record, before)
        return record

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

    def _make_live(self, where: Environment, record: Record, version: Version) -> None:
        if record.published is version:
            return
        live_since = record.published_at
        self._end_publication(where, record)
        now = self.now()
        version.live = (*version.live, (now, None))
        record.published = version
        moves = live_since is None or self.options.republishing_moves_published_at
        record.published_at = now if moves else live_since
        record.first_published_at = record.first_published_at or now
        self.event_log.write(PublicationBegan(now, where.id, version.id))

    def _end_publication(self, where: Environment, record: Record) -> None:
        if (version := record.published) is None:
            return
        now = self.now()
        version.live = (*version.live[:-1], (version.live[-1][0], now))
        record.published = None
        record.published_at = None
        self.event_log.write(PublicationEnded(now, where.id, version.id))

    def _touch_published(self, where: Environment, record: Record, *, moves_beacon: bool = True) -> None:
        now = self.now()
        record.sequence = self.next_sequence()
        if self.options.publishing_moves_updated_at:
            record.updated_at = now
        where.touch(now, moves_beacon=moves_beacon)

    def _selected_version(
        self, where: Environment, record: Record, editor: Editor, selection: Selection, *, reduces: bool = False
    ) -> Version:
        """Return the version that selective publishing makes live: the current one if it has the same content."""
        head, published = record.head, record.published
        localized = record.model.localized_keys
        if reduces and published is not None:
            removed = frozenset(published.locales) - selection.locales
            mixed = contents.without_locale(published.read(), localized, removed)
        else:
            members = contents.take_locales(
                contents.split(published.read()) if published else None,
                contents.split(head.read()),
                localized=localized,
                locales=selection.locales,
                others=selection.non_localized,
            )
            mixed = contents.join(members)
        if contents.load(mixed) == contents.load(head.read()):
            return head
        if published is not None and contents.load(mixed) == contents.load(published.read()):
            return published
        if published is not None and not self.options.selective_publish_makes_version and not published.is_current:
            published.content = mixed
            self.event_log.write(
                VersionRewritten(
                    self.now(), where.id, published.id, mixed, Cause.SELECTIVE_PUBLISHING, published.created_at
                )
            )
            return published
        now, owner = self.now(), (record.id, record.model.id, editor.ref)
        version = Version(self.ids.new(), record, editor, now, mixed)
        record.versions.append(version)
        where.versions[version.id] = version
        self.event_log.write(VersionMade(now, where.id, version.id, *owner, mixed, is_current=False))
        return version

    def _remove_record(self, where: Environment, record: Record, now: datetime) -> None:
        """Delete *record*, and its plans. Its versions are kept for the switch `deleted_versions_readable`."""
        del where.records[record.id]
        where.deleted[record.id] = record
        where.publications.pop(record.id, None)
        where.unpublishings.pop(record.id, None)
        record.is_deleted = True
        self.event_log.write(RecordDeleted(now, where.id, record.id))

    def _parent_id(self, record: Record) -> str | None:
        if not record.model.tree:
            return None
        parent = contents.split(record.head.read()).get("parent_id")
        return None if parent is None else contents.load(parent)

    def _publish_parent(self, editor: Editor, where: Environment, record: Record, *, recursive: bool) -> None:
        parent = where.records.get(self._parent_id(record) or "")
        if parent is None or parent.published is not None:
            return
        if not recursive:
            raise ApiError("UNPUBLISHED_PARENT", item=record.id, parent=parent.id)
        self.publish(editor, parent.id, recursive=True, environment=where.id)

    def _unpublish_children(self, editor: Editor, where: Environment, record: Record, *, recursive: bool) -> None:
        if not record.model.tree:
            return
        for child in list(where.records.values()):
            if child.model is record.model and child.published is not None and self._parent_id(child) == record.id:
                if not recursive:
                    raise ApiError("PUBLISHED_CHILDREN", item=record.id, child=child.id)
                self.unpublish(editor, child.id, recursive=True, environment=where.id)


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
