"""A source with a lease and a run, and a short way to look at a record and write what the look tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, text, update

from versionsync.ledger.content import content_hash
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.plan import RecordPlan, plan_deletion, plan_record
from versionsync.ledger.records import DeletionEvidence, Editor, SeenRecord, SeenVersion
from versionsync.ledger.schema import Field, Model
from versionsync.mirror.apply import Applied, apply
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import leases, sources
from versionsync.mirror.tables.leases import Holder, Lease, acquire, release_in
from versionsync.mirror.tables.models import upsert_schema
from versionsync.mirror.tables.records import load_records
from versionsync.mirror.tables.runs import start_run
from versionsync.mirror.tables.sources import Project, SourceRow, add_sources, load_source, register_project
from versionsync.mirror.tables.versions import load_versions

EPOCH = datetime(2026, 7, 1, 12, tzinfo=UTC)
MODEL = ModelId("article")
RECORD = RecordId("record")
SOMEBODY = Editor("user", "7")


def at(seconds: float) -> datetime:
    """A moment of the test's story."""
    return EPOCH + timedelta(seconds=seconds)


def project(**members: Any) -> Project:
    """What a source mirrors."""
    defaults: dict[str, Any] = {
        "id": "p1",
        "name": "News",
        "environment": "main",
        "follows_primary": True,
        "base_url": "http://localhost",
        "locales": ("en", "it"),
    }
    return Project(**defaults | members)


def model(id: str = MODEL, **members: Any) -> Model:
    """A model, named as its id."""
    defaults: dict[str, Any] = {
        "id": ModelId(id),
        "api_key": id,
        "name": id.title(),
        "is_block": False,
        "is_singleton": False,
        "draft_mode": True,
        "payload": json.dumps({"id": id, "attributes": {"api_key": id}}),
    }
    return Model(**defaults | members)


def a_field(id: str, field_type: str = "string", **members: Any) -> Field:
    """A field of MODEL, named as its id."""
    defaults: dict[str, Any] = {
        "id": id,
        "model_id": MODEL,
        "api_key": id,
        "label": id.title(),
        "field_type": field_type,
        "is_localized": False,
        "position": 1,
        "payload": json.dumps({"id": id, "attributes": {"field_type": field_type}}),
    }
    return Field(**defaults | members)


@dataclass(frozen=True)
class Shown:
    """A version as upstream shows it; `flags` is some of `c` (current) and `p` (published)."""

    id: str
    created: float = 0
    flags: str = ""
    content: bytes = b""
    live: tuple[float | None, float | None] = (None, None)
    editor: Editor | None = SOMEBODY

    @property
    def raw(self) -> bytes:
        """The content, as JSON text."""
        return self.content or json.dumps({"title": self.id}).encode()

    @property
    def seen(self) -> SeenVersion:
        """As the planner takes it."""
        start, end = self.live
        return SeenVersion(
            id=VersionId(self.id),
            model_id=MODEL,
            created_at=at(self.created),
            editor=self.editor,
            is_current="c" in self.flags,
            is_published="p" in self.flags,
            published_from=None if start is None else at(start),
            published_until=None if end is None else at(end),
            is_valid=True,
            content_hash=content_hash(self.raw),
        )


def register_source(tx: Connection, name: str, project: Project, *, observed_at: datetime) -> SourceRow:
    """A source of that name with its project, whose lease was never taken; one that exists stays as it is."""
    if (known := load_source(tx, name)) is not None:
        return known
    lease = Lease(add_sources(tx, [name])[name], 0, Holder.of_this_process())
    held = {"holder": lease.holder.to_json(), "expires_at": observed_at}
    tx.execute(update(leases).where(leases.c.source_id == lease.source_id).values(held))
    made = register_project(tx, lease, project, observed_at=observed_at)
    release_in(tx, lease)
    return made


@dataclass
class Desk:
    """Writes to one source of `mirror`; each look is a second after the one before."""

    mirror: Mirror
    lease: Lease
    run_id: int
    clock: float = field(default=1000)

    @classmethod
    def open(cls, mirror: Mirror, name: str = "website", **members: Any) -> Desk:
        """A new source, its lease and a run."""
        with mirror.write() as tx:
            source = register_source(tx, name, project(**members), observed_at=at(0))
        lease = acquire(mirror, source.id, Holder.of_this_process())
        with mirror.write() as tx:
            upsert_schema(tx, lease, [model()], [], observed_at=at(0))
            run_id = start_run(tx, lease, kind="incremental", trigger="test", started_at=at(0))
        return cls(mirror, lease, run_id)

    def now(self) -> datetime:
        """The next moment."""
        self.clock += 1
        return at(self.clock)

    def look(self, *shown: Shown, id: str = RECORD, whole: bool = True, **meta: Any) -> Applied:
        """See the record with these versions, oldest first, and write what that tells."""
        now = self.now()
        plan = self.plan(shown, id=id, whole=whole, now=now, **meta)
        return self.write([plan], shown, now=now)

    def plan(
        self, shown: Sequence[Shown], *, now: datetime, id: str = RECORD, whole: bool = True, **meta: Any
    ) -> RecordPlan:
        """What seeing the record with these versions, oldest first, tells."""
        record_id = RecordId(id)
        with self.mirror.read() as connection:
            known = load_records(connection, self.lease.source_id, [record_id])
            versions = load_versions(connection, self.lease.source_id, [record_id])
        return plan_record(
            known.get(record_id),
            versions.get(record_id, ()),
            seen_record(id, **meta),
            [one.seen for one in shown],
            is_complete=whole,
            observed_at=now,
        )

    def delete(self, id: str = RECORD) -> Applied:
        """Learn that the record is gone, and write that."""
        now = self.now()
        record_id = RecordId(id)
        with self.mirror.read() as connection:
            known = load_records(connection, self.lease.source_id, [record_id])[record_id]
            versions = load_versions(connection, self.lease.source_id, [record_id])[record_id]
        plan = plan_deletion(known, versions, still_listed=(), evidence=DeletionEvidence.NOT_FOUND, observed_at=now)
        return self.write([plan], (), now=now)

    def write(self, plans: Sequence[RecordPlan], shown: Sequence[Shown], *, now: datetime) -> Applied:
        """Apply plans in a transaction of their own."""
        contents = {VersionId(one.id): one.raw for one in shown}
        with self.mirror.write() as tx:
            return apply(tx, self.lease, plans, contents, observed_at=now, run_id=self.run_id)

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self.mirror.read() as connection:
            return [tuple(row) for row in connection.execute(text(query), parameters)]

    def told(self, *, about: str = "version_id", of: str | None = None) -> list[tuple[str, str | None]]:
        """Type and version (or another column) of the events of a record, in order."""
        return [
            (type_, subject)
            for type_, subject in self.rows(f"SELECT type, {about} FROM events ORDER BY id")
            if of is None or type_.startswith(of)
        ]


def seen_record(id: str = RECORD, **meta: Any) -> SeenRecord:
    """A record's meta, made at 0."""
    defaults: dict[str, Any] = {
        "id": RecordId(id),
        "model_id": MODEL,
        "fingerprint": bytes(32),
        "status": "draft",
        "stage": None,
        "current_version_id": None,
        "creator": Editor("account", "1"),
        "created_at": at(0),
        "updated_at": at(0),
        "published_at": None,
        "first_published_at": None,
        "publication_scheduled_at": None,
        "unpublishing_scheduled_at": None,
    }
    return SeenRecord(**defaults | meta)


def add_source(tx: Connection, name: str, *, project_id: str) -> int:
    """Add a source whose lease nobody holds, and return its id."""
    values = {"project_name": name, "environment": "main", "follows_primary": True, "base_url": "http://x"}
    id = tx.execute(
        insert(sources)
        .values(name=name, project_id=project_id, created_at=at(0), locales="[]", **values)
        .returning(sources.c.id)
    ).scalar_one()
    tx.execute(insert(leases).values(source_id=id))
    return id
