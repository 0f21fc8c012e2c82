"""Between beacon and sweep, for large projects: ask for what changed since, and prove by counting that it was all.

Of all that changes a version or a flag, an edit moves `updated_at`, a publication `published_at`, and both can be asked
for. What cannot be seen in that way changes how many records there are, or how many are published: a deletion and an
unpublication each take one away. So when the mirror, with everything that was found written, counts as many
records of each status as upstream does, nothing was missed. When it does not, or when nothing that was found explains
the beacon's stamp (an answer may be old, or the change be one of another kind), a complete sweep tells what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from versionsync import cma
from versionsync.ledger.content import ContentError
from versionsync.ledger.ids import ModelId
from versionsync.ledger.records import SeenRecord
from versionsync.sync.beacon import STAMP_DELAY
from versionsync.sync.sweep import count_records, is_of_models
from versionsync.sync.translate import seen_record

__all__ = ["QuickCheck", "StatusCounts", "quick_check"]

OVERLAP = timedelta(minutes=2)  # upstream may compare dates by the minute
MAX_CHANGED = 500


@dataclass(frozen=True, slots=True)
class StatusCounts:
    """How many records there are, and how many of them have a published version, with a newer draft or without."""

    total: int
    published: int
    updated: int


@dataclass(frozen=True, slots=True)
class QuickCheck:
    """What was seen: the records that may have changed, and upstream's counts behind them. `began_at`: its clock."""

    changed: Sequence[SeenRecord]
    tally: StatusCounts
    began_at: datetime | None


async def quick_check(
    client: cma.Client, models: frozenset[ModelId], *, since: datetime, stamp: datetime, explains: bool
) -> QuickCheck | None:
    """Return what changed after `since`, in five requests; None where that cannot be known from so few.

    Args:
        client: Where to read from.
        models: The models that have records. Where their ids are too many for one query, it takes five requests for
            each part of them.
        since: Upstream's time of the last change as the last run knew it.
        stamp: The same as this run knows it.
        explains: Whether something as young as `stamp` has to be found.

    Raises:
        CmaError: Where a sweep would raise it.
    """
    if not models:
        return None
    try:
        edited = await _changed(client, models, "_updated_at", since)
        published = await _changed(client, models, "_published_at", since)
        if edited is None or published is None:
            return None
        changed = [item for page in (*edited, *published) for item in page.items]
        moved = [time for item in changed for time in (item.updated_at, item.published_at)]
        if explains and not any(
            time and time >= stamp - STAMP_DELAY and (time > since or stamp == since) for time in moved
        ):
            return None
        tally = StatusCounts(
            total=await count_records(client, models),
            published=await count_records(client, models, status="published"),
            updated=await count_records(client, models, status="updated"),
        )
        found = {item.id: seen_record(item) for item in changed}
    except (cma.InvalidRequest, cma.NotFound, cma.ProtocolError, ContentError):
        return None  # a sweep reads the same without these filters, or says what is wrong
    return QuickCheck(tuple(found.values()), tally, edited[0].at)


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
    """Whether the filter was obeyed, to the minute: an upstream that does not know it may ignore it."""
    moved = item.updated_at if column == "_updated_at" else item.published_at
    return moved is not None and moved >= after - timedelta(minutes=1)
