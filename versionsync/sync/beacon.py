"""The beacon: one request that shows whether anything changed in the environment.

DatoCMS stamps an environment with the time of its last change, in whole seconds at best. A change within the stamped
second does not move the stamp. So a stamp is *settled* only if its second was over when the sweep behind it began.
Only a settled stamp is trusted. The sweep must also explain the stamp: a list without any change as recent may be an
old answer, so DatoCMS is asked once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from versionsync import cma
from versionsync.mirror.tables.sources import Project, SourceRow, check_same_project

__all__ = [
    "BEACON_TRUST",
    "MAX_ANSWER_AGE",
    "STAMP_DELAY",
    "ActiveEnvironment",
    "is_explained",
    "is_first_sync",
    "is_other_environment",
    "is_settled",
    "is_trusted",
    "read_beacon",
    "settling_seconds",
]

INCOMPLETE_STATES = frozenset({"creating", "destroying"})
SETTLING = timedelta(seconds=2)
STAMP_DELAY = timedelta(seconds=1)  # DatoCMS may stamp its last change a little late
BEACON_TRUST = timedelta(hours=24)
MAX_ANSWER_AGE = timedelta(days=1)
"""No answer of a cache, or of a replica that lags behind, is older than this."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """The time of the last change in DatoCMS, and DatoCMS's clock when that was read.

    `last_data_change_at` is None if nothing ever changed, or if the token may not read it.
    """

    last_data_change_at: datetime | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ActiveEnvironment:
    """The environment of a run. `created_at` distinguishes it from a later one with the same name."""

    environment: str
    created_at: datetime | None
    beacon: Beacon


async def read_beacon(
    client: cma.Client, *, environment: str | None, known: SourceRow | None, now: datetime
) -> ActiveEnvironment:
    """Return the environment to sync, with its beacon.

    A primary environment costs one request while it stays the primary one, and one more after a promotion. If the
    token may not read environments, the result has no beacon.

    Args:
        environment: The environment that the settings name. None: the primary one.
        known: The source's row from before the run. None: it was never synced.
        now: The local time.

    Raises:
        EnvironmentNotFound: If the named environment does not exist.
        WrongProject: If it does not exist because the token belongs to another project.
        Unavailable: If DatoCMS is still creating the environment, or destroying it.
        CmaError: If DatoCMS does not answer.
    """
    try:
        return await _read(client, environment, known.project.environment if known else None, now)
    except cma.EnvironmentNotFound:
        if known is not None:
            site = await client.with_environment(None).site()
            check_same_project(known, replace(known.project, id=site.id, name=site.name))
        raise


async def _read(client: cma.Client, named: str | None, last: str | None, now: datetime) -> ActiveEnvironment:
    try:
        found = await _find(client, named, last)
    except cma.PermissionDenied:
        return await _environment_of_answer(client, named)
    if found.status in INCOMPLETE_STATES:  # records may not be copied yet, or be gone already: they were not deleted
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
            pass  # it was destroyed, so another one is the primary now
        else:
            if environment.primary:
                return environment
    for environment in await client.environments():
        if environment.primary:
            return environment
    raise cma.EnvironmentNotFound("no environment of this project is the primary one", request="GET /environments")


async def _environment_of_answer(client: cma.Client, named: str | None) -> ActiveEnvironment:
    await client.site()
    environment = named or client.last_environment
    if environment is None:
        raise cma.EnvironmentNotFound(
            "this token may not read environments, and no answer names its own: name one in the settings",
            request="GET /site",
        )
    return ActiveEnvironment(environment, None, Beacon(None, None))


def is_other_environment(known: Project, active: ActiveEnvironment) -> bool:
    """Return whether the mirror holds another environment than `active`, or an earlier one with the same name."""
    return (known.environment, known.environment_created_at) != (active.environment, active.created_at)


def is_first_sync(known: SourceRow, active: ActiveEnvironment) -> bool:
    """Return whether no run has swept this environment yet, so that the mirror's state says nothing about it."""
    if is_other_environment(known.project, active):
        return True
    if known.checkpoint.last_complete_sweep_at is None or active.beacon.last_data_change_at is None:
        return False
    return known.checkpoint.last_data_change_at is None  # a run saw the new environment, and ended before its sweep


def is_settled(beacon: Beacon, swept_at: datetime | None) -> bool:
    """Return whether a sweep that began at `swept_at`, by DatoCMS's clock, saw every change in the stamp's second."""
    if beacon.last_data_change_at is None or swept_at is None:
        return False
    return swept_at - beacon.last_data_change_at >= SETTLING


def is_explained(stamp: datetime | None, newest_update: datetime | None, *, last: datetime | None) -> bool:
    """Return whether a list whose newest change was at `newest_update` can be later than the change at `stamp`.

    It can be if it has a change as recent as the stamp. A deletion or a schema change leaves none. Then the stamp must
    be that of the previous run, `last`. (None: there was none, or it was in another environment.)
    """
    if stamp is None or stamp == last:
        return True
    return newest_update is not None and newest_update >= stamp - STAMP_DELAY and (last is None or newest_update > last)


def settling_seconds(beacon: Beacon) -> float:
    """Return how long to wait before a sweep, so that the stamp is settled when it begins. At most two seconds."""
    if beacon.last_data_change_at is None or beacon.at is None:
        return 0.0
    remaining = SETTLING - (beacon.at - beacon.last_data_change_at)
    return min(max(remaining.total_seconds(), 0.0), SETTLING.total_seconds())


def is_trusted(
    *, was_settled: bool, last_complete_sweep_at: datetime | None, now: datetime, trust: timedelta = BEACON_TRUST
) -> bool:
    """Return whether the last stamp is reliable: it was settled, and a complete sweep was less than `trust` ago.

    A sweep far in the future counts as none: the clock was wrong then.
    """
    return was_settled and last_complete_sweep_at is not None and abs(now - last_complete_sweep_at) < trust
