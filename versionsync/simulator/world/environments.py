"""One environment: its models, records and versions, and how it is copied when it is forked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from versionsync.simulator.errors import ApiError, not_found
from versionsync.simulator.world.models import Field, Fieldset, Model, Workflow
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.records import Record, Selection, Version
from versionsync.simulator.world.uploads import Upload

__all__ = ["Environment", "Scheduled"]

CHANGES_KEPT: Final = 2_000
"""How many times of changes are remembered: plenty for a beacon that notices late."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Something that the clock will do: publish a record (or a selection of it), or unpublish it (or some locales)."""

    at: datetime
    record_id: str
    publishes: bool
    selection: Selection | None = None
    editor: Editor | None = None
    """Who planned it: a selection may be written as a version, and versions name somebody."""
    as_sent: str | None = None
    """The text of *at* in the request that planned it; the plan itself is printed with this text."""


@dataclass(slots=True, eq=False)
class Environment:
    """The state of one environment."""

    id: str
    created_at: datetime
    locales: list[str]
    is_primary: bool = False
    forked_from: str | None = None
    ready_at: datetime | None = None
    """When a fork is finished; None: it always was."""
    models: dict[str, Model] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    deleted: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    publications: dict[str, Scheduled] = field(default_factory=dict)
    unpublishings: dict[str, Scheduled] = field(default_factory=dict)
    revision: int = 0
    """Rises with each change; what was computed for an older one is stale."""
    changes: list[datetime] = field(default_factory=list)
    """When data changed, as far as `last_data_change_at` still has to say so."""
    former_schema: Environment | None = None
    """This environment with the schema before its last change, for answers that are old."""
    remembered: Environment | None = None
    """This environment as it was at `World.remember`, for answers that lag behind."""

    def model(self, key: str) -> Model:
        """The model with this id or api_key. Raises Refused (404)."""
        if found := self.find_model(key):
            return found
        raise not_found("item_type", key)

    def find_model(self, key: str) -> Model | None:
        """The model with this id or api_key, if there is one."""
        return self.models.get(key) or next((model for model in self.models.values() if model.api_key == key), None)

    def field(self, field_id: str) -> Field:
        """The field with this id. Raises Refused (404)."""
        for model in self.models.values():
            if field_id in model.fields:
                return model.fields[field_id]
        raise not_found("field", field_id)

    def fieldset(self, fieldset_id: str) -> Fieldset:
        """The fieldset with this id. Raises Refused (404)."""
        for model in self.models.values():
            if fieldset_id in model.fieldsets:
                return model.fieldsets[fieldset_id]
        raise not_found("fieldset", fieldset_id)

    def record(self, record_id: str) -> Record:
        """The record with this id, unless it was deleted, or is a block by now. Raises Refused (404)."""
        record = self.records.get(record_id)
        if record is None or record.model.is_block:
            raise not_found("item", record_id)
        return record

    def version(self, version_id: str, *, of_deleted: bool = False) -> Version:
        """The version with this id. Raises Refused (404)."""
        version = self.versions.get(version_id)
        if version is None or (version.record.is_deleted and not of_deleted) or version.record.model.is_block:
            raise not_found("item_version", version_id)
        return version

    def status(self, now: datetime) -> str:
        """`creating` while a fork runs, then `ready`."""
        return "creating" if self.ready_at and now < self.ready_at else "ready"

    def demand_ready(self, now: datetime) -> None:
        """Raise ENVIRONMENT_NOT_READY while the fork that makes this environment runs."""
        if self.status(now) != "ready":
            raise ApiError("ENVIRONMENT_NOT_READY", details={"environment": self.id})

    def touch(self, at: datetime, *, moves_beacon: bool = True) -> None:
        """Note that something in here changed at *at*."""
        self.revision += 1
        if moves_beacon:
            self.changes.append(at)
            if len(self.changes) > CHANGES_KEPT:
                self.changes = sorted(self.changes)[-CHANGES_KEPT // 2 :]

    def last_data_change_at(self, now: datetime, delay: timedelta) -> datetime:
        """The beacon: the latest change that has had *delay* to be noticed, as the moment of its being noticed."""
        seen = [at for at in self.changes if at + delay <= now]
        latest = max(seen) if seen else None
        self.changes = ([] if latest is None else [latest]) + [at for at in self.changes if at + delay > now]
        return self.created_at if latest is None else latest + delay

    def fork(
        self, environment_id: str, at: datetime, new_id: Callable[[], str] | None
    ) -> tuple[Environment, dict[str, str] | None]:
        """A copy called *environment_id*, made at *at*.

        Its versions get ids from *new_id*, and the map from old to new comes back; without *new_id* they keep theirs.
        """
        models = deepcopy(self.models)
        forked = replace(
            self,
            id=environment_id,
            created_at=at,
            locales=list(self.locales),
            is_primary=False,
            forked_from=self.id,
            models=models,
            records={},
            deleted={},
            versions={},
            workflows=dict(self.workflows),
            uploads=dict(self.uploads),
            publications=dict(self.publications),
            unpublishings=dict(self.unpublishings),
            changes=[],
            former_schema=None,
            remembered=None,
        )
        renamed = self._copy_records(forked, models, new_id)
        return forked, renamed if new_id is not None else None

    def keep_schema(self, changing: Model | None = None) -> None:
        """Keep the schema as it is, because it is about to change: *changing* is the model that will."""
        models = dict(self.models)
        if changing is not None:
            models[changing.id] = deepcopy(changing)
        self.former_schema = replace(
            self,
            models=models,
            locales=list(self.locales),
            changes=list(self.changes),
            former_schema=None,
            remembered=None,
        )

    def remember(self) -> None:
        """Keep the records as they are, for `lagging`."""
        snapshot = replace(
            self,
            locales=list(self.locales),
            records={},
            versions={},
            changes=list(self.changes),
            former_schema=None,
            remembered=None,
        )
        self._copy_records(snapshot, self.models, None)
        self.remembered = snapshot

    def lagging(self, record_ids: frozenset[str] | None) -> Environment:
        """This environment as `remember` kept it, in all records or in those of *record_ids*."""
        old = self.remembered
        if old is None or record_ids is None:
            return old or self
        records = {id: record for id, record in self.records.items() if id not in record_ids}
        records |= {id: old.records[id] for id in record_ids if id in old.records}
        return replace(self, records=records)

    def _copy_records(
        self, copy: Environment, models: Mapping[str, Model], new_id: Callable[[], str] | None
    ) -> dict[str, str]:
        """Give *copy* records and versions of its own, and return the new ids of versions by the old ones."""
        renamed: dict[str, str] = {}
        for record in self.records.values():
            copied = replace(record, model=models[record.model.id], versions=[], current=None, published=None)
            copy.records[copied.id] = copied
            for version in record.versions:
                twin = replace(version, record=copied)
                if new_id is not None:
                    twin.id = renamed[version.id] = new_id()
                copied.versions.append(twin)
                copy.versions[twin.id] = twin
                if version.is_current:
                    copied.current = twin
                if version.is_published:
                    copied.published = twin
        return renamed
