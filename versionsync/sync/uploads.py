"""The uploads that contents name: their file names, sizes and addresses, as far as the token may read them.

The writer notes the id of each upload that a new content names. After the records are read, the uploads that no run has
asked for are read, up to 500 in a request. DatoCMS does not say which uploads changed. So each is read again after a
month, in the first run of a day that lists all records; a full run reads all of them again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from versionsync import cma
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.tables.sources import update_uploads_refused
from versionsync.mirror.tables.uploads import UploadRow, update_uploads, uploads_to_read
from versionsync.sync.context import RunContext
from versionsync.sync.project_update import is_retention_due
from versionsync.sync.stage_results import StageResult

__all__ = ["save_uploads"]

READ_AGAIN: Final = timedelta(days=30)
ASK_AGAIN: Final = timedelta(days=1)
"""How long a run does not ask again after DatoCMS refused to show uploads."""
AT_ONCE: Final = 8
"""How many requests are sent before their answers are written."""
REFUSED: Final = "this token may not read uploads: ids only; a run asks again in a day"
UNREADABLE: Final = "what upstream says of uploads cannot be read: ids only; a run asks again in a day"


async def save_uploads(ctx: RunContext, *, requests: int | None) -> StageResult:
    """Read and save the uploads that are due. The next run goes on with those for which no requests were left.

    Args:
        requests: How many requests may be sent. None: as many as it takes.
    """
    refused_at, now = ctx.source.uploads_refused_at, ctx.now()
    if refused_at is not None and abs(now - refused_at) < ASK_AGAIN and not ctx.options.full:
        return StageResult()
    checked_before = now if ctx.options.full or ctx.is_first_sync else None  # another environment has its own
    if checked_before is None and is_retention_due(ctx.source.checkpoint, now=now):
        checked_before = now - READ_AGAIN
    ids = await ctx.read(uploads_to_read, checked_before=checked_before)
    groups = cma.upload_groups(ids)[:requests]
    if not groups:
        return StageResult()
    try:
        await _read(ctx, groups[:1])  # alone: the role may not read them
        for some in chunked(groups[1:], AT_ONCE):
            await _read(ctx, some)
    except (cma.PermissionDenied, cma.NotFound, cma.InvalidRequest):
        note = REFUSED
    except cma.EnvironmentChanged:
        raise
    except cma.ProtocolError:
        note = UNREADABLE
    else:
        if refused_at is not None:
            await ctx.write(lambda tx: update_uploads_refused(tx, ctx.lease, None))
        return StageResult()
    await ctx.write(lambda tx: update_uploads_refused(tx, ctx.lease, now))
    return StageResult(notes=(note,))


async def _read(ctx: RunContext, groups: Sequence[Sequence[str]]) -> None:
    answers = await asyncio.gather(*(_pages(ctx.client, group) for group in groups), return_exceptions=True)
    ctx.progress.count_usage(ctx.client.usage)
    pages: list[cma.Page[cma.Upload]] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        pages += answer
    asked = [id for group in groups for id in group]
    found = [_row(upload) for page in pages for upload in page.items]
    unreadable = {bad.id for page in pages for bad in page.bad if bad.id is not None}
    await ctx.write(
        lambda tx: update_uploads(tx, ctx.lease, asked, found, unreadable=unreadable, observed_at=ctx.now())
    )


async def _pages(client: cma.Client, ids: Sequence[str]) -> list[cma.Page[cma.Upload]]:
    """Read some uploads; in two halves if the address is too long for a server on the way, or the page too short."""
    try:
        page = await client.uploads(ids)
    except cma.InvalidRequest as error:
        if not (error.too_long or error.about_limit) or len(ids) == 1:
            raise
    else:
        if page.total > len(ids):
            raise cma.ProtocolError("more uploads came than were asked for", request="GET /uploads")
        if len(page.ids) == page.total:
            return [page]
        if len(ids) == 1:
            raise cma.ProtocolError("the upload was counted and did not come", request="GET /uploads")
    half = len(ids) // 2
    return [*await _pages(client, ids[:half]), *await _pages(client, ids[half:])]


def _row(upload: cma.Upload) -> UploadRow:
    return UploadRow(
        id=upload.id,
        filename=upload.filename,
        basename=upload.basename,
        url=upload.url,
        path=upload.path,
        size=upload.size,
        width=upload.width,
        height=upload.height,
        mime_type=upload.mime_type,
        format=upload.format,
        md5=upload.md5,
        default_field_metadata=upload.default_field_metadata,
        tags=json.dumps(upload.tags),
        created_at=upload.created_at,
        updated_at=upload.updated_at,
    )
