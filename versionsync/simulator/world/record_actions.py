"""What editors do to records: create, update, duplicate, delete, restore, move through a workflow."""

from __future__ import annotations

from datetime import datetime, timedelta

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world import content as contents
from versionsync.simulator.world import ids
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import (
    Cause,
    RecordDeleted,
    RecordMade,
    VersionDropped,
    VersionMade,
    VersionRewritten,
)
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.publishing_actions import PublishingActions
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.state import NotificationType
from versionsync.simulator.world.validation import Attributes, Validated, Validator

__all__ = ["RecordActions"]


class RecordActions(PublishingActions):
    """The acts on single records, done by an editor at the clock's time. They raise Refused where upstream would."""

    def create(
        self,
        editor: Editor,
        model: Model | str,
        attributes: Attributes,
        *,
        id: str | None = None,
        created_at: datetime | None = None,
        first_published_at: datetime | None = None,
        creator: Editor | None = None,
        stage: str | None = None,
        environment: str | None = None,
    ) -> Record:
        """A new record of *model* (or its id or api_key), with its first version.

        *id* may be that of a deleted record, which then returns. *created_at*, *first_published_at* and *creator* are
        what the record is to claim. Without draft mode it is published at once.
        """
        where = self.environment(environment)
        model = where.model(model.id if isinstance(model, Model) else model)
        saved = self._prepared(where, model, attributes, self.ids)
        record_id = self._free_record_id(where, id)
        now = self.now()
        returned = where.deleted.pop(record_id, None)
        if returned is not None:
            for version in returned.versions:
                del where.versions[version.id]
        record = Record(
            record_id,
            model,
            creator or editor,
            created_at or now,
            now,
            first_published_at=first_published_at,
            stage=stage or self._first_stage(where, model),
        )
        self.event_log.write(
            RecordMade(now, where.id, record_id, model.id, record.creator.ref, record.created_at, returned is not None)
        )
        where.records[record_id] = record
        self._save(where, record, editor, saved)
        self.notify(NotificationType.CREATE, where, record)
        if not model.draft_mode:
            self.notify(NotificationType.PUBLISH, where, record)
        return record

    def update(
        self,
        editor: Editor,
        record_id: str,
        attributes: Attributes | None = None,
        *,
        if_current: str | None = None,
        stage: str | None = None,
        creator: Editor | None = None,
        environment: str | None = None,
    ) -> Record:
        """Save *attributes* as the record's new current version; only what is sent changes.

        *if_current*: the version that the editor saw last; when another is current by now, STALE_ITEM_VERSION. *stage*
        and *creator* alone make no version.
        """
        where = self.environment(environment)
        record = where.record(record_id)
        if if_current is not None and if_current != record.head.id:
            raise ApiError("STALE_ITEM_VERSION", details={"current_version": record.head.id, "sent": if_current})
        before = self.before(where, record)
        saved = (
            None
            if attributes is None
            else self._saving(where, record.model, self.ids).prepare(attributes, record=record)
        )
        if stage is not None:
            record.stage = self._known_stage(where, record.model, stage)
        record.creator = creator or record.creator
        if saved is not None:
            self._save(where, record, editor, saved)
        else:
            record.sequence = self.next_sequence()
            where.touch(self.now())
        self.notify(NotificationType.UPDATE, where, record, before)
        if saved is not None and not record.model.draft_mode:
            self.notify(NotificationType.PUBLISH, where, record)
        return record

    def check_new(self, model: Model | str, attributes: Attributes, *, environment: str | None = None) -> None:
        """Raise what `create` would refuse *attributes* for; nothing changes, not even which id comes next."""
        where = self.environment(environment)
        self._prepared(where, where.model(model.id if isinstance(model, Model) else model), attributes, ids.Ids())

    def check(self, record_id: str, attributes: Attributes, *, environment: str | None = None) -> None:
        """Raise what `update` would refuse *attributes* for; nothing changes."""
        where = self.environment(environment)
        record = where.record(record_id)
        self._saving(where, record.model, ids.Ids()).prepare(attributes, record=record)

    def move_to_stage(self, editor: Editor, record_id: str, stage: str, *, environment: str | None = None) -> Record:
        """Move the record to another *stage* of its workflow; neither a version nor `updated_at` tells of it."""
        return self.update(editor, record_id, stage=stage, environment=environment)

    def duplicate(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        """Another record with the same content, but for its title, which says so; its blocks get ids of their own."""
        where = self.environment(environment)
        source = where.record(record_id)
        if source.model.is_singleton:
            raise ApiError("ITEM_TYPE_IS_SINGLETON", details={"model": source.model.id})
        return self.create(editor, source.model, self._duplicated(source), environment=where.id)

    def delete(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        """Delete the record, with its versions. A link that must not dangle: DELETE_RESTRICTION."""
        where = self.environment(environment)
        record = where.record(record_id)
        linking = [other.id for other in self.references(record_id, environment=where.id, forbidding_deletion=True)]
        if linking:
            raise ApiError("DELETE_RESTRICTION", details={"item_ids": linking})
        before = self.before(where, record)
        now = self.now()
        del where.records[record_id]
        where.deleted[record_id] = record
        where.publications.pop(record_id, None)
        where.unpublishings.pop(record_id, None)
        record.is_deleted = True
        self.event_log.write(RecordDeleted(now, where.id, record_id))
        where.touch(now, moves_beacon=self.options.deleting_moves_beacon)
        if record.published is not None:
            self.notify(NotificationType.UNPUBLISH, where, record)
        self.notify(NotificationType.DELETE, where, record, before)
        return record

    def restore(self, editor: Editor, version_id: str, *, environment: str | None = None) -> tuple[Record, Version]:
        """Write an old version's content as a new, current version; both come back."""
        where = self.environment(environment)
        version = where.version(version_id)
        record = version.record
        before = self.before(where, record)
        self._save(where, record, editor, Validated(version.read(), version.is_valid), may_merge=False)
        self.notify(NotificationType.UPDATE, where, record, before)
        if not record.model.draft_mode:
            self.notify(NotificationType.PUBLISH, where, record)
        return record, record.head

    def references(
        self, record_id: str, *, environment: str | None = None, forbidding_deletion: bool = False
    ) -> list[Record]:
        """The records whose current content links to this one; *forbidding_deletion*: through a field that says so."""
        where = self.environment(environment)
        quoted = f'"{record_id}"'.encode()
        return [
            record
            for record in where.records.values()
            if record.id != record_id
            and quoted in record.head.read()
            and (not forbidding_deletion or _forbids_deletion(record, quoted))
        ]

    def _prepared(self, where: Environment, model: Model, attributes: Attributes, supply: ids.Ids) -> Validated:
        """What a new record of *model* would be made of; its blocks get ids from *supply*."""
        if model.is_block:
            raise ApiError(
                "INVALID_ATTRIBUTES", details={"reason": "blocks exist only within records", "model": model.id}
            )
        if model.is_singleton and any(record.model is model for record in where.records.values()):
            raise ApiError("DUPLICATE_SINGLETON", details={"model": model.id})
        return self._saving(where, model, supply).prepare(attributes)

    def _saving(self, where: Environment, model: Model, supply: ids.Ids) -> Validator:
        return Validator(where, model, supply.new, names_paths=self.options.block_problems_name == "path")

    def _save(
        self, where: Environment, record: Record, editor: Editor, saved: Validated, *, may_merge: bool = True
    ) -> Version:
        """Write *saved* as the current version: a new one, or, within a burst, in place of the last."""
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
                self._go_dark(where, record)
            version = Version(self.ids.new(), record, editor, now, saved.content, is_valid=saved.is_valid)
            self.event_log.write(
                VersionMade(
                    now, where.id, version.id, record.id, record.model.id, editor.ref, saved.content,
                    replaces=burst.id if burst else None,
                )
            )  # fmt: skip
            if burst is not None:
                self._forget(where, record, burst)
            record.versions.append(version)
            where.versions[version.id] = version
            record.current = version
        record.updated_at = now
        record.sequence = self.next_sequence()
        if not record.model.draft_mode:
            self._go_live(where, record, version)
            record.published_at = now
        self._keep_only_so_many(where, record)
        where.touch(now)
        return version

    def _continues_burst(self, record: Record, editor: Editor, now: datetime) -> bool:
        last, resolution = record.current, self.options.history_resolution
        if last is None or not resolution or last.editor.ref != editor.ref or now - last.created_at > resolution:
            return False
        # What was ever live under draft mode stays as it was: people saw it.
        return not last.live or not record.model.draft_mode

    def _forget(self, where: Environment, record: Record, version: Version) -> None:
        """Take *version*, which is not live, out of the world; whoever calls has written the fact."""
        record.versions.remove(version)
        del where.versions[version.id]

    def _keep_only_so_many(self, where: Environment, record: Record) -> None:
        limit = self.options.versions_kept
        for version in [] if limit is None else record.versions[:-limit]:
            if not version.is_current and not version.is_published:
                self.event_log.write(VersionDropped(self.now(), where.id, version.id))
                self._forget(where, record, version)

    def expire_versions(self) -> int:
        """Drop the versions that are older than the plan keeps them; return how many."""
        days, dropped = self.options.history_retention_days, 0
        if days is None:
            return dropped
        oldest = self.now() - timedelta(days=days)
        for where in self.environments.values():
            for record in where.records.values():
                for version in [version for version in record.versions if version.created_at < oldest]:
                    if not version.is_current and not version.is_published:
                        self.event_log.write(VersionDropped(self.now(), where.id, version.id))
                        self._forget(where, record, version)
                        dropped += 1
            where.touch(self.now(), moves_beacon=False)
        return dropped

    def _free_record_id(self, where: Environment, wanted: str | None) -> str:
        if wanted is None:
            return self.ids.new()
        if not ids.is_valid(wanted):
            raise ApiError("INVALID_ENTITY_ID", details={"id": wanted})
        if wanted in where.records:
            raise ApiError("INVALID_ENTITY_ID", details={"id": wanted, "reason": "taken"})
        return wanted

    def _first_stage(self, where: Environment, model: Model) -> str | None:
        return where.workflows[model.workflow_id].stages[0] if model.workflow_id else None

    def _known_stage(self, where: Environment, model: Model, stage: str) -> str:
        if model.workflow_id is None or stage not in where.workflows[model.workflow_id].stages:
            raise ApiError("INVALID_ATTRIBUTES", details={"stage": stage, "model": model.id})
        return stage

    def _duplicated(self, record: Record) -> bytes:
        """The content of a duplicate of *record*."""
        members = contents.split(record.head.read())
        title = record.model.title_key
        if title is not None and title in members:
            members[title] = contents.raw(_marked(contents.load(members[title])))
        for key in record.model.block_keys:
            if key in members:
                members[key] = contents.raw(_renew_ids(contents.load(members[key]), self.ids))
        return contents.join(members)


def _marked(title: Json) -> Json:
    """The *title* of a duplicate, in each locale; an empty one stays empty."""
    match title:
        case str() if title:
            return f"{title} (duplicate)"
        case dict():
            return {locale: _marked(inner) for locale, inner in title.items()}
        case _:
            return title


def _renew_ids(value: Json, supply: ids.Ids) -> Json:
    if isinstance(value, list):
        return [_renew_ids(inner, supply) for inner in value]
    if isinstance(value, dict):
        renewed = {key: _renew_ids(inner, supply) for key, inner in value.items()}
        return renewed | {"id": supply.new()} if contents.is_block(value) else renewed
    return value


def _forbids_deletion(record: Record, quoted: bytes) -> bool:
    members = contents.split(record.head.read())
    return any(
        (field.validators.get(rule) or {}).get("on_reference_delete_strategy") == "fail"
        and quoted in bytes(members.get(field.api_key, b""))
        for field in record.model.fields.values()
        for rule in ("item_item_type", "items_item_type")
    )
