"""Prove that records are as a plan made them: compare what the mirror read afterwards with what was sent.

The touched records are synced after the steps. So the proof rests on what upstream answers then, not on the answers to
the writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from versionsync.history.diff.model import Json
from versionsync.ledger.content import ContentError, parse_value
from versionsync.ledger.ids import VersionId
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import records
from versionsync.mirror.tables.restores import StepState
from versionsync.mirror.tables.versions import stored_texts
from versionsync.restore.claims import block_ids
from versionsync.restore.comparing import holds
from versionsync.restore.model import Act, Creation, Plan

__all__ = ["Aim", "Finding", "FindingKind", "Proof", "aims_of", "prove"]


class FindingKind(StrEnum):
    """What is not as planned. The values are public."""

    MISSING = "missing"
    """The record does not exist."""
    CONTENT = "content"
    """Its newest content is another one."""
    LIVE = "live"
    """It is live and should not be, or the other way round, or with another content."""
    BLOCK_IDS = "block_ids"
    """Its blocks have the content that was sent, and other ids."""
    CREATION = "creation"
    """Its creator or a time of its past is another one."""
    STILL_THERE = "still_there"
    """It should be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A record that is not as planned. `what` is a sentence for people."""

    record_id: str
    kind: FindingKind
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How many records are as planned, and which are not."""

    proven: int
    findings: tuple[Finding, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every record is as planned."""
        return not self.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a record must be like after the steps that were done.

    Attributes:
        content: The members that its newest content must have. None: it was not changed.
        live: The members that its live content must have. None: see `is_live`.
        is_live: Whether it must be live. None: that was not changed.
        version_id: The version that the last step made.
        creation: What it claims of its past, if it was created.
    """

    record_id: str
    content: Mapping[str, Json] | None = None
    live: Mapping[str, Json] | None = None
    is_live: bool | None = None
    is_deleted: bool = False
    version_id: str | None = None
    creation: Creation | None = None


def aims_of(plan: Plan, states: Sequence[StepState], *, has_drafts: Mapping[str, bool]) -> list[Aim]:
    """Return what the records of a plan must be like after the steps that were done.

    A record for which a step failed or was skipped is left out: that step is reported by itself.

    Args:
        plan: The plan.
        states: How its steps ended.
        has_drafts: Whether the models have drafts, by id. A model without them publishes what is saved.
    """
    ended = {state.number: state for state in states}
    building: dict[str, dict[str, Any]] = {}
    failed: set[str] = set()
    for step in plan.steps:
        state = ended.get(step.number)
        if state is None or state.state != "done":
            failed.update(step.record_ids)
            continue
        for id in step.record_ids:
            aim = building.setdefault(id, {"record_id": id})
            if step.act in (Act.CREATE, Act.UPDATE):
                sent = dict(step.attributes or {})
                aim["content"] = {**(aim.get("content") or {}), **sent}
                aim["version_id"] = state.version_id
                if not has_drafts.get(step.model_id or "", True):
                    aim["live"], aim["is_live"] = aim["content"], True
                if step.act is Act.CREATE and step.creation is not None:
                    aim["creation"] = step.creation
            elif step.act is Act.PUBLISH:
                aim["live"], aim["is_live"] = aim.get("content"), True
            elif step.act is Act.UNPUBLISH:
                aim["live"], aim["is_live"] = None, False
            elif step.act is Act.DELETE:
                aim["is_deleted"] = True
    return [Aim(**aim) for id, aim in building.items() if id not in failed]


def prove(connection: Connection, source_id: int, aims: Sequence[Aim]) -> Proof:
    """Compare the mirror with what records must be like.

    Args:
        connection: A snapshot that was taken after a sync of these records.
        source_id: Their source.
        aims: What they must be like.
    """
    findings = []
    for chunk in chunked(aims, 200):
        rows = _rows(connection, source_id, [aim.record_id for aim in chunk])
        ids = {id for row in rows.values() for id in (row.current_version_id, row.published_version_id) if id}
        contents = {
            one.version_id: one.text for one in stored_texts(connection, source_id, [VersionId(id) for id in ids])
        }
        for aim in chunk:
            findings += list(_findings(aim, rows.get(aim.record_id), contents))
    wrong = {one.record_id for one in findings}
    return Proof(proven=len(aims) - len(wrong), findings=tuple(findings))


def _rows(connection: Connection, source_id: int, ids: Sequence[str]) -> dict[str, Any]:
    columns = (
        *(records.c.id, records.c.current_version_id, records.c.published_version_id, records.c.deleted_at),
        *(records.c.created_at, records.c.first_published_at, records.c.creator_type, records.c.creator_id),
    )
    query = select(*columns).where(records.c.source_id == source_id, records.c.id.in_(ids))
    return {row.id: row for row in connection.execute(query)}


def _findings(aim: Aim, row: Any | None, contents: Mapping[VersionId, bytes]) -> Iterator[Finding]:
    def found(kind: FindingKind, what: str) -> Finding:
        return Finding(record_id=aim.record_id, kind=kind, what=what)

    if aim.is_deleted:
        if row is not None and row.deleted_at is None:
            yield found(FindingKind.STILL_THERE, "It still exists.")
        return
    if row is None or row.deleted_at is not None:
        yield found(FindingKind.MISSING, "It does not exist.")
        return
    if aim.content is not None and not _has(contents.get(row.current_version_id), aim.content):
        newer = aim.version_id is not None and row.current_version_id != aim.version_id
        what = "Someone edited it since." if newer else "Its newest content is not the one that was sent."
        yield found(FindingKind.CONTENT, what)
    if aim.is_live is False and row.published_version_id is not None:
        yield found(FindingKind.LIVE, "It is live, and should not be.")
    elif aim.is_live and row.published_version_id is None:
        yield found(FindingKind.LIVE, "It is not live.")
    elif aim.is_live and aim.live is not None and not _has(contents.get(row.published_version_id), aim.live):
        yield found(FindingKind.LIVE, "Its live content is not the one that was sent.")
    current = _value(contents.get(row.current_version_id))
    if aim.content is not None and block_ids(dict(aim.content)) - block_ids(current):
        yield found(FindingKind.BLOCK_IDS, "DatoCMS gave its blocks other ids.")
    if aim.creation is not None:
        yield from (found(FindingKind.CREATION, what) for what in _other_past(aim.creation, row))


def _other_past(wanted: Creation, row: Any) -> Iterator[str]:
    if wanted.created_at is not None and not _is_same_time(wanted.created_at, row.created_at):
        yield "DatoCMS kept another time of creation."
    if wanted.first_published_at is not None and not _is_same_time(wanted.first_published_at, row.first_published_at):
        yield "DatoCMS kept another time of the first publication."
    creator = (wanted.creator_type, wanted.creator_id)
    if creator != (None, None) and creator != (row.creator_type, row.creator_id):
        yield "DatoCMS kept another creator."


def _is_same_time(one: datetime, other: datetime | None) -> bool:
    """Return whether two times are the same, as far as a project that shows whole seconds can tell."""
    return other is not None and abs(one - other) < timedelta(seconds=1)


def _has(content: bytes | None, wanted: Mapping[str, Json]) -> bool:
    return content is not None and holds(dict(wanted), _value(content))


def _value(content: bytes | None) -> Json:
    try:
        return None if content is None else parse_value(content)
    except ContentError:
        return None
