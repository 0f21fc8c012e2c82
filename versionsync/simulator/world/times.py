"""Time in a simulated project: its clock, the text of times in answers, and date-times within stored content."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from versionsync.simulator.errors import ApiError, invalid_field
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.models import Model

__all__ = ["DEFAULT_START", "Clock", "DateTimes", "TimeFormat", "parse_time", "zone_named"]

DEFAULT_START: Final = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
"""The default time of a stopped clock: when intervals of publication are tracked already."""


class Clock:
    """The simulator's only source of time, always aware UTC. It runs with the real clock, or stands still.

    Tests stop it, so that actions fall in the same second on purpose.
    """

    __slots__ = ("_offset", "_stopped_at")

    def __init__(self, start: datetime | None = None, *, stopped: bool = False) -> None:
        """Start at *start* (by default: now, or `DEFAULT_START` if it is stopped)."""
        self._offset = timedelta(0)
        self._stopped_at: datetime | None = _utc(start or DEFAULT_START) if stopped else None
        if start is not None and not stopped:
            self.set(start)

    @classmethod
    def stopped(cls, at: datetime | None = None) -> Clock:
        """Return a clock that stands at *at* until it is moved."""
        return cls(at, stopped=True)

    @property
    def is_stopped(self) -> bool:
        """Whether time passes only when this clock is moved."""
        return self._stopped_at is not None

    def now(self) -> datetime:
        """Return the time with microseconds."""
        if self._stopped_at is not None:
            return self._stopped_at
        return datetime.now(UTC) + self._offset

    def set(self, at: datetime) -> None:
        """Move the clock to *at*, forward or back; it continues to run, or to stand, from there."""
        at = _utc(at)
        if self._stopped_at is not None:
            self._stopped_at = at
        else:
            self._offset = at - datetime.now(UTC)

    def advance(self, by: timedelta) -> datetime:
        """Move the clock by *by* (negative: back) and return the new time."""
        self.set(self.now() + by)
        return self.now()

    def stop(self) -> None:
        self._stopped_at = self.now()

    def run(self) -> None:
        if self._stopped_at is not None:
            self._offset, self._stopped_at = self._stopped_at - datetime.now(UTC), None


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone; the simulator's clock needs an aware time")
    return at.astimezone(UTC)


_NAMES_OF_UTC: Final = frozenset({"UTC", "Etc/UTC"})
_OFFSET_LENGTH: Final = len("+00:00")


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """The format of times in answers. It changes their text, never the instant."""

    zone: tzinfo = UTC
    """The project's time zone; times have its offset."""
    milliseconds: bool = False
    """Print milliseconds; otherwise whole seconds."""
    utc_with_offset: bool = False
    """Print `+00:00` in UTC rather than `Z`."""

    def show(self, at: datetime) -> str:
        text = at.astimezone(self.zone).isoformat(timespec="milliseconds" if self.milliseconds else "seconds")
        return text[:-_OFFSET_LENGTH] + "Z" if self.zone is UTC and not self.utc_with_offset else text


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """Return the time zone called *name*. Raise ApiError (422)."""
    if name in _NAMES_OF_UTC:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid_field("timezone", "VALIDATION_INCLUSION", value=name) from None


def parse_time(text: str) -> datetime:
    """Return the time in a request; without an offset it is UTC. Raise ApiError (422)."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError("INVALID_DATE", value=text) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_CANDIDATE: Final = re.compile(rb'"(\d{4}-\d\d-\d\d[T ][\d:.+Z-]+)"')

Show = Callable[[datetime], str]
"""Returns the text of an instant."""


class DateTimes:
    """Finds the values of `date_time` fields in content, at any depth, and gives them another text or instant."""

    __slots__ = ("_any_in_blocks", "_keys", "_models")

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models
        self._keys = {id: keys for id, model in models.items() if (keys := _date_time_keys(model))}
        self._any_in_blocks = any(models[id].is_block for id in self._keys)

    def may_be_in(self, model: Model, *, blocks: bool = True) -> bool:
        """Return whether content of *model* can have date-times; *blocks*: those in complete blocks count."""
        return model.id in self._keys or (blocks and self._any_in_blocks and bool(model.block_keys))

    def printed(self, text: bytes, model: Model, show: Show, *, blocks: bool = True) -> bytes:
        """Return the content *text* of *model* with each date-time in the form of *show*.

        Texts that are no date-times stay unchanged. *blocks*: those in complete blocks change too.
        """
        if not self.may_be_in(model, blocks=blocks):
            return text
        # Most content has the right texts already: this check needs no decoding.
        if all((value := found[1].decode()) == _printed(value, show) for found in _CANDIDATE.finditer(text)):
            return text
        members = contents.split(text)
        keys = (*self._keys.get(model.id, ()), *(model.block_keys if blocks and self._any_in_blocks else ()))
        values = {key: contents.load(members[key]) for key in keys if key in members}
        changed = self._changed(values, model, show)
        return contents.join(members | {key: contents.raw(value) for key, value in changed.items()})

    def _changed(self, values: Mapping[str, Json], model: Model, show: Show) -> dict[str, Json]:
        """Return the *values* of fields of *model* with each date-time in the form of *show*."""
        changed = dict(values)
        for key in values.keys() & self._keys.get(model.id, frozenset()):
            changed[key] = _printed(values[key], show)
        for key in values.keys() & set(model.block_keys):
            changed[key] = contents.map_blocks(values[key], lambda block: self._block(block, show))
        return changed

    def _block(self, block: Json, show: Show) -> Json:
        model = self._models.get(contents.model_id(block)) if contents.is_block(block) else None
        return block if model is None else {**block, "attributes": self._changed(block["attributes"], model, show)}


def _date_time_keys(model: Model) -> frozenset[str]:
    keys = {field.api_key for field in model.fields.values() if field.field_type == "date_time"}
    return frozenset(keys | {old for old, new in model.previous_keys.items() if new in keys})


def _printed(value: Json, show: Show) -> Json:
    if isinstance(value, dict):
        return {locale: _printed(inner, show) for locale, inner in value.items()}
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return show(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
