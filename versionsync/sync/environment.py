"""Which environment a source mirrors, and when anything in it last changed: one request, as a rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from versionsync import cma
from versionsync.sync.beacon import Beacon

__all__ = ["Place", "find_environment"]

NOT_WHOLE = frozenset({"creating", "destroying"})


@dataclass(frozen=True, slots=True)
class Place:
    """An environment as it is now. `created_at` tells it from another one that took its name."""

    environment: str
    created_at: datetime | None
    beacon: Beacon


async def find_environment(client: cma.Client, *, named: str | None, last: str | None, now: datetime) -> Place:
    """The environment named in the settings, or else the primary one; `last` is the one that was mirrored so far.

    A followed primary environment costs one request while it stays the primary one, and one more when it does not.
    A token that may not read environments still gets the one that answers it, without a beacon. Raises
    EnvironmentUnknown if the named one is not there, Unavailable while it is not whole, and CmaError.
    """
    try:
        found = await _find(client, named, last)
    except cma.PermissionDenied:
        return await _answering(client, named)
    if found.status in NOT_WHOLE:  # what is not copied yet, or is gone already, was not deleted
        raise cma.Unavailable(
            f"the environment {found.id} is {found.status}, so that not all of it can be read",
            request=f"GET /environments/{found.id}",
        )
    offset = client.clock_offset or timedelta()
    return Place(found.id, found.created_at, Beacon(found.last_data_change_at, now + offset))


async def _find(client: cma.Client, named: str | None, last: str | None) -> cma.Environment:
    if named is not None:
        try:
            return await client.environment(named)
        except cma.NotFound as error:
            raise cma.EnvironmentUnknown(f"there is no environment {named!r}", request=error.request) from error
    if last is not None:
        try:
            environment = await client.environment(last)
        except (cma.NotFound, cma.EnvironmentUnknown):
            pass  # it was destroyed: another one is the primary now
        else:
            if environment.primary:
                return environment
    for environment in await client.environments():
        if environment.primary:
            return environment
    raise cma.EnvironmentUnknown("no environment of this project is the primary one", request="GET /environments")


async def _answering(client: cma.Client, named: str | None) -> Place:
    await client.site()
    answered = named or client.last_environment
    if answered is None:
        raise cma.EnvironmentUnknown(
            "this token may not read environments, and no answer names its own: name one in the settings",
            request="GET /site",
        )
    return Place(answered, None, Beacon(None, None))
