"""What editors do to records, one by one or many at once; and loading records with a ready-made past."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from versionsync.simulator.errors import ApiError, invalid_params
from versionsync.simulator.world import content as contents
from versionsync.simulator.world import ids
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import (
    Cause,
    Fact,
    PublicationBegan,
    PublicationEnded,
    RecordDeleted,
    RecordMade,
    VersionDropped,
    VersionMade,
    VersionRewritten,
)
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.publishing_actions import PublishingActions
from versionsync.simulator.world.records import Interval, LoadedVersion, Record, Version
from versionsync.simulator.world.state import NotificationType
from versionsync.simulator.world.validation import Attributes, Validated, Validator

__all__ = ["BulkResult", "RecordActions"]


BULK_LIMIT = 200
"""The maximum number of records of a bulk operation."""


class BulkResult(NamedTuple):
    """For how many records a bulk operation succeeded and failed."""

    successful: int
    failed: int


class RecordActions(PublishingActions):
    """Actions on records at the clock's time. They raise ApiError if upstream would refuse."""

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
        """Create a record with its first version. Without draft mode it is published at once.

        Args:
            editor: Who creates it.
            model: Its model, or the model's id or api_key.
            attributes: Its content.
            id: Its id, which may be that of a deleted record: then that record returns.
            created_at: The time of creation that the record claims.
            first_published_at: The time of its first publication that the record claims.
            creator: The creator that the record claims; None: *editor*.
            stage: Its stage; None: the first one of its workflow.
            environment: The id of the environment; None: the primary one.
        """
        where = self.environment(environment)
        model = where.model(model.id if isinstance(model, Model) else model)
        saved = self._prepare_new(where, model, attributes, self.ids)
        record_id = self.new_id(id, where.records)
        now = self.now()
        returns = self._drop_deleted(where, record_id)
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
            RecordMade(now, where.id, record_id, model.id, record.creator.ref, record.created_at, returns)
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

        *if_current*: the version that the editor saw last; if another is current now, raise STALE_ITEM_VERSION.
        A change of *stage* or *creator* alone creates no version.
        """
        where = self.environment(environment)
        record = where.record(record_id)
        if if_current is not None and if_current != record.head.id:
            raise ApiError("STALE_ITEM_VERSION", current_version=record.head.id, sent=if_current)
        before = self.before(where, record)
        validator = self._validator(where, record.model, self.ids)
        saved = None if attributes is None else validator.prepare(attributes, record=record)
        if stage is not None:
            record.stage = self._check_stage(where, record.model, stage)
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
        """Raise what `create` would raise for *attributes*. Nothing changes, not even the next id."""
        where = self.environment(environment)
        self._prepare_new(where, where.model(model.id if isinstance(model, Model) else model), attributes, ids.Ids())

    def check(self, record_id: str, attributes: Attributes, *, environment: str | None = None) -> None:
        """Raise what `update` would raise for *attributes*; nothing changes."""
        where = self.environment(environment)
        record = where.record(record_id)
        self._validator(where, record.model, ids.Ids()).prepare(attributes, record=record)

    def move_to_stage(self, editor: Editor, record_id: str, stage: str, *, environment: str | None = None) -> Record:
        """Move the record to another *stage* of its workflow. It changes neither versions nor `updated_at`."""
        return self.update(editor, record_id, stage=stage, environment=environment)

    def duplicate(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        """Create a record with the same content, except for the title and the ids of blocks."""
        where = self.environment(environment)
        source = where.record(record_id)
        if source.model.is_singleton:
            raise ApiError("ITEM_TYPE_IS_SINGLETON", model=source.model.id)
        return self.create(editor, source.model, self._duplicated(source), environment=where.id)

    def delete(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        """Delete the record with its versions. Raise DELETE_RESTRICTION if a link forbids it."""
        where = self.environment(environment)
        record = where.record(record_id)
        if linking := list(self._forbidding_deletion(where, record_id)):
            raise ApiError("DELETE_RESTRICTION", item_ids=linking)
        before = self.before(where, record)
        now = self.now()
        self._remove_record(where, record, now)
        where.touch(now, moves_beacon=self.options.deleting_moves_beacon)
        if record.published is not None:
            self.notify(NotificationType.UNPUBLISH, where, record)
        self.notify(NotificationType.DELETE, where, record, before)
        return record

    def restore(self, editor: Editor, version_id: str, *, environment: str | None = None) -> tuple[Record, Version]:
        """Write an old version's content as a new, current version; return the record and this version."""
        where = self.environment(environment)
        version = where.version(version_id)
        record = version.record
        before = self.before(where, record)
        self._save(where, record, editor, Validated(version.read(), version.is_valid), may_merge=False)
        self.notify(NotificationType.UPDATE, where, record, before)
        if not record.model.draft_mode:
            self.notify(NotificationType.PUBLISH, where, record)
        return record, record.head

    def references(self, record_id: str, *, environment: str | None = None) -> list[Record]:
        """Return the records whose current content has this one's id."""
        quoted, records = f'"{record_id}"'.encode(), self.environment(environment).records.values()
        return [record for record in records if record.id != record_id and quoted in record.head.read()]

    def publish_many(self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None) -> BulkResult:
        return _each(record_ids, lambda one: self.publish(editor, one, environment=environment))

    def unpublish_many(
        self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None
    ) -> BulkResult:
        return _each(record_ids, lambda one: self.unpublish(editor, one, environment=environment))

    def delete_many(self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None) -> BulkResult:
        return _each(record_ids, lambda one: self.delete(editor, one, environment=environment))

    def move_many_to_stage(
        self, editor: Editor, record_ids: Iterable[str], stage: str, *, environment: str | None = None
    ) -> BulkResult:
        return _each(record_ids, lambda one: self.move_to_stage(editor, one, stage, environment=environment))

    def load(
        self,
        model: Model,
        versions: Sequence[LoadedVersion],
        *,
        id: str | None = None,
        creator: Editor | None = None,
        created_at: datetime | None = None,
        deleted_at: datetime | None = None,
        environment: str | None = None,
    ) -> Record:
        """Load a record with its complete past: the fast way to a large world.

        It writes the facts that the actions would have written, in their order. Contents may be shared bytes or
        functions, so that a million versions fit. Nothing is validated except that one version is live at a time.

        Args:
            model: Its model.
            versions: Its versions in the order of time; the last is current, the live one is published.
            id: Its id, which may be that of a deleted record: then that record returns.
            creator: Its creator; None: the first version's editor.
            created_at: When it was created; None: with the first version.
            deleted_at: When it was deleted, if it was.
            environment: The id of the environment; None: the primary one.
        """
        where = self.environment(environment)
        if not versions:
            raise ApiError("INVALID_ATTRIBUTES", reason="a record has at least one version")
        first, last = versions[0], versions[-1]
        created = created_at or first.created_at
        record = Record(id or self.ids.new(), model, creator or first.editor, created, last.created_at)
        if record.id in where.records:
            raise ApiError("INVALID_ENTITY_ID", id=record.id, reason="taken")
        returns = self._drop_deleted(where, record.id)
        facts: list[Fact] = [RecordMade(created, where.id, record.id, model.id, record.creator.ref, created, returns)]
        live: list[tuple[Interval, Version]] = []
        for past in versions:
            version = Version(past.id or self.ids.new(), record, past.editor, past.created_at, past.content, past.live)
            facts.append(
                VersionMade(past.created_at, where.id, version.id, record.id, model.id, past.editor.ref, past.content)
            )
            record.versions.append(version)
            where.versions[version.id] = version
            live += [(interval, version) for interval in past.live]
        record.current = record.versions[-1]
        record.sequence = self.next_sequence()
        # A publication ends before the next one begins, also at the same time.
        publications: list[Fact] = []
        for (began, ended), version in sorted(live, key=lambda one: one[0][0]):
            if record.published is not None:
                raise ApiError("INVALID_ATTRIBUTES", reason="two versions live at once", record=record.id)
            record.first_published_at = record.first_published_at or began
            publications.append(PublicationBegan(began, where.id, version.id))
            if ended is None:
                record.published, record.published_at = version, began
            else:
                publications.append(PublicationEnded(ended, where.id, version.id))
        for fact in sorted([*facts, *publications], key=lambda fact: fact.at) if publications else facts:
            self.event_log.write(fact)
        where.touch(max(fact.at for fact in (*facts, *publications)))
        if deleted_at is None:
            where.records[record.id] = record
        else:
            where.deleted[record.id] = record
            record.is_deleted = True
            self.event_log.write(RecordDeleted(deleted_at, where.id, record.id))
            where.touch(deleted_at)
        return record

    def _forbidding_deletion(self, where: Environment, record_id: str) -> Iterator[str]:
        """Yield the ids of the records with a link to this one that forbids to delete it.

        Records of models without such a field are not read: a large project has many of them.
        """
        quoted = f'"{record_id}"'.encode()
        keys_of = {
            id: [field.api_key for field in model.fields.values() if field.forbids_deletion]
            for id, model in where.models.items()
        }
        for record in where.records.values():
            keys = keys_of.get(record.model.id)
            if keys and record.id != record_id and quoted in (text := record.head.read()):
                members = contents.split(text)
                if any(quoted in bytes(members.get(key, b"")) for key in keys):
                    yield record.id

    def _prepare_new(self, where: Environment, model: Model, attributes: Attributes, new_ids: ids.Ids) -> Validated:
        """Return the content of a new record of *model*; its blocks get ids from *new_ids*."""
        if model.is_block:
            raise ApiError("INVALID_ATTRIBUTES", reason="blocks exist only within records", model=model.id)
        if model.is_singleton and any(record.model is model for record in where.records.values()):
            raise ApiError("DUPLICATE_SINGLETON", model=model.id)
        return self._validator(where, model, new_ids).prepare(attributes)

    def _validator(self, where: Environment, model: Model, new_ids: ids.Ids) -> Validator:
        return Validator(where, model, new_ids.new, names_paths=self.options.block_problems_name == "path")

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

    def _first_stage(self, where: Environment, model: Model) -> str | None:
        return where.workflows[model.workflow_id].stages[0] if model.workflow_id else None

    def _check_stage(self, where: Environment, model: Model, stage: str) -> str:
        if model.workflow_id is None or stage not in where.workflows[model.workflow_id].stages:
            raise ApiError("INVALID_ATTRIBUTES", stage=stage, model=model.id)
        return stage

    def _duplicated(self, record: Record) -> bytes:
        members = contents.split(record.head.read())
        title = record.model.title_key
        if title is not None and title in members:
            members[title] = contents.raw(_duplicate_title(contents.load(members[title])))
        for key in record.model.block_keys:
            if key in members:
                members[key] = contents.raw(_with_new_ids(contents.load(members[key]), self.ids))
        return contents.join(members)


def _duplicate_title(title: Json) -> Json:
    """Return the *title* of a duplicate, in each locale; an empty one stays empty."""
    match title:
        case str() if title:
            return f"{title} (duplicate)"
        case dict():
            return {locale: _duplicate_title(inner) for locale, inner in title.items()}
        case _:
            return title


def _with_new_ids(value: Json, new_ids: ids.Ids) -> Json:
    if isinstance(value, list):
        return [_with_new_ids(inner, new_ids) for inner in value]
    if isinstance(value, dict):
        renewed = {key: _with_new_ids(inner, new_ids) for key, inner in value.items()}
        return renewed | {"id": new_ids.new()} if contents.is_block(value) else renewed
    return value


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
