"""The first rung: one request that tells whether anything changed. Pure decisions.

Upstream stamps an environment with the time of its last change, in whole seconds at best. A change in the second
that is already stamped does not move the stamp, so a stamp is trusted only once its second was over when the sweep
behind it began: then it is *settled*. And the sweep must account for it: a list without anything as young may be an
old answer, so upstream is asked once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = [
    "BEACON_TRUST",
    "OLDEST_ANSWER",
    "STAMP_DELAY",
    "Beacon",
    "is_explained",
    "is_settled",
    "is_trusted",
    "settling_seconds",
]

SETTLING = timedelta(seconds=2)
STAMP_DELAY = timedelta(seconds=1)  # upstream may stamp its last change a little late
BEACON_TRUST = timedelta(hours=24)
OLDEST_ANSWER = timedelta(days=1)
"""No answer of a cache, or of a replica that lags behind, is older than this."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """Upstream's stamp of the last change (None: never, or not for this token), and upstream's clock beside it."""

    last_data_change_at: datetime | None
    at: datetime | None


def is_settled(beacon: Beacon, swept_at: datetime | None) -> bool:
    """Whether no change can hide in the stamp's own second from a sweep that began at `swept_at`, upstream's clock."""
    if beacon.last_data_change_at is None or swept_at is None:
        return False
    return swept_at - beacon.last_data_change_at >= SETTLING


def is_explained(stamp: datetime | None, youngest: datetime | None, *, last: datetime | None) -> bool:
    """Whether a listing whose last edit or publication was at `youngest` can be one of after the `stamp`.

    It can if that is as young as the stamp. A deletion or a change of the schema leaves nothing as young: then the
    stamp has to be the one of the last look, too, `last` (None: there was none, or in another environment).
    """
    if stamp is None or stamp == last:
        return True
    return youngest is not None and youngest >= stamp - STAMP_DELAY and (last is None or youngest > last)


def settling_seconds(beacon: Beacon) -> float:
    """How long to wait before a sweep, so that the stamp is settled when it begins; at most two seconds."""
    if beacon.last_data_change_at is None or beacon.at is None:
        return 0.0
    missing = SETTLING - (beacon.at - beacon.last_data_change_at)
    return min(max(missing.total_seconds(), 0.0), SETTLING.total_seconds())


def is_trusted(
    *, was_settled: bool, last_complete_sweep_at: datetime | None, now: datetime, trust: timedelta = BEACON_TRUST
) -> bool:
    """Whether the last stamp can be built on: it was settled, under a complete sweep no longer ago than `trust`.

    One that was far ahead of now is as good as none: the clock was wrong then.
    """
    return was_settled and last_complete_sweep_at is not None and abs(now - last_complete_sweep_at) < trust
