"""Between beacon and sweep, for large projects: ask for what changed since, and prove by counting that it was all.

Of all that changes a version or a flag, an edit moves `updated_at`, a publication `published_at`, and both can be asked
for. What cannot be seen in that way changes how many records there are, or how many are published: a deletion and an
unpublication each take one away. So when the mirror, with everything that was found written, counts as many
records of each status as upstream does, nothing was missed. When it does not, or when nothing that was found explains
the beacon's stamp (an answer may be old, or the change be one of another kind), a complete sweep tells what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from versionsync import cma
from versionsync.ledger.content import ContentError
from versionsync.ledger.records import SeenRecord
from versionsync.sync.beacon import STAMP_DELAY
from versionsync.sync.translate import seen_record

__all__ = ["Glance", "Tally", "glance"]

SLACK = timedelta(minutes=2)  # upstream may compare dates by the minute
MOST_CHANGED = 500


@dataclass(frozen=True, slots=True)
class Tally:
    """How many records there are, and how many of them have a published version, with a newer draft or without."""

    total: int
    published: int
    updated: int


@dataclass(frozen=True, slots=True)
class Glance:
    """What was seen: the records that may have changed, and upstream's counts behind them. `began_at`: its clock."""

    changed: Sequence[SeenRecord]
    tally: Tally
    began_at: datetime | None


async def glance(client: cma.Client, *, since: datetime, stamp: datetime, explains: bool) -> Glance | None:
    """What changed after `since`, in five requests; None: it cannot be told in so few.

    `since` and `stamp` are upstream's times of the last change before the last look, and before this one. `explains`:
    something as young as the stamp has to be found.

    Raises CmaError where a sweep would.
    """
    try:
        edited = await _changed(client, "_updated_at", since)
        published = await _changed(client, "_published_at", since)
        if edited is None or published is None:
            return None
        moved = [time for item in (*edited.items, *published.items) for time in (item.updated_at, item.published_at)]
        if explains and not any(
            time and time >= stamp - STAMP_DELAY and (time > since or stamp == since) for time in moved
        ):
            return None
        tally = Tally(
            total=await _count(client, None),
            published=await _count(client, "published"),
            updated=await _count(client, "updated"),
        )
    except (cma.Rejected, cma.ProtocolError, ContentError):
        return None  # a sweep reads the same without filters, or says what is wrong
    found = {item.id: seen_record(item) for item in (*edited.items, *published.items)}
    return Glance(tuple(found.values()), tally, edited.at)


async def _changed(client: cma.Client, column: str, since: datetime) -> cma.Page[cma.Item] | None:
    after = since - SLACK
    page = await client.items_page(
        offset=0, limit=MOST_CHANGED, filters={column: {"gt": after.isoformat(timespec="seconds")}}
    )
    if page.bad or len(page.items) != page.total:
        return None
    return page if all(_is_after(item, column, after) for item in page.items) else None


def _is_after(item: cma.Item, column: str, after: datetime) -> bool:
    """Whether the filter was obeyed, to the minute: an upstream that does not know it may ignore it."""
    moved = item.updated_at if column == "_updated_at" else item.published_at
    return moved is not None and moved >= after - timedelta(minutes=1)


async def _count(client: cma.Client, status: str | None) -> int:
    filters: Mapping[str, Mapping[str, str]] | None = {"_status": {"eq": status}} if status else None
    return (await client.items_page(offset=0, limit=1, filters=filters)).total
