"""What administrators do to the project as a whole: its name, its locales, its time zone, the format of its times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import partial

from versionsync.simulator.world.date_times import DateTimes
from versionsync.simulator.world.event_log import Cause
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.schema_actions import SchemaActions
from versionsync.simulator.world.state import NotificationType
from versionsync.simulator.world.times import zone_named

__all__ = ["SiteActions"]


class SiteActions(SchemaActions):
    """The acts on the project. They move the beacon of the environment in which they happen."""

    def update_site(
        self,
        editor: Editor,
        *,
        name: str | None = None,
        timezone: str | None = None,
        locales: Iterable[str] | None = None,
        environment: str | None = None,
    ) -> None:
        """Change what is given. A new *timezone* changes the text of all times.

        It moves instants, those of `date_time` fields alone, only without `improved_timezone_management`.
        """
        where = self.environment(environment)
        if timezone is not None:
            zone_named(timezone)
        self.name = name or self.name
        for locale in [] if locales is None else self._locales_to_add(where.locales, list(locales)):
            self.add_locale(editor, locale, environment=where.id)
        for locale in [] if locales is None else self._locales_to_add(list(locales), where.locales):
            self.remove_locale(editor, locale, environment=where.id)
        if timezone is not None and timezone != self.timezone:
            old, self.timezone = self.zone, timezone
            if not self.options.improved_timezone_management:
                self._move_date_times(old, self.zone)
        where.touch(self.now())

    def activate_milliseconds(self, editor: Editor, *, environment: str | None = None) -> None:
        """Print milliseconds from now on, also in times of the past."""
        self.options.milliseconds = True
        self.environment(environment).touch(self.now())

    def activate_improved_timezone_management(self, editor: Editor, *, environment: str | None = None) -> None:
        """Leave the instants of `date_time` fields alone when the time zone changes."""
        self.options.improved_timezone_management = True
        self.environment(environment).touch(self.now())

    def set_maintenance_mode(self, editor: Editor, active: bool) -> None:
        """Let writes wait from now on, or no longer."""
        if active is not self.maintenance_mode:
            self.maintenance_mode = active
            self.notify(NotificationType.CHANGE, self.primary, None)

    def _move_date_times(self, old: tzinfo, new: tzinfo) -> None:
        """Let every `date_time` field show the same hour in the *new* zone as it did in the *old* one."""
        for where in self.environments.values():
            found = DateTimes(where.models)
            for version in list(where.versions.values()):
                model = version.record.model
                if found.may_be_in(model):
                    moved = found.printed(version.read(), model, partial(_same_hour, old, new))
                    self._rewrite(where, version, moved, Cause.TIME_ZONE_CHANGED)
            where.touch(self.now(), moves_beacon=False)

    @staticmethod
    def _locales_to_add(known: list[str], wanted: list[str]) -> list[str]:
        return [locale for locale in wanted if locale not in known]


def _same_hour(old: tzinfo, new: tzinfo, at: datetime) -> str:
    moved = at.astimezone(old).replace(tzinfo=new).astimezone(UTC)
    return moved.isoformat().removesuffix("+00:00") + "Z"
