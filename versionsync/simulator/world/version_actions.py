"""Writing versions of records: new ones, in place of others, and which of them is published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import (
    Cause,
    PublicationBegan,
    PublicationEnded,
    RecordDeleted,
    VersionDropped,
    VersionMade,
    VersionRewritten,
)
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.state import WorldState
from versionsync.simulator.world.validation import Validated

__all__ = ["VersionActions"]


class VersionActions(WorldState):
    """The steps that all actions on records consist of."""

    def _check_lock(self, editor: Editor, record: Record, *, saves: bool = True) -> None:
        """Raise ITEM_LOCKED if another editor has *record* open. *saves*: the action saves content."""
        if record.locked_by is None or record.locked_by.ref == editor.ref:
            return
        if saves or self.options.locks_forbid == "everything":
            raise ApiError("ITEM_LOCKED", item=record.id, locked_by=record.locked_by.id)

    def _save(
        self, where: Environment, record: Record, editor: Editor, saved: Validated, *, may_merge: bool = True
    ) -> Version:
        """Write *saved* as the current version: a new one, or within a burst in place of the last one."""
        now = self.now()
        burst = record.current if may_merge and self._continues_burst(record, editor, now) else None
        if burst is not None and self.options.merged_versions_keep_id:
            version = burst
            version.content, version.is_valid = saved.content, saved.is_valid
            if not self.options.merged_versions_keep_created_at:
                version.created_at = now
            self.event_log.write(
                VersionRewritten(now, where.id, version.id, saved.content, Cause.MERGED, version.created_at)
            )
        else:
            if burst is not None and burst.is_published:
                self._end_publication(where, record)
            version = Version(self.ids.new(), record, editor, now, saved.content, is_valid=saved.is_valid)
            owner, replaced = (record.id, record.model.id, editor.ref), burst.id if burst else None
            self.event_log.write(VersionMade(now, where.id, version.id, *owner, saved.content, replaces=replaced))
            if burst is not None:
                self._drop(where, record, burst)
            record.versions.append(version)
            where.versions[version.id] = version
            record.current = version
        record.updated_at = now
        record.sequence = self.next_sequence()
        if not record.model.draft_mode:
            self._make_live(where, record, version)
            record.published_at = now
        if (limit := self.options.versions_kept) is not None:
            self._expire(where, record, record.versions[:-limit])
        where.touch(now)
        return version

    def _continues_burst(self, record: Record, editor: Editor, now: datetime) -> bool:
        last, resolution = record.current, self.options.history_resolution
        if last is None or not resolution or last.editor.ref != editor.ref or now - last.created_at > resolution:
            return False
        # A version that was ever published in draft mode stays unchanged: people saw it.
        return not last.live or not record.model.draft_mode

    def _drop(self, where: Environment, record: Record, version: Version) -> None:
        """Remove *version*, which is not published; the caller has written the fact."""
        record.versions.remove(version)
        del where.versions[version.id]

    def _drop_deleted(self, where: Environment, record_id: str) -> bool:
        """Remove the versions of the deleted record with this id; return whether there was one."""
        deleted = where.deleted.pop(record_id, None)
        for version in deleted.versions if deleted is not None else ():
            del where.versions[version.id]
        return deleted is not None

    def _expire(self, where: Environment, record: Record, versions: Sequence[Version]) -> int:
        """Drop those of *versions* that are neither current nor published; return how many."""
        expired = [version for version in versions if not version.is_current and not version.is_published]
        for version in expired:
            self.event_log.write(VersionDropped(self.now(), where.id, version.id))
            self._drop(where, record, version)
        return len(expired)

    def expire_versions(self) -> int:
        """Drop the versions that are older than the plan keeps them; return how many."""
        days, dropped = self.options.history_retention_days, 0
        if days is None:
            return dropped
        oldest = self.now() - timedelta(days=days)
        for where in self.environments.values():
            for record in where.records.values():
                old = [version for version in record.versions if version.created_at < oldest]
                dropped += self._expire(where, record, old)
            where.touch(self.now(), moves_beacon=False)
        return dropped

    def _save_beside(self, where: Environment, record: Record, editor: Editor, content: bytes) -> Version:
        """Write *content* as a version that is not current, for publishing it."""
        now, owner = self.now(), (record.id, record.model.id, editor.ref)
        version = Version(self.ids.new(), record, editor, now, content)
        record.versions.append(version)
        where.versions[version.id] = version
        self.event_log.write(VersionMade(now, where.id, version.id, *owner, content, is_current=False))
        return version

    def _rewrite_version(self, where: Environment, version: Version, content: bytes, cause: Cause) -> None:
        """Replace the content of *version* in place."""
        version.content = content
        self.event_log.write(VersionRewritten(self.now(), where.id, version.id, content, cause, version.created_at))

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

    def _remove_record(self, where: Environment, record: Record, now: datetime) -> None:
        """Delete *record*, and its plans. Its versions are kept for the switch `deleted_versions_readable`."""
        del where.records[record.id]
        where.deleted[record.id] = record
        where.publications.pop(record.id, None)
        where.unpublishings.pop(record.id, None)
        record.is_deleted = True
        self.event_log.write(RecordDeleted(now, where.id, record.id))
