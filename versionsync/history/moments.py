"""Read a time in any usual form: `2026-03-03 12:00`, `3 March 2026`, `yesterday`, `2 days ago`, `last friday`.

A time without a zone is one of the zone that the caller names: that of the project. What was understood is shown, with
its zone. What could mean two days is refused: `03/04/2026`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from versionsync.history.errors import OddTime
from versionsync.text import nearest

__all__ = ["FORMS", "Moment", "in_zone", "name_of_zone", "read_moment", "zone_named", "zone_of_projects"]

FORMS: Final = (
    "Write 2026-03-03, 2026-03-03 12:00, 2026-03-03T12:00:00+01:00, 3 March 2026 12:00, 12:00, yesterday, "
    "2 days ago, last friday or now. A zone may follow: UTC, +01:00, Europe/Rome."
)

_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS: Final = (
    "a",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_UNITS: Final = {
    "s": "second",
    "sec": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
    "yr": "year",
    **{name: name for name in (*_SECONDS, "month", "year")},
}

_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS).replace("sep(?:tember)?", "sep(?:t(?:ember)?)?")
_DAY = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _DAYS)
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_AMOUNT = rf"(\d+|{'|'.join((*_NUMBERS[1:], 'an', 'a'))})\s*({_UNIT})s?"

_AGO = re.compile(rf"((?:{_AMOUNT}(?:\s*,?\s+(?:and\s+)?)?)+?)(?:\s*ago)?")
_ONE_AMOUNT = re.compile(_AMOUNT)
_LAST_UNIT = re.compile(r"last\s+(week|month|year)")
_EPOCH = re.compile(r"@(-?\d{1,12})(?:\.(\d{1,6}))?|(\d{9,10})|(\d{13})")
_ZONE_NAME = re.compile(r"(?:(?<=\d)|(?<=[ap]m)|\s)\s*\(?(z|utc|gmt|[a-z]+(?:/[a-z0-9_+\-]+)+)\)?$")
_OFFSET = re.compile(r"(:\d\d(?:[.,]\d+)?(?:\s*[ap]m)?)\s*([+-])(\d\d)(?::?(\d\d))?$")
_CLOCK = r"(?:(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*([ap]m)?|(\d{1,2})\s*([ap]m)|(noon|midnight))"
_CLOCK_LAST = re.compile(rf"(?:(.*?)(?:\s*,\s*|\s+at\s+|\s+|(?<=\d)t))?{_CLOCK}")
_CLOCK_FIRST = re.compile(rf"{_CLOCK}(?:\s*,\s*|\s+on\s+|\s+)(.+)")
_WEEKDAY = re.compile(rf"(last\s+|this\s+|on\s+)?({_DAY})")
_WEEKDAY_BEFORE = re.compile(rf"({_DAY})\s*,?\s+(?=\d|{_MONTH})(.+)")
_YEAR_FIRST = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2}))?)?")
_DAY_FIRST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_DAY_MONTH = re.compile(rf"(?:(\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?)?({_MONTH})\.?(?:,?\s+(\d{{4}}))?")
_MONTH_DAY = re.compile(rf"({_MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time that somebody wrote, as it was understood.

    Attributes:
        time: The instant, in UTC.
        zone: The zone that it was read in: its own, or the one for times without a zone.
    """

    time: datetime
    zone: tzinfo

    def __str__(self) -> str:
        """Return it with its zone: `2026-03-03 12:00:00 UTC`, `2026-03-03 12:00:00 +01:00 (Europe/Rome)`."""
        local = self.time.astimezone(self.zone)
        # A fraction of more than three digits comes from a clock, not from a person.
        has_fraction = local.microsecond and local.microsecond % 1000 == 0
        text = local.isoformat(sep=" ", timespec="milliseconds" if has_fraction else "seconds")
        name = name_of_zone(self.zone)
        if name == "UTC":
            return f"{text.removesuffix('+00:00')} UTC"
        spaced = f"{text[:-6]} {text[-6:]}"
        return spaced if name == text[-6:] else f"{spaced} ({name})"


def read_moment(text: str, *, now: datetime, zone: tzinfo = UTC) -> Moment:
    """Return the moment that `text` means.

    Args:
        text: A time in any usual form.
        now: The time that relative forms count from.
        zone: The zone of a time that names none.

    Raises:
        OddTime: It is not understood, does not exist, or could mean two days.
    """
    try:
        return _read(" ".join(text.split()), now, zone)
    except (OverflowError, ValueError) as error:
        raise OddTime(f"the time “{text}” does not exist ({error})", hint=FORMS) from None


def zone_named(name: str) -> tzinfo:
    """Return the zone of this name: `UTC`, `+01:00`, `Europe/Rome`. Raises OddTime."""
    folded = name.strip().casefold()
    if folded in ("utc", "z", "gmt", "etc/utc"):
        return UTC
    if offset := re.fullmatch(r"([+-])(\d\d)(?::?(\d\d))?", folded):
        return _fixed(*offset.groups())
    known = _zones()
    if folded in known:
        return ZoneInfo(known[folded])
    meant = nearest(folded, known.values())
    raise OddTime(
        f"there is no time zone {name}" if known else f"this system does not know the time zone {name}",
        hint=f"Did you mean {meant}?" if meant else "Write UTC, +01:00 or a name such as Europe/Rome.",
    )


def zone_of_projects(names: Iterable[str | None]) -> tzinfo:
    """Return the one zone that all projects have. If they differ, or if it is not known, that is UTC."""
    distinct = {name for name in names if name}
    if len(distinct) != 1:
        return UTC
    try:
        return zone_named(distinct.pop())
    except OddTime:
        return UTC


def name_of_zone(zone: tzinfo) -> str:
    """Return the name of a zone: `UTC`, `Europe/Rome`, `+01:00`."""
    if isinstance(zone, ZoneInfo):
        return zone.key
    return str(zone).removeprefix("UTC") or "UTC"


def in_zone(at: datetime | None, zone: tzinfo = UTC, *, seconds: bool = False) -> str:
    """Return a time for people in this zone, to the minute or to the second. None becomes a dash."""
    if at is None:
        return "–"
    return at.astimezone(zone).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds" if seconds else "minutes")


def _read(text: str, now: datetime, zone: tzinfo) -> Moment:
    folded = text.casefold()
    if folded == "now":
        return Moment(now.astimezone(UTC), zone)
    if epoch := _EPOCH.fullmatch(folded):
        return Moment(_since_1970(*epoch.groups()), UTC)
    if (iso := _iso(text)) is not None:
        return _moment(iso, zone if iso.tzinfo is None else iso.tzinfo)
    if named := _ZONE_NAME.search(folded):
        zone, folded = zone_named(named[1]), folded[: named.start()].rstrip()
    elif offset := _OFFSET.search(folded):
        zone, folded = _fixed(*offset.group(2, 3, 4)), folded[: offset.end(1)]
    here = now.astimezone(zone)
    if ago := _ago(folded, here):
        return Moment(ago.astimezone(UTC), zone)
    day_text, clock = _split(folded)
    day = _day(day_text, here.date()) if day_text else here.date()
    if day is None or not folded:
        raise OddTime(f"the time “{text}” is not understood", hint=FORMS)
    found = datetime.combine(day, clock or time())
    if not day_text and found > here.replace(tzinfo=None):
        found -= timedelta(days=1)  # the last time that a clock showed it
    return _moment(found, zone)


def _moment(local: datetime, zone: tzinfo) -> Moment:
    named = (
        UTC if zone.utcoffset(local.replace(tzinfo=None)) == timedelta(0) and not isinstance(zone, ZoneInfo) else zone
    )
    return Moment(local.replace(tzinfo=zone).astimezone(UTC), named)


def _iso(text: str) -> datetime | None:
    """Read ISO 8601. A bare year or date is left to `_day`."""
    try:
        return datetime.fromisoformat(text) if len(text) > 10 or "W" in text else None
    except ValueError:
        return None


def _since_1970(seconds: str | None, fraction: str | None, plain: str | None, milliseconds: str | None) -> datetime:
    if milliseconds:
        since = timedelta(milliseconds=int(milliseconds))
    else:
        since = timedelta(seconds=int(seconds or plain or 0), microseconds=int((fraction or "").ljust(6, "0") or 0))
    return datetime(1970, 1, 1, tzinfo=UTC) + since


def _fixed(sign: str | None, hours: str | None, minutes: str | None) -> tzinfo:
    read = datetime.strptime(f"{sign}{hours}{minutes or '00'}", "%z").tzinfo
    assert read is not None
    return UTC if read.utcoffset(None) == timedelta(0) else read


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def _ago(folded: str, here: datetime) -> datetime | None:
    if last := _LAST_UNIT.fullmatch(folded):
        return _back(here, 1, last[1])
    if not _AGO.fullmatch(folded):
        return None
    for amount in _ONE_AMOUNT.finditer(folded):
        words = amount[1]
        number = int(words) if words.isdecimal() else max(_NUMBERS.index("a" if words == "an" else words), 1)
        here = _back(here, number, _UNITS[amount[2]])
    return here


def _back(here: datetime, number: int, unit: str) -> datetime:
    """Return the time a number of units before. Days and longer keep the time of day; minutes are exact."""
    if unit in ("second", "minute", "hour"):
        exact = here.astimezone(UTC) - timedelta(seconds=number * _SECONDS[unit])
        return exact.astimezone(here.tzinfo)
    if unit in _SECONDS:
        return here - timedelta(seconds=number * _SECONDS[unit])
    months = here.year * 12 + here.month - 1 - number * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    last = ((date(year, month + 1, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    return here.replace(year=year, month=month + 1, day=min(here.day, last))


def _split(folded: str) -> tuple[str, time | None]:
    """Return the text of the day, and the time of day if there is one."""
    if found := _CLOCK_LAST.fullmatch(folded):
        day, *clock = found.groups()
        return day or "", _clock(*clock)
    if found := _CLOCK_FIRST.fullmatch(folded):
        *clock, day = found.groups()
        return day, _clock(*clock)
    return folded, None


def _clock(
    hour: str | None,
    minute: str | None,
    second: str | None,
    fraction: str | None,
    half: str | None,
    bare_hour: str | None,
    bare_half: str | None,
    word: str | None,
) -> time:
    if word:
        return time(12 if word == "noon" else 0)
    hours, half = int(hour or bare_hour or 0), half or bare_half
    if half:
        if not 1 <= hours <= 12:
            raise ValueError(f"{hours} {half}")
        hours = hours % 12 + (12 if half == "pm" else 0)
    micro = int((fraction or "")[:6].ljust(6, "0"))
    return time(hours, int(minute or 0), int(second or 0), micro)


def _day(text: str, today: date) -> date | None:
    """Return the day that `text` means, or None."""
    if text in ("today", "this day"):
        return today
    if text in ("yesterday", "tomorrow"):
        return today + timedelta(days=1 if text == "tomorrow" else -1)
    if weekday := _WEEKDAY.fullmatch(text):
        back = (today.weekday() - _index(_DAYS, weekday[2])) % 7
        return today - timedelta(days=7 if not back and (weekday[1] or "").startswith("last") else back)
    if stated := _WEEKDAY_BEFORE.fullmatch(text):
        day = _day(stated[2], today)
        if day is not None and day.weekday() != _index(_DAYS, stated[1]):
            raise ValueError(f"{day} is a {_DAYS[day.weekday()].title()}")
        return day
    return _calendar_day(text, today)


def _calendar_day(text: str, today: date) -> date | None:
    if found := _YEAR_FIRST.fullmatch(text):
        return date(int(found[1]), int(found[3] or 1), int(found[4] or 1))
    if found := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text):
        return date(*map(int, found.groups()))
    if found := _DAY_FIRST.fullmatch(text):
        return _day_or_month_first(int(found[1]), int(found[3]), int(found[4]), divider=found[2])
    if found := _DAY_MONTH.fullmatch(text):
        return _with_year(found[3], _index(_MONTHS, found[2]) + 1, int(found[1] or 1), today)
    if found := _MONTH_DAY.fullmatch(text):
        return _with_year(found[3], _index(_MONTHS, found[1]) + 1, int(found[2]), today)
    return None


def _day_or_month_first(first: int, second: int, year: int, *, divider: str) -> date:
    if divider == "." or first > 12 or first == second:
        return date(year, second, first)
    if second > 12:
        return date(year, first, second)
    one, other = date(year, second, first), date(year, first, second)
    raise OddTime(
        f"{first:02}{divider}{second:02}{divider}{year} could be {one.day} {one:%B} or {other.day} {other:%B}",
        hint=f"Write {one} or {other}.",
    )


def _with_year(year: str | None, month: int, day: int, today: date) -> date:
    """Return the day; without a year the last one that was not after today."""
    if year:
        return date(int(year), month, day)
    for back in range(8):  # 29 February is at most eight years ago
        try:
            found = date(today.year - back, month, day)
        except ValueError:
            continue
        if found <= today:
            return found
    return date(today.year, month, day)


def _index(names: tuple[str, ...], name: str) -> int:
    return next(number for number, full in enumerate(names) if full.startswith(name[:3]))
