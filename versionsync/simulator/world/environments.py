"""One environment: its models, records and versions, and copies of it."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from versionsync.simulator.errors import ApiError, named, not_found
from versionsync.simulator.world.models import Field, Fieldset, Model, Workflow
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.records import Record, Selection, Version
from versionsync.simulator.world.uploads import Upload

__all__ = ["Environment", "Scheduled"]

CHANGES_KEPT: Final = 2_000
"""How many times of changes are kept: enough for a delayed beacon."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A planned action: publish a record (or a selection of it), or unpublish it (or some locales)."""

    at: datetime
    record_id: str
    publishes: bool
    selection: Selection | None = None
    editor: Editor | None = None
    """The editor who planned it: a selection may be written as a version, and a version has an editor."""
    as_sent: str | None = None
    """The text of *at* in the request; answers about the plan repeat it."""


@dataclass(slots=True, eq=False)
class Environment:
    id: str
    created_at: datetime
    locales: list[str]
    is_primary: bool = False
    forked_from: str | None = None
    ready_at: datetime | None = None
    """When a fork is finished; None: this is no unfinished fork."""
    is_read_only: bool = False
    """Writes are refused, as while a fast fork runs."""
    models: dict[str, Model] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    deleted: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    publications: dict[str, Scheduled] = field(default_factory=dict)
    unpublishings: dict[str, Scheduled] = field(default_factory=dict)
    revision: int = 0
    """Rises with each change; what was computed for an older revision is stale."""
    changes: list[datetime] = field(default_factory=list)
    """The times of data changes that `last_data_change_at` still needs."""
    previous_schema: Environment | None = None
    """This environment with the schema before its last change, for old answers."""
    remembered: Environment | None = None
    """This environment as it was at `World.remember`, for lagging answers."""

    def model(self, key: str) -> Model:
        """Return the model with this id or api_key. Raise ApiError (404)."""
        if found := self.find_model(key):
            return found
        raise not_found("item_type", key)

    def find_model(self, key: str) -> Model | None:
        """Return the model with this id or api_key, if any."""
        return self.models.get(key) or next((model for model in self.models.values() if model.api_key == key), None)

    def field(self, field_id: str) -> Field:
        """Return the field with this id. Raise ApiError (404)."""
        return named("field", field_id, ChainMap(*(model.fields for model in self.models.values())))

    def fieldset(self, fieldset_id: str) -> Fieldset:
        """Return the fieldset with this id. Raise ApiError (404)."""
        return named("fieldset", fieldset_id, ChainMap(*(model.fieldsets for model in self.models.values())))

    def record(self, record_id: str) -> Record:
        """Return the record with this id. Raise ApiError (404), also if it was deleted or became a block."""
        record = self.records.get(record_id)
        if record is None or record.model.is_block:
            raise not_found("item", record_id)
        return record

    def version(self, version_id: str, *, of_deleted: bool = False) -> Version:
        """Return the version with this id. Raise ApiError (404)."""
        version = self.versions.get(version_id)
        if version is None or (version.record.is_deleted and not of_deleted) or version.record.model.is_block:
            raise not_found("item_version", version_id)
        return version

    def status(self, now: datetime) -> str:
        """Return `creating` while a fork runs, then `ready`."""
        return "creating" if self.ready_at and now < self.ready_at else "ready"

    def check_ready(self, now: datetime) -> None:
        """Raise ENVIRONMENT_NOT_READY while the fork of this environment runs."""
        if self.status(now) != "ready":
            raise ApiError("ENVIRONMENT_NOT_READY", environment=self.id)

    def touch(self, at: datetime, *, moves_beacon: bool = True) -> None:
        """Record a change at *at*."""
        self.revision += 1
        if moves_beacon:
            self.changes.append(at)
            if len(self.changes) > CHANGES_KEPT:
                self.changes = sorted(self.changes)[-CHANGES_KEPT // 2 :]

    def last_data_change_at(self, now: datetime, delay: timedelta) -> datetime:
        """Return the beacon: when the latest change that is older than *delay* became visible."""
        seen = [at for at in self.changes if at + delay <= now]
        latest = max(seen) if seen else None
        self.changes = ([] if latest is None else [latest]) + [at for at in self.changes if at + delay > now]
        return self.created_at if latest is None else latest + delay

    def fork(
        self, environment_id: str, at: datetime, new_id: Callable[[], str] | None
    ) -> tuple[Environment, dict[str, str] | None]:
        """Return a copy with the id *environment_id*, created at *at*.

        Its versions get ids from *new_id*; the second result maps old to new ids. Without *new_id* they keep theirs.
        """
        forked = self._copy(
            id=environment_id,
            created_at=at,
            is_primary=False,
            is_read_only=False,
            forked_from=self.id,
            models={id: model.copy() for id, model in self.models.items()},
            records={},
            deleted={},
            versions={},
            workflows=dict(self.workflows),
            uploads=dict(self.uploads),
            publications=dict(self.publications),
            unpublishings=dict(self.unpublishings),
            changes=[],
        )
        renamed = self._copy_records(forked, new_id)
        return forked, renamed if new_id is not None else None

    def save_schema(self, changing: Model | None = None) -> None:
        """Keep the current schema before it changes; *changing*: the model that will change."""
        changed = {} if changing is None else {changing.id: changing.copy()}
        self.previous_schema = self._copy(models={**self.models, **changed})

    def remember(self) -> None:
        snapshot = self._copy(records={}, versions={})
        self._copy_records(snapshot, None)
        self.remembered = snapshot

    def _copy(self, **changes: Any) -> Environment:
        """Return a copy with *changes*, and without the earlier states."""
        own: dict[str, Any] = {"locales": list(self.locales), "changes": list(self.changes)}
        return replace(self, previous_schema=None, remembered=None, **(own | changes))

    def lagging(self, record_ids: frozenset[str] | None) -> Environment:
        """Return this environment with the remembered state of all records, or of those in *record_ids*."""
        old = self.remembered
        if old is None or record_ids is None:
            return old or self
        records = {id: record for id, record in self.records.items() if id not in record_ids}
        records |= {id: old.records[id] for id in record_ids if id in old.records}
        return replace(self, records=records)

    def _copy_records(self, target: Environment, new_id: Callable[[], str] | None) -> dict[str, str]:
        """Copy all records and versions to *target*, and return the new ids of versions by the old ones."""
        renamed: dict[str, str] = {}
        for record in self.records.values():
            copied = replace(
                record, model=target.models[record.model.id], versions=[], current=None, published=None, locked_by=None
            )
            target.records[copied.id] = copied
            for version in record.versions:
                copy = replace(version, record=copied)
                if new_id is not None:
                    copy.id = renamed[version.id] = new_id()
                copied.versions.append(copy)
                target.versions[copy.id] = copy
                if version.is_current:
                    copied.current = copy
                if version.is_published:
                    copied.published = copy
        return renamed
