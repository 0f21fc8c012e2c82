"""The state of the project that all actions share: environments, people, clock and facts."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import EnvironmentMade, EventLog
from versionsync.simulator.world.ids import Ids, is_valid
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.people_roles_tokens import (
    ABILITIES,
    FULL_ACCESS_TOKEN,
    Editor,
    EditorKind,
    People,
    Role,
    Token,
)
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.times import Clock, TimeFormat, zone_named
from versionsync.simulator.world.uploads import Upload

__all__ = ["Notification", "NotificationType", "WorldState"]


class NotificationType(StrEnum):
    """What a webhook can report."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    PROMOTE = "promote"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Notification:
    """A change for webhooks: *entity* in its new state, and the record's document before it.

    Without an entity it is about the maintenance mode of the project.
    """

    type: NotificationType
    environment: Environment
    entity: Record | Model | Environment | Upload | None
    at: datetime
    before: bytes | None = None


class WorldState:
    """One simulated project. `World` adds the actions."""

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        project_id: str = "205",
        name: str = "Simulated project",
        environment: str = "main",
        locales: tuple[str, ...] = ("en",),
        timezone: str = "UTC",
        options: SimulatorOptions | None = None,
        token: str = FULL_ACCESS_TOKEN,
    ) -> None:
        """Create an empty project with one environment, an editor of each kind and the API token *token*.

        *seed* determines all ids, *clock* (None: a running one) all times.
        """
        self.seed = seed
        self.clock = clock or Clock()
        self.project_id = project_id
        self.name = name
        self.timezone = timezone
        self.token = token
        self.options = options or SimulatorOptions()
        self.ids = Ids(seed)
        self.event_log = EventLog()
        self.people = People()
        self.maintenance_mode = False
        self.sequence = 0
        self._acting_at: datetime | None = None
        self._listeners: list[Callable[[Notification], None]] = []
        self._describe_before: Callable[[Environment, Record], bytes | None] | None = None
        self._add_people()
        self.created_at = self.now()
        first = Environment(environment, self.created_at, list(locales), is_primary=True)
        self.environments: dict[str, Environment] = {environment: first}
        self.event_log.write(EnvironmentMade(self.created_at, environment))

    def _add_people(self) -> None:
        add, number = self.people.add, self.ids.number
        admin = self.people.add_role(Role(self.ids.new(), "Admin"))
        self.account = add(Editor(EditorKind.ACCOUNT, number(), "Ada Owner", "ada@example.com"))
        self.organization = add(Editor(EditorKind.ORGANIZATION, number(), "Example Press"))
        self.user = add(Editor(EditorKind.USER, number(), "Ben Writer", "ben@example.com", admin.id))
        self.sso_user = add(Editor(EditorKind.SSO_USER, self.ids.new(), "Cleo Editor", "cleo@example.com", admin.id))
        self.api = Editor(EditorKind.ACCESS_TOKEN, number(), "Full-access API token", role_id=admin.id)
        self.people.add_token(Token(self.token, self.api, admin))
        self._add_role_of_editors()

    def _add_role_of_editors(self) -> None:
        """Add the other role that upstream creates with every project: all content, no settings."""
        denied: dict[str, Any] = dict.fromkeys(set(ABILITIES) - {"can_edit_favicon"}, False)
        self.people.add_role(Role(self.ids.new(), "Editor", environments_access="primary_only", **denied))

    def now(self) -> datetime:
        """Return the time in milliseconds: upstream keeps them even if it prints whole seconds."""
        now = self._acting_at or self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    @property
    def zone(self) -> tzinfo:
        return zone_named(self.timezone)

    @property
    def time_format(self) -> TimeFormat:
        return TimeFormat(self.zone, self.options.milliseconds, self.options.times_with_offset)

    @contextmanager
    def acting_at(self, at: datetime) -> Iterator[None]:
        """Let actions within this block happen at *at*, such as plans that the clock carries out late."""
        before, self._acting_at = self._acting_at, at
        try:
            yield
        finally:
            self._acting_at = before

    @property
    def primary(self) -> Environment:
        return next(environment for environment in self.environments.values() if environment.is_primary)

    def environment(self, environment_id: str | None = None) -> Environment:
        """Return the environment with this id; None: the primary one. Raise ApiError (404)."""
        if environment_id is None:
            return self.primary
        if found := self.environments.get(environment_id):
            return found
        raise ApiError("INVALID_ENVIRONMENT", 404, environment=environment_id)

    def new_id(self, wanted: str | None, taken: Container[str]) -> str:
        """Return a new id; *wanted*, if an editor chose it. Raise ApiError (422) if it is no id, or *taken*."""
        if wanted is None:
            return self.ids.new()
        if not is_valid(wanted):
            raise ApiError("INVALID_ENTITY_ID", id=wanted)
        if wanted in taken:
            raise ApiError("INVALID_ENTITY_ID", id=wanted, reason="taken")
        return wanted

    def next_sequence(self) -> int:
        """Return a number larger than all before."""
        self.sequence += 1
        return self.sequence

    def listen(
        self, listener: Callable[[Notification], None], *, describe: Callable[[Environment, Record], bytes | None]
    ) -> None:
        """Call *listener* with each notification; *describe* returns a record's document before it changes."""
        self._listeners.append(listener)
        self._describe_before = describe

    def before(self, where: Environment, record: Record) -> bytes | None:
        """Return the current document of *record*, if a listener needs it."""
        return self._describe_before(where, record) if self._describe_before else None

    def notify(
        self,
        type: NotificationType,
        environment: Environment,
        entity: Record | Model | Environment | Upload | None,
        before: bytes | None = None,
    ) -> None:
        if self._listeners:
            notification = Notification(type, environment, entity, self.now(), before)
            for listener in self._listeners:
                listener(notification)
