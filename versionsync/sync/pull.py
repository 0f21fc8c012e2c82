"""Read one record's versions, newest first, as far as needed.

Every action of an editor changes the current version, or makes a new one. So every new version, and every flag or
interval that changed, is at the last known current version or above it. The one exception is the version that was
published then. It may be further down, and is asked for by itself. If anything does not fit this, the whole history is
read: a total that does not add up, a list in another order, a publication that no version shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from versionsync import cma
from versionsync.errors import VersionsyncError
from versionsync.ledger.erasure import Erasures
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.records import DeletionEvidence, SeenRecord, SeenVersion
from versionsync.ledger.safeguards import is_meta_stale
from versionsync.ledger.times import same_instant
from versionsync.ledger.version_order import is_newest_first, oldest_first
from versionsync.sync.api_to_ledger import editor_of, seen_record
from versionsync.sync.temporary_files import ContentSpool, PullTask

__all__ = ["FetchedRecord", "IsBlock", "RecordMissing", "StaleResponse", "pull_record", "read_history"]

ATTEMPTS = 3
VERSION_BYTES = 2048  # about what a version takes in memory besides its content, with all objects made of it


class RecordMissing(VersionsyncError):
    """The record has no versions to read: it was deleted after it was listed."""


class IsBlock(VersionsyncError):
    """The id is that of a block, which is part of a record's content and has no versions of its own."""

    def __init__(self, id: RecordId) -> None:
        super().__init__(f"{id} is a block, not a record: give the id of the record that it is part of")


class StaleResponse(VersionsyncError):
    """DatoCMS keeps returning versions of a record that are older than its meta."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedRecord:
    """What was read of one record.

    Attributes:
        record: Its meta. None: it was deleted, and only its versions were read.
        versions: Its versions, those that were asked for by id first, then the listed ones from the oldest on. The
            writer computes the hashes of their contents, on another thread than that which reads.
        contents: The contents to hash and store.
        is_complete: Whether the whole history was read.
        is_inconsistent: Whether meta and versions show different states, as when an editor saved in between. The
            record should be read again soon.
        evidence: Why a deleted record is known to be deleted.
    """

    id: RecordId
    record: SeenRecord | None = None
    versions: Sequence[SeenVersion] = ()
    contents: ContentSpool
    is_complete: bool
    is_inconsistent: bool = False
    evidence: DeletionEvidence | None = None

    @property
    def size(self) -> int:
        """Return about how many bytes of memory it takes: the contents, and small objects for each version."""
        return self.contents.size + VERSION_BYTES * len(self.versions)


async def pull_record(client: cma.Client, task: PullTask, *, erasures: Erasures, retry_seconds: float) -> FetchedRecord:
    """Return the versions of `task.record` that may differ from the mirror, without content that was erased here.

    This takes one request for a record with up to 50 versions, and for most of the longer ones. If an answer is old, it
    asks again, first at once and then after `retry_seconds`.

    Raises:
        RecordMissing: If the record was deleted after it was listed.
        StaleResponse: If DatoCMS keeps returning an older state than it showed before.
        CmaError: If DatoCMS does not answer.
    """
    is_stale = False
    for attempt in range(ATTEMPTS):
        is_last = attempt + 1 == ATTEMPTS
        try:
            if is_stale:
                await asyncio.sleep(retry_seconds * (attempt - 1))
                task = await _refetch(client, task)
            pulled = await _read(client, task.record.id, task, erasures)
        except (cma.PageShifted, RecordMissing) as error:
            if is_last:
                raise
            is_stale |= isinstance(error, RecordMissing)  # it existed when it was listed
            continue
        if not await _is_answer_stale(client, task, pulled):
            if _is_consistent(task.record, pulled) and not is_meta_stale(task.known, task.record):
                return pulled
            if is_last:
                return replace(pulled, is_inconsistent=True)
        is_stale = True
    raise StaleResponse("its versions are older than what upstream showed before")


async def read_history(
    client: cma.Client, record_id: RecordId, evidence: DeletionEvidence, *, erasures: Erasures
) -> FetchedRecord:
    """Return the whole history that DatoCMS still lists of a deleted record. It may be empty."""
    try:
        fetched = await _read(client, record_id, None, erasures)
    except RecordMissing:
        fetched = FetchedRecord(id=record_id, contents=ContentSpool(), is_complete=True)
    return replace(fetched, evidence=evidence)


async def _read(client: cma.Client, record_id: RecordId, task: PullTask | None, erasures: Erasures) -> FetchedRecord:
    """Return all versions of a record, or as many as `task` needs."""
    contents, listed = ContentSpool(), list[SeenVersion]()
    former: Sequence[SeenVersion] | None = None
    try:
        async for page in cma.iterate_versions(client, record_id):
            if page.bad:
                raise page.bad[0].error
            listed.extend(_keep(version, record_id, contents, erasures) for version in page.items)
            if task and _covers_published(task, listed, page.total):
                former = await _formerly_published(client, task, listed, contents, erasures)
                if former is not None:
                    break
            del page  # its contents are spooled: free their memory before the next page comes
    except cma.NotFound:
        raise RecordMissing(record_id) from None
    return FetchedRecord(
        id=record_id,
        record=task.record if task else None,
        versions=(*(former or ()), *oldest_first(listed)),
        contents=contents,
        is_complete=former is None,
    )


def _covers_published(task: PullTask, listed: Sequence[SeenVersion], total: int) -> bool:
    """Return whether nothing below `listed` can have changed, except the formerly published version."""
    record, known = task.record, task.known
    if known is None or known.deleted_at is not None or task.to_the_end:
        return False
    ids = [version.id for version in listed]
    if len(listed) >= total or len(set(ids)) < len(ids):
        return False  # everything is read, or the list moved: then the pagination raises PageShifted
    if known.current_version_id not in ids:
        return False
    made_since = ids.index(known.current_version_id)
    if made_since + known.version_count != total:
        return False
    if not is_newest_first(listed):
        return False
    if any(version.is_published for version in listed) or not _is_live(record):
        return True
    return known.published_version_id is not None and same_instant(record.published_at, known.published_at)


async def _formerly_published(
    client: cma.Client, task: PullTask, listed: Sequence[SeenVersion], contents: ContentSpool, erasures: Erasures
) -> Sequence[SeenVersion] | None:
    """Return the version that was published at the last sync, if it is below `listed` and may no longer be.

    None: the rest of the history must be read.
    """
    former = task.known.published_version_id if task.known else None
    if former is None or any(version.id == former for version in listed):
        return ()
    if _is_live(task.record) and not any(version.is_published for version in listed):
        return ()
    try:
        return (_keep(await client.version(former), task.record.id, contents, erasures),)
    except cma.NotFound:
        return None


def _is_consistent(record: SeenRecord, pulled: FetchedRecord) -> bool:
    """Return whether meta and versions agree on the current version, and on whether a version is published."""
    current = next((version.id for version in reversed(pulled.versions) if version.is_current), None)
    if record.current_version_id is not None and record.current_version_id != current:
        return False
    shows_published = any(version.is_published for version in pulled.versions)
    return record.status is None or shows_published == _is_live(record) or not pulled.is_complete


async def _is_answer_stale(client: cma.Client, task: PullTask, pulled: FetchedRecord) -> bool:
    """Return whether the versions are older than the record's meta, or than the mirror.

    If there are fewer versions than before, without the last current one, that version was removed or the answer is
    old. To find out, ask for that version by id.
    """
    record, known = task.record, task.known
    ids = {version.id for version in pulled.versions}
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
    """Return whether the record's meta says that it has a published version."""
    return record.status in ("published", "updated") or (record.status is None and record.published_at is not None)


def _keep(version: cma.ItemVersion, record_id: RecordId, contents: ContentSpool, erasures: Erasures) -> SeenVersion:
    """Add the content of a version to `contents`, and return the rest. The hash of its content is not computed yet.

    What was erased on request goes no further than this: not to a temporary file, not into a hash.
    """
    id, model_id = VersionId(version.id), ModelId(version.item_type_id)
    contents.add(id, erasures.erased(record_id, id, model_id, bytes(version.attributes_raw)))
    return SeenVersion(
        id=id,
        model_id=model_id,
        created_at=version.created_at,
        editor=editor_of(version.editor),
        is_current=version.is_current,
        is_published=version.is_published,
        published_from=version.published_from,
        published_until=version.published_until,
        is_valid=version.is_valid,
        content_hash=b"",
    )
