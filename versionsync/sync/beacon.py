"""The first rung: one request that tells whether anything changed. Pure decisions.

Upstream stamps an environment with the time of its last change, in whole seconds at best. A change in the second
that is already stamped does not move the stamp, so a stamp is trusted only once its second was over when the sweep
behind it began: then it is *settled*. And the sweep must account for it: a list without anything as young may be an
old answer, so upstream is asked once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from versionsync import cma

__all__ = [
    "BEACON_TRUST",
    "MAX_ANSWER_AGE",
    "STAMP_DELAY",
    "ActiveEnvironment",
    "Beacon",
    "find_environment",
    "is_explained",
    "is_settled",
    "is_trusted",
    "settling_seconds",
]

INCOMPLETE_STATES = frozenset({"creating", "destroying"})


@dataclass(frozen=True, slots=True)
class ActiveEnvironment:
    """An environment as it is now. `created_at` tells it from another one that took its name."""

    environment: str
    created_at: datetime | None
    beacon: Beacon


async def find_environment(
    client: cma.Client, *, named: str | None, last: str | None, now: datetime
) -> ActiveEnvironment:
    """The environment named in the settings, or else the primary one; `last` is the one that was mirrored so far.

    A followed primary environment costs one request while it stays the primary one, and one more when it does not.
    A token that may not read environments still gets the one that answers it, without a beacon. Raises
    EnvironmentNotFound if the named one is not there, Unavailable while it is not whole, and CmaError.
    """
    try:
        found = await _find(client, named, last)
    except cma.PermissionDenied:
        return await _answering(client, named)
    if found.status in INCOMPLETE_STATES:  # what is not copied yet, or is gone already, was not deleted
        raise cma.Unavailable(
            f"the environment {found.id} is {found.status}, so that not all of it can be read",
            request=f"GET /environments/{found.id}",
        )
    offset = client.clock_offset or timedelta()
    return ActiveEnvironment(found.id, found.created_at, Beacon(found.last_data_change_at, now + offset))


async def _find(client: cma.Client, named: str | None, last: str | None) -> cma.Environment:
    if named is not None:
        try:
            return await client.environment(named)
        except cma.NotFound as error:
            raise cma.EnvironmentNotFound(f"there is no environment {named!r}", request=error.request) from error
    if last is not None:
        try:
            environment = await client.environment(last)
        except (cma.NotFound, cma.EnvironmentNotFound):
            pass  # it was destroyed: another one is the primary now
        else:
            if environment.primary:
                return environment
    for environment in await client.environments():
        if environment.primary:
            return environment
    raise cma.EnvironmentNotFound("no environment of this project is the primary one", request="GET /environments")


async def _answering(client: cma.Client, named: str | None) -> ActiveEnvironment:
    await client.site()
    answered = named or client.last_environment
    if answered is None:
        raise cma.EnvironmentNotFound(
            "this token may not read environments, and no answer names its own: name one in the settings",
            request="GET /site",
        )
    return ActiveEnvironment(answered, None, Beacon(None, None))


SETTLING = timedelta(seconds=2)
STAMP_DELAY = timedelta(seconds=1)  # upstream may stamp its last change a little late
BEACON_TRUST = timedelta(hours=24)
MAX_ANSWER_AGE = timedelta(days=1)
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
