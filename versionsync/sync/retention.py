"""For how long DatoCMS keeps versions: read at most once a day, since a plan rarely changes."""

from __future__ import annotations

from datetime import datetime, timedelta

from versionsync import cma
from versionsync.mirror.tables.sources import Checkpoint

__all__ = ["is_due", "read_history_retention"]

ASK_AFTER = timedelta(days=1)


def is_due(known: Checkpoint, *, now: datetime) -> bool:
    """Return whether a run should also ask for the retention: when no list was complete for a day.

    `known` is the checkpoint from before the run. A run that ends after one request never asks.
    """
    last = known.last_complete_sweep_at
    return last is None or abs(now - last) >= ASK_AFTER


async def read_history_retention(client: cma.Client) -> cma.HistoryRetention | None:
    """Return for how long upstream keeps versions. None: nothing was learned, and what is known stays. One request.

    A run does not fail for it: if upstream is not available, the next request reports that.
    """
    try:
        return await client.history_retention()
    except cma.CmaError:
        return None
