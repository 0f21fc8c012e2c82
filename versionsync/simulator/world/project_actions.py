"""What administrators do to the project: its settings, the format of its times, and its environments."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import partial

from versionsync.simulator.errors import ApiError, invalid_field
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import (
    Cause,
    EnvironmentDestroyed,
    EnvironmentForked,
    EnvironmentPromoted,
    EnvironmentRenamed,
)
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.schema_actions import SchemaActions
from versionsync.simulator.world.state import NotificationType
from versionsync.simulator.world.times import DateTimes, zone_named

__all__ = ["ProjectActions"]


class ProjectActions(SchemaActions):
    """Actions on the project. Changes of settings move the beacon of the environment in which they happen."""

    def update_site(
        self,
        editor: Editor,
        *,
        name: str | None = None,
        timezone: str | None = None,
        locales: Iterable[str] | None = None,
        environment: str | None = None,
    ) -> None:
        """Change the given settings. A new *timezone* changes the text of all times.

        It changes the instants of `date_time` fields only without `improved_timezone_management`.
        """
        where = self.environment(environment)
        if timezone is not None:
            zone_named(timezone)
        self.name = name or self.name
        for locale in [] if locales is None else _missing(where.locales, list(locales)):
            self.add_locale(editor, locale, environment=where.id)
        for locale in [] if locales is None else _missing(list(locales), where.locales):
            self.remove_locale(editor, locale, environment=where.id)
        if timezone is not None and timezone != self.timezone:
            old, self.timezone = self.zone, timezone
            if not self.options.improved_timezone_management:
                self._move_date_times(old, self.zone)
        where.touch(self.now())

    def activate_milliseconds(self, editor: Editor, *, environment: str | None = None) -> None:
        """Print milliseconds from now on, also in past times."""
        self.options.milliseconds = True
        self.environment(environment).touch(self.now())

    def activate_improved_timezone_management(self, editor: Editor, *, environment: str | None = None) -> None:
        """Keep the instants of `date_time` fields when the time zone changes."""
        self.options.improved_timezone_management = True
        self.environment(environment).touch(self.now())

    def set_read_only_mode(self, editor: Editor, active: bool, *, environment: str | None = None) -> Environment:
        """Refuse the writes to an environment, or accept them again: what upstream does while a fast fork runs."""
        where = self.environment(environment)
        where.is_read_only = active
        return where

    def set_maintenance_mode(self, editor: Editor, active: bool) -> None:
        """Refuse writes from now on, or no longer."""
        if active is not self.maintenance_mode:
            self.maintenance_mode = active
            self.notify(NotificationType.CHANGE, self.primary, None)

    def fork(self, editor: Editor, source: str, new_id: str) -> Environment:
        """Copy *source* as *new_id*; it is `creating` for the time of the switch `fork_duration`."""
        if new_id in self.environments:
            raise invalid_field("id", "VALIDATION_UNIQUE")
        origin = self.environment(source)
        now = self.now()
        origin.check_ready(now)
        renew = None if self.options.forks_keep_version_ids else self.ids.new
        forked, version_ids = origin.fork(new_id, now, renew)
        if self.options.fork_duration:
            forked.ready_at = now + self.options.fork_duration
        self.environments[new_id] = forked
        self.event_log.write(EnvironmentForked(now, new_id, source, version_ids))
        self.notify(NotificationType.CREATE, forked, forked)
        return forked

    def remember(self) -> None:
        """Keep the current records of all environments for lagging answers (`FaultKind.LAGGING`)."""
        for environment in self.environments.values():
            environment.remember()

    def promote(self, editor: Editor, environment_id: str) -> Environment:
        promoted = self.environment(environment_id)
        promoted.check_ready(self.now())
        for environment in self.environments.values():
            environment.is_primary = environment is promoted
        self.event_log.write(EnvironmentPromoted(self.now(), environment_id))
        self.notify(NotificationType.PROMOTE, promoted, promoted)
        return promoted

    def rename(self, editor: Editor, environment_id: str, new_id: str) -> Environment:
        renamed = self.environment(environment_id)
        if new_id in self.environments:
            raise invalid_field("id", "VALIDATION_UNIQUE")
        renamed.id = new_id
        self.environments = {environment.id: environment for environment in self.environments.values()}
        self.event_log.write(EnvironmentRenamed(self.now(), new_id, environment_id))
        self.notify(NotificationType.UPDATE, renamed, renamed)
        return renamed

    def destroy_environment(self, editor: Editor, environment_id: str) -> Environment:
        """Remove an environment with its contents. The primary one cannot be removed."""
        destroyed = self.environment(environment_id)
        if destroyed.is_primary:
            raise ApiError("INVALID_ENVIRONMENT", environment=environment_id, reason="it is the primary one")
        del self.environments[environment_id]
        self.event_log.write(EnvironmentDestroyed(self.now(), environment_id))
        self.notify(NotificationType.DELETE, destroyed, destroyed)
        return destroyed

    def _move_date_times(self, old: tzinfo, new: tzinfo) -> None:
        """Make every `date_time` field show the same hour in the *new* zone as in the *old* one."""
        for where in self.environments.values():
            found = DateTimes(where.models)
            for version in list(where.versions.values()):
                model = version.record.model
                if found.may_be_in(model):
                    moved = found.printed(version.read(), model, partial(_same_hour, old, new))
                    self._rewrite(where, version, moved, Cause.TIME_ZONE_CHANGED)
            where.touch(self.now(), moves_beacon=False)


def _missing(known: list[str], wanted: list[str]) -> list[str]:
    return [locale for locale in wanted if locale not in known]


def _same_hour(old: tzinfo, new: tzinfo, at: datetime) -> str:
    moved = at.astimezone(old).replace(tzinfo=new).astimezone(UTC)
    return moved.isoformat().removesuffix("+00:00") + "Z"
