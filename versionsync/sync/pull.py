"""Read one record's versions, newest first, as far as needed and never less.

What can have changed since the last look? Every act of an editor works on the current version, or makes a new one.
So all that is new, and every flag or interval that moved, is at the last known current version or above it; the one
exception is the version that was published then, which may lie further down: it is asked for by itself. Whatever
does not fit this (a total that does not add up, a list in another order, a publication that cannot be seen) is a
reason to read the whole history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from versionsync import cma
from versionsync.errors import VersionsyncError
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.order import is_newest_first
from versionsync.ledger.records import SeenRecord
from versionsync.ledger.safeguards import is_meta_stale
from versionsync.ledger.times import same_instant
from versionsync.sync.spool import ContentSpool, PullTask
from versionsync.sync.translate import seen_record, seen_version

__all__ = ["IsBlock", "PulledRecord", "RecordMissing", "StaleResponse", "pull_record", "read_history"]

ATTEMPTS = 3
STALE_WAIT_SECONDS = 0.5
_NOT_HASHED = b""


class RecordMissing(VersionsyncError):
    """The record has no versions to read any more: it was deleted since it was listed."""


class IsBlock(VersionsyncError):
    """The id is that of a block, which is part of a record's content and has no versions of its own here."""

    def __init__(self, id: RecordId) -> None:
        super().__init__(f"{id} is a block, not a record: give the id of the record that it is part of")


class StaleResponse(VersionsyncError):
    """Upstream's versions of a record are older than its meta, again and again."""


@dataclass(frozen=True, slots=True)
class PulledRecord:
    """What was read of one record. `listed` is in upstream's order, `retrieved` was asked for by id.

    `record` is its meta, None where only its versions were read. `is_doubtful` says that the two do not tell the same
    state, as when an editor was faster than we: the record should be looked at again soon. `contents` holds what to
    hash and keep; hashing is work for another thread than the one that reads.
    """

    id: RecordId
    record: SeenRecord | None
    listed: Sequence[cma.ItemVersion]
    retrieved: Sequence[cma.ItemVersion]
    is_complete: bool
    contents: ContentSpool
    is_inconsistent: bool = False


async def pull_record(client: cma.Client, task: PullTask) -> PulledRecord:
    """The versions of `task.record` that may differ from what the mirror holds.

    One request for a record with up to 50 versions, and for most of the longer ones. Raises RecordMissing if the record
    went in the meantime, StaleResponse if upstream keeps answering with an older state than it showed before, and
    CmaError.
    """
    is_old = False
    for attempt in range(ATTEMPTS):
        is_last = attempt + 1 == ATTEMPTS
        try:
            if is_old:
                await asyncio.sleep(STALE_WAIT_SECONDS * (attempt - 1))
                task = await _refetch(client, task)
            pulled = await _read(client, task.record.id, task)
        except (cma.PageShifted, RecordMissing) as error:
            if is_last:
                raise
            is_old |= isinstance(error, RecordMissing)  # it was there when it was listed
            continue
        if not await _is_older(client, task, pulled):
            if _is_one_state(task.record, pulled) and not is_meta_stale(task.known, task.record):
                return pulled
            if is_last:
                return replace(pulled, is_inconsistent=True)
        is_old = True
    raise StaleResponse("its versions are older than what upstream showed before")


async def read_history(client: cma.Client, record_id: RecordId) -> PulledRecord:
    """Whatever upstream still lists of a record that is gone, to the end; nothing if that is gone too."""
    try:
        return await _read(client, record_id, None)
    except RecordMissing:
        return PulledRecord(record_id, None, (), (), is_complete=True, contents=ContentSpool())


async def _read(client: cma.Client, record_id: RecordId, task: PullTask | None) -> PulledRecord:
    """All versions of a record, or as many as `task` needs."""
    record = task.record if task else None
    contents = ContentSpool()
    listed: list[cma.ItemVersion] = []
    try:
        async for page in cma.iterate_versions(client, record_id):
            if page.bad:
                raise page.bad[0].error
            listed.extend(_keep(version, contents) for version in page.items)
            if task and _covers_published(task, listed, page.total):
                retrieved = await _formerly_published(client, task, listed, contents)
                if retrieved is not None:
                    return PulledRecord(record_id, record, listed, retrieved, is_complete=False, contents=contents)
            del page  # its contents are spooled, and need not be in memory while the next page comes
    except cma.NotFound:
        raise RecordMissing(record_id) from None
    return PulledRecord(record_id, record, listed, (), is_complete=True, contents=contents)


def _covers_published(task: PullTask, listed: Sequence[cma.ItemVersion], total: int) -> bool:
    """Whether nothing below what is `listed` can have changed, but perhaps the formerly published version."""
    record, known = task.record, task.known
    if known is None or known.deleted_at is not None or task.to_the_end:
        return False
    ids = [version.id for version in listed]
    if len(listed) >= total or len(set(ids)) < len(ids):
        return False  # all is read, or the list moved: the walk is about to say so
    if known.current_version_id not in ids:
        return False
    made_since = ids.index(known.current_version_id)
    if made_since + known.version_count != total:
        return False
    if not is_newest_first([seen_version(version, _NOT_HASHED) for version in listed]):
        return False
    if any(version.is_published for version in listed) or not _is_live(record):
        return True
    return known.published_version_id is not None and same_instant(record.published_at, known.published_at)


async def _formerly_published(
    client: cma.Client, task: PullTask, listed: Sequence[cma.ItemVersion], contents: ContentSpool
) -> Sequence[cma.ItemVersion] | None:
    """The version that was published when last seen, if it is below `listed` and may have lost that; None: read on."""
    former = task.known.published_version_id if task.known else None
    if former is None or any(version.id == former for version in listed):
        return ()
    if _is_live(task.record) and not any(version.is_published for version in listed):
        return ()
    try:
        return (_keep(await client.version(former), contents),)
    except cma.NotFound:
        return None


def _is_one_state(record: SeenRecord, pulled: PulledRecord) -> bool:
    """Whether meta and versions tell the same state: the same version is current, and one is live or none is."""
    current = next((version.id for version in pulled.listed if version.is_current), None)
    if record.current_version_id is not None and record.current_version_id != current:
        return False
    is_shown_live = any(version.is_published for version in pulled.listed)
    return record.status is None or is_shown_live == _is_live(record) or not pulled.is_complete


async def _is_older(client: cma.Client, task: PullTask, pulled: PulledRecord) -> bool:
    """Whether the versions are those of an earlier state than the meta's, or than the mirror's.

    Fewer versions than before, the last current one not among them: it was taken back, or this is an old answer. Only
    that version itself can tell.
    """
    record, known = task.record, task.known
    ids = {version.id for version in pulled.listed}
    if record.current_version_id is not None and record.current_version_id not in ids:
        return True
    if known is None or known.deleted_at is not None or known.current_version_id is None:
        return False
    if known.current_version_id in ids or len(ids) >= known.version_count:
        return False
    try:
        await client.version(known.current_version_id)
    except cma.NotFound:
        return False
    return True


async def _refetch(client: cma.Client, task: PullTask) -> PullTask:
    try:
        item = await client.item(task.record.id)
    except cma.NotFound:
        raise RecordMissing(task.record.id) from None
    return PullTask(seen_record(item), task.known, task.to_the_end)


def _is_live(record: SeenRecord) -> bool:
    """Whether the record's meta says that it has a published version."""
    return record.status in ("published", "updated") or (record.status is None and record.published_at is not None)


def _keep(version: cma.ItemVersion, contents: ContentSpool) -> cma.ItemVersion:
    contents.add(VersionId(version.id), bytes(version.attributes_raw))
    return msgspec.structs.replace(version, attributes_raw=_NOT_HASHED)
