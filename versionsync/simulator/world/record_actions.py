"""What editors do to records, one by one or many at once; and loading records with a ready-made past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world import content as contents
from versionsync.simulator.world import ids
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.environments import Environment, Scheduled
from versionsync.simulator.world.event_log import (
    Cause,
    Fact,
    PublicationBegan,
    PublicationEnded,
    RecordDeleted,
    RecordMade,
    VersionMade,
)
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.publishing_actions import BulkResult, PublishingActions, each
from versionsync.simulator.world.records import Interval, LoadedMeta, LoadedVersion, Record, Version
from versionsync.simulator.world.state import NotificationType
from versionsync.simulator.world.validation import Attributes, Validated, Validator

__all__ = ["RecordActions"]


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
        record = Record(
            record_id,
            model,
            creator or editor,
            created_at or now,
            now,
            first_published_at=first_published_at,
            stage=self._first_stage(where, model) if stage is None else self._check_stage(where, model, stage),
        )
        self._publish_needed(where, record, saved)
        returns = self._drop_deleted(where, record_id)
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
        If another editor has locked the record, raise ITEM_LOCKED. A change of *stage* or *creator* alone creates no
        version.
        """
        where = self.environment(environment)
        record = self._unlocked(where, editor, record_id, if_current)
        before = self.before(where, record)
        validator = self._validator(where, record.model, self.ids)
        saved = None if attributes is None else validator.prepare(attributes, record=record)
        if saved is not None:
            self._publish_needed(where, record, saved)
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

    def check_new(
        self, model: Model | str, attributes: Attributes, *, id: str | None = None, environment: str | None = None
    ) -> None:
        """Raise what `create` would raise for *attributes*. Nothing changes, not even the next id."""
        where = self.environment(environment)
        model = where.model(model.id if isinstance(model, Model) else model)
        saved = self._prepare_new(where, model, attributes, ids.Ids())
        if id is not None:
            self.new_id(id, where.records)
        self._needed_at_save(where, Record(id or "", model, self.api, self.now(), self.now()), saved)

    def check(
        self,
        editor: Editor,
        record_id: str,
        attributes: Attributes,
        *,
        if_current: str | None = None,
        environment: str | None = None,
    ) -> None:
        """Raise what `update` would raise for *attributes*; nothing changes."""
        where = self.environment(environment)
        record = self._unlocked(where, editor, record_id, if_current)
        saved = self._validator(where, record.model, ids.Ids()).prepare(attributes, record=record)
        self._needed_at_save(where, record, saved)

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
        self._check_lock(editor, record, saves=False)
        linking = self._check_deletion(where, record_id)
        self._settle_children(editor, where, record)
        before = self.before(where, record)
        for other in linking:
            self._remove_links(editor, where, other, record_id)
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
        self._check_lock(editor, record)
        before, restored = self.before(where, record), Validated(version.read(), version.is_valid)
        self._publish_needed(where, record, restored)
        self._save(where, record, editor, restored, may_merge=False)
        self.notify(NotificationType.UPDATE, where, record, before)
        if not record.model.draft_mode:
            self.notify(NotificationType.PUBLISH, where, record)
        return record, record.head

    def references(self, record_id: str, *, environment: str | None = None) -> list[Record]:
        """Return the records whose current content has this one's id."""
        quoted, records = f'"{record_id}"'.encode(), self.environment(environment).records.values()
        return [record for record in records if record.id != record_id and quoted in record.head.read()]

    def unpublish_many(
        self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None
    ) -> BulkResult:
        return each(record_ids, lambda one: self.unpublish(editor, one, environment=environment))

    def delete_many(self, editor: Editor, record_ids: Iterable[str], *, environment: str | None = None) -> BulkResult:
        return each(record_ids, lambda one: self.delete(editor, one, environment=environment))

    def move_many_to_stage(
        self, editor: Editor, record_ids: Iterable[str], stage: str, *, environment: str | None = None
    ) -> BulkResult:
        return each(record_ids, lambda one: self.move_to_stage(editor, one, stage, environment=environment))

    def load(
        self,
        model: Model,
        versions: Sequence[LoadedVersion],
        *,
        id: str | None = None,
        creator: Editor | None = None,
        created_at: datetime | None = None,
        deleted_at: datetime | None = None,
        meta: LoadedMeta | None = None,
        environment: str | None = None,
    ) -> Record:
        """Load a record with its complete past: the fast way to a large world.

        It writes the facts that the actions would have written, in their order. Contents may be shared bytes or
        functions, so that a million versions fit. Nothing is validated except that one version is live at a time.

        Args:
            model: Its model.
            versions: Its versions in the order of time; the live one is published.
            id: Its id, which may be that of a deleted record: then that record returns.
            creator: Its creator; None: the first version's editor.
            created_at: When it was created; None: with the first version.
            deleted_at: When it was deleted, if it was.
            meta: What it claims; None: what follows from its versions. Then the last one is current.
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
            version = Version(
                past.id or self.ids.new(), record, past.editor, past.created_at, past.content, past.live, past.is_valid
            )
            owner, is_current = (record.id, model.id, past.editor.ref), record.current is None
            facts.append(VersionMade(past.created_at, where.id, version.id, *owner, past.content, is_current))
            record.versions.append(version)
            where.versions[version.id] = version
            live += [(interval, version) for interval in past.live]
            if meta is not None and meta.current == version.id:
                record.current = version  # what follows was only published
        record.current = record.current or record.versions[-1]
        record.sequence = self.next_sequence()
        # A publication ends before the next one begins, also at the same time.
        publications: list[Fact] = []
        for (began, ended), version in sorted(live, key=lambda one: (one[0][0], one[0][1] is None)):
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
        if meta is not None:
            self._claim(where, record, meta)
        if deleted_at is None:
            where.records[record.id] = record
        else:
            where.deleted[record.id] = record
            record.is_deleted = True
            self.event_log.write(RecordDeleted(deleted_at, where.id, record.id))
            where.touch(deleted_at)
        return record

    def lock(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        """Let *editor* open the record: until `unlock`, others cannot save it."""
        record = self.environment(environment).record(record_id)
        self._check_lock(editor, record)
        record.locked_by = editor
        return record

    def unlock(self, editor: Editor, record_id: str, *, environment: str | None = None) -> Record:
        """Let others save the record again; any editor can do this."""
        record = self.environment(environment).record(record_id)
        record.locked_by = None
        return record

    def _claim(self, where: Environment, record: Record, meta: LoadedMeta) -> None:
        record.updated_at = meta.updated_at or record.updated_at
        record.published_at, record.first_published_at = meta.published_at, meta.first_published_at
        record.stage = meta.stage
        if (at := meta.publication_scheduled_at) is not None and at > self.now():
            record.publication_scheduled_at = at
            where.publications[record.id] = Scheduled(at, record.id, True, editor=record.creator)
        if (at := meta.unpublishing_scheduled_at) is not None and at > self.now():
            record.unpublishing_scheduled_at = at
            where.unpublishings[record.id] = Scheduled(at, record.id, False, editor=record.creator)

    def _unlocked(self, where: Environment, editor: Editor, record_id: str, if_current: str | None) -> Record:
        """Return the record that *editor* wants to save. Raise ApiError if it moved on, or is locked."""
        record = where.record(record_id)
        if if_current is not None and if_current != record.head.id:
            raise ApiError("STALE_ITEM_VERSION", current_version=record.head.id, sent=if_current)
        self._check_lock(editor, record)
        return record

    def _settle_children(self, editor: Editor, where: Environment, record: Record) -> None:
        """Do what the switch `deleted_parents` says to the records below *record* in a tree."""
        children = [one for one in where.records.values() if record.model.tree and one.parent_id == record.id]
        match self.options.deleted_parents:
            case "refused" if children:
                raise ApiError("DELETE_RESTRICTION", item_ids=[child.id for child in children])
            case "deleted":
                for child in children:
                    self.delete(editor, child.id, environment=where.id)
            case "roots":
                for child in children:
                    for version in child.shown_versions:
                        members = contents.split(version.read()) | {"parent_id": contents.raw(None)}
                        self._rewrite_version(where, version, contents.join(members), Cause.PARENT_REMOVED)

    def _needed_at_save(self, where: Environment, record: Record, saved: Validated) -> list[Record]:
        """Return what must be published before *saved* content: a model without draft mode publishes it at once."""
        return [] if record.model.draft_mode else self._needed_to_publish(where, record, saved.content)

    def _publish_needed(self, where: Environment, record: Record, saved: Validated) -> None:
        for needed in self._needed_at_save(where, record, saved):
            self._publish_version(where, needed, needed.head)

    def _prepare_new(self, where: Environment, model: Model, attributes: Attributes, new_ids: ids.Ids) -> Validated:
        """Return the content of a new record of *model*; its blocks get ids from *new_ids*."""
        if model.is_block:
            raise ApiError("INVALID_ATTRIBUTES", reason="blocks exist only within records", model=model.id)
        if model.is_singleton and any(record.model is model for record in where.records.values()):
            raise ApiError("DUPLICATE_SINGLETON", model=model.id)
        return self._validator(where, model, new_ids).prepare(attributes)

    def _validator(self, where: Environment, model: Model, new_ids: ids.Ids) -> Validator:
        return Validator(where, model, new_ids.new, self.options)

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
