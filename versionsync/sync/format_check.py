"""Ask again before another form of times is believed: the answer that showed it may be an old one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from versionsync import cma
from versionsync.ledger.formats import TimeFormat, finest_precision
from versionsync.sync.translate import seen_record

__all__ = ["confirm_format"]

ATTEMPTS: Final = 2
ASK_AGAIN_SECONDS: Final = 0.5


async def confirm_format(client: cma.Client, known: TimeFormat, seen: TimeFormat, models: Iterable[str]) -> TimeFormat:
    """Return what of `seen` upstream still says when it is asked again; the rest is None.

    Only what differs from `known` is asked for, with other requests than before. `models` are those with records.
    Raises CmaError.
    """
    zone, precision = seen.zone, seen.precision
    for _ in range(ATTEMPTS):
        is_another_zone = None not in (known.zone, zone) and zone != known.zone
        is_another_precision = None not in (known.precision, precision) and precision != known.precision
        if is_another_zone or is_another_precision:
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        if is_another_zone and (await client.site()).time_zone != zone:
            zone = None
        if is_another_precision and await _precision(client, models) not in (None, precision):
            precision = None
    return TimeFormat(precision, zone)


async def _precision(client: cma.Client, models: Iterable[str]) -> int | None:
    """How many decimals of a second the times of some record have; None: that cannot be seen."""
    for group in cma.model_groups(sorted(models)):
        try:
            page = await client.items_page(limit=1, models=group)
        except (cma.InvalidRequest, cma.NotFound):
            continue
        if page.items:
            return finest_precision(seen_record(item).fingerprint for item in page.items)
    return None
