"""For large projects: ask for what changed since the last run, and prove by counting that it was everything.

An edit moves `updated_at` and a publication moves `published_at`. Both can be filtered by. Every other change of a
version or a flag changes a count: a deletion lowers the number of records, an unpublication that of published ones. So
nothing was missed if the mirror, with everything found written, counts as many records of each status as DatoCMS does.
If the counts differ, a complete sweep follows. It also follows if nothing that was found explains the beacon's stamp:
an answer may be old, or the change of another kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from versionsync import cma
from versionsync.ledger.content import ContentError
from versionsync.ledger.ids import ModelId
from versionsync.ledger.records import SeenRecord
from versionsync.sync.api_to_ledger import seen_record
from versionsync.sync.beacon import STAMP_DELAY
from versionsync.sync.sweep import count_records, is_of_models

__all__ = ["StatusCounts", "quick_check"]

OVERLAP = timedelta(minutes=2)  # DatoCMS may compare dates by the minute
MAX_CHANGED = 500


@dataclass(frozen=True, slots=True)
class StatusCounts:
    """How many records there are, how many are published, and how many of those have a newer draft (`updated`)."""

    total: int
    published: int
    updated: int


@dataclass(frozen=True, slots=True)
class QuickCheck:
    """The records that may have changed, DatoCMS's counts, and its clock at the first request."""

    changed: Sequence[SeenRecord]
    counts: StatusCounts
    began_at: datetime | None


async def quick_check(
    client: cma.Client, models: frozenset[ModelId], *, since: datetime, stamp: datetime, must_explain: bool
) -> QuickCheck | None:
    """Return what changed after `since`, or None if five requests cannot show it.

    Args:
        models: The models that have records. If their ids do not fit into one query, each part takes five requests.
        since: The time of the last change in DatoCMS, as of the last run.
        stamp: The same, as of this run.
        must_explain: Whether a change as recent as `stamp` must be among what is found.

    Raises:
        CmaError: If a sweep would raise it.
    """
    if not models:
        return None
    try:
        edited = await _changed(client, models, "_updated_at", since)
        published = await _changed(client, models, "_published_at", since)
        if edited is None or published is None:
            return None
        items = [item for page in (*edited, *published) for item in page.items]
        times = [time for item in items for time in (item.updated_at, item.published_at)]
        if must_explain and not any(
            time and time >= stamp - STAMP_DELAY and (time > since or stamp == since) for time in times
        ):
            return None
        counts = StatusCounts(
            total=await count_records(client, models),
            published=await count_records(client, models, status="published"),
            updated=await count_records(client, models, status="updated"),
        )
        changed = {item.id: seen_record(item) for item in items}
    except (cma.InvalidRequest, cma.NotFound, cma.ProtocolError, ContentError):
        return None  # a sweep reads the same without these filters, or reports what is wrong
    return QuickCheck(tuple(changed.values()), counts, edited[0].at)


async def _changed(
    client: cma.Client, models: frozenset[ModelId], column: str, since: datetime
) -> list[cma.Page[cma.Item]] | None:
    after = since - OVERLAP
    filters = {column: {"gt": after.isoformat(timespec="seconds")}}
    pages = []
    for group in cma.model_groups(sorted(models)):
        page = await client.items_page(offset=0, limit=MAX_CHANGED, models=group, filters=filters)
        if page.bad or len(page.items) != page.total or not is_of_models(page.items, group):
            return None
        if not all(_is_after(item, column, after) for item in page.items):
            return None
        pages.append(page)
    return pages


def _is_after(item: cma.Item, column: str, after: datetime) -> bool:
    """Return whether the filter was applied, to the minute: an API that does not know the filter may ignore it."""
    time = item.updated_at if column == "_updated_at" else item.published_at
    return time is not None and time >= after - timedelta(minutes=1)
