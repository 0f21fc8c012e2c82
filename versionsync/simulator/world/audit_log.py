"""The audit log: who asked for which change, kept apart from the log of all requests."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import msgspec

from versionsync.simulator.world.people import Editor, Role
from versionsync.simulator.world.times import TimeFormat

__all__ = ["NOT_AUDITED", "AuditEvent", "AuditLog", "action_name", "lowest_id", "occurred_at"]

EVENTS_KEPT: Final = 1_000
LARGEST_PAYLOAD_BYTES: Final = 64 * 1024
"""What is longer is logged as if it were empty."""
NOT_AUDITED: Final = frozenset({"/items/validate", "/items/{item_id}/validate", "/audit-log-events/query"})
"""Routes that change nothing although they are no GET."""

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS: Final = 80
_SUB_RESOURCES: Final = frozenset({"fields", "fieldsets", "scheduled_publication", "scheduled_unpublishing", "tracks"})
_OTHER_NAMES: Final = {"versions": "item_versions", "tracks": "upload_tracks"}
_VERBS: Final = {"POST": "create", "PUT": "update", "DELETE": "destroy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """A request that was done as it wanted. *request* and *response* are JSON texts, or empty."""

    id: str
    at: datetime
    action: str
    actor: Editor
    role: Role
    environment: str
    is_primary: bool
    method: str
    path: str
    request_id: str
    request: bytes
    status: int
    response: bytes

    def document(self, *, detailed: bool, read: Callable[[bytes], Any] = msgspec.Raw) -> dict[str, Any]:
        """The attributes; only with *detailed* what was sent and answered, as *read* gives it."""
        request = {"id": self.request_id, "method": self.method, "path": self.path}
        return {
            "action_name": self.action,
            "actor": {"type": self.actor.kind.value, "id": self.actor.id, "name": self.actor.email or self.actor.name},
            "role": {"id": self.role.id, "name": self.role.name},
            "environment": {"id": self.environment, "primary": self.is_primary},
            "request": {**request, "payload": read(self.request or b"null")} if detailed else request,
            "response": {"status": self.status, "payload": read(self.response or b"{}")} if detailed else None,
            "impersonated": False,
        }


class AuditLog:
    """The latest events of a project, from the oldest to the newest."""

    def __init__(self) -> None:
        self._events: deque[AuditEvent] = deque(maxlen=EVENTS_KEPT)
        self._latest = 0

    @cached_property
    def _random(self) -> random.Random:
        """Made when it is needed: it takes 2.5 KB, and most of a thousand projects are only read."""
        return random.Random("audit log")  # noqa: S311 - repeatable on purpose

    def add(self, at: datetime, **known: Any) -> None:
        """Note an event that happened at *at*; *known*: the members of `AuditEvent` besides `id`."""
        self._latest = max(self._latest + 1, _ulid_number(at) | self._random.getrandbits(_RANDOM_BITS))
        for payload in ("request", "response"):
            if len(known[payload]) > LARGEST_PAYLOAD_BYTES:
                known[payload] = b""
        known["request"] = known["request"].strip()
        self._events.append(AuditEvent(id=_ulid(self._latest), at=at, **known))

    def __iter__(self) -> Iterator[AuditEvent]:
        return iter(self._events)

    def __reversed__(self) -> Iterator[AuditEvent]:
        return reversed(self._events)


def action_name(method: str, route: str) -> str:
    """What upstream calls the act of a request: `items.publish`, `item_bulk_operations.destroy`, `fields.create`."""
    names = [part.replace("-", "_") for part in route.strip("/").split("/") if not part.startswith("{")]
    match names:
        case [resources, "bulk", act]:
            return f"{resources.removesuffix('s')}_bulk_operations.{act}"
        case [_, sub] if sub in _SUB_RESOURCES:
            plural = sub if sub.endswith("s") else f"{sub}s"
            return f"{_OTHER_NAMES.get(plural, plural)}.{_VERBS[method]}"
        case [resources, *_, act]:
            return f"{_OTHER_NAMES.get(resources, resources)}.{act}"
        case _:
            resources = names[0] if names else ""
            return f"{_OTHER_NAMES.get(resources, resources)}.{_VERBS.get(method, method.lower())}"


def lowest_id(seconds: float) -> str:
    """The lowest id of an event at this Unix time."""
    return _ulid(_ulid_number(datetime.fromtimestamp(seconds, UTC)))


def occurred_at(event: AuditEvent) -> str:
    """When *event* happened, as the log says it: in UTC, with milliseconds."""
    return TimeFormat(UTC, milliseconds=True).show(event.at)


def _ulid_number(at: datetime) -> int:
    return int(at.timestamp() * 1000) << _RANDOM_BITS


def _ulid(number: int) -> str:
    """The 26 characters of a ULID."""
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
