"""Times as upstream prints them: in whole seconds or finer, and in any zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

__all__ = ["FORMATS", "INSTANTS", "Format", "print_time"]


@dataclass(frozen=True)
class Format:
    """How a project prints its times. `offset` is in minutes, None prints `mark`."""

    decimals: int
    offset: int | None
    mark: str = "Z"


FORMATS = st.builds(
    Format,
    st.sampled_from([0, 3, 6]),
    st.none() | st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["Z", "", " UTC"]),
)
# Never at a whole second: a datetime does not say whether its milliseconds were printed as `.000` or not at all.
INSTANTS = st.builds(
    lambda second, micros: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=second, microseconds=micros),
    st.integers(0, 10_000_000),
    st.integers(1, 998).map(lambda milliseconds: milliseconds * 1000 + 1),
)


def print_time(time: datetime, form: Format) -> str:
    """`time` in the format of a project; finer digits are cut off."""
    zone = UTC if form.offset is None else timezone(timedelta(minutes=form.offset))
    local = time.astimezone(zone)
    text = local.strftime("%Y-%m-%dT%H:%M:%S")
    if form.decimals:
        text += "." + f"{local.microsecond:06}"[: form.decimals]
    if form.offset is None:
        return text.replace("T", " ") + " UTC" if form.mark == " UTC" else text + form.mark
    sign, minutes = "-" if form.offset < 0 else "+", abs(form.offset)
    return f"{text}{sign}{minutes // 60:02}:{minutes % 60:02}"
