"""Draws panels of a Grafana dashboard as SVG, as far as ours has use for: stat, time series, state timeline."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

__all__ = ["HEIGHT_OF_ROW", "WIDTH", "Series", "draw"]

WIDTH: Final = 1400
HEIGHT_OF_ROW: Final = 29
HEAD: Final = 52
GAP: Final = 8
LEGEND: Final = 20
AXIS: Final = 62
TICKS: Final = 5

INK, SOFT, LINES, PAGE, CARD, FRAME = "#24292f", "#656d76", "#e4e7eb", "#f4f6f6", "#ffffff", "#d8dee4"
COLORS: Final = {
    "green": "#37872d",
    "semi-dark-green": "#96d98d",
    "blue": "#3274d9",
    "red": "#e02f44",
    "orange": "#ff780a",
    "yellow": "#e0b400",
    "purple": "#8f3bb8",
    "gray": "#a0a6b1",
}
PALETTE: Final = ("#56a64b", "#3274d9", "#ff780a", "#e0b400", "#8f3bb8", "#e02f44", "#37b7c3", "#a0a6b1")

STYLE: Final = f"""\
text {{ font: 12px "DejaVu Sans", Verdana, system-ui, sans-serif; fill: {SOFT}; }}
.title {{ font-size: 13px; font-weight: bold; fill: {INK}; }}
.head {{ font-size: 18px; font-weight: bold; fill: {INK}; }}
.stat {{ font-weight: bold; }}
.right {{ text-anchor: end; }}
.middle {{ text-anchor: middle; }}
"""


@dataclass(frozen=True)
class Series:
    """What one query answers under one legend: a value (None: none) for each of the times."""

    legend: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def draw(title: str, panels: Sequence[tuple[Mapping[str, Any], Sequence[Series]]], *, seconds: float) -> str:
    """Return the dashboard as SVG: its panels with their values over `seconds`."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels)
    height = HEAD + rows * HEIGHT_OF_ROW + GAP
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg" role="img">',
        f"<title>The dashboard {escape(title)}</title>",
        f"<style>\n{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="{PAGE}"/>',
        f'<text class="head" x="16" y="34">{escape(title)}</text>',
    ]
    for panel, series in panels:
        parts += _panel(panel, series, seconds)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Mapping[str, Any], series: Sequence[Series], seconds: float) -> Iterator[str]:
    at, column = panel["gridPos"], (WIDTH - GAP) / 24
    box = _Box(
        GAP + at["x"] * column, HEAD + at["y"] * HEIGHT_OF_ROW, at["w"] * column - GAP, at["h"] * HEIGHT_OF_ROW - GAP
    )
    yield _rect(box, CARD, f' stroke="{FRAME}"')
    yield _text(box.x + 8, box.y + 20, panel["title"], "title")
    inner = _Box(box.x + 8, box.y + 36, box.width - 16, box.height - 44)
    kinds: Mapping[str, Callable[..., Iterator[str]]] = {
        "stat": _stat,
        "timeseries": _time_series,
        "state-timeline": _state_timeline,
    }
    yield from kinds[panel["type"]](panel, series, inner, seconds)


def _stat(panel: Mapping[str, Any], series: Sequence[Series], box: _Box, _seconds: float) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    for number, one in enumerate(series):
        value = one.values[-1]
        if value is None:
            continue
        x = box.x + box.width * (number + 0.5) / len(series)
        reached = [step["color"] for step in defaults["thresholds"]["steps"] if value >= (step["value"] or -math.inf)]
        shown = _told(value, defaults["unit"], defaults.get("decimals", 0))
        yield _text(x, box.y + 18, one.legend, "middle")
        size = min(22.0, box.width / len(series) / (0.75 * len(shown)))
        style = f'class="stat middle" style="font-size: {size:.0f}px; fill: {COLORS[reached[-1]]}"'
        yield f'<text {style} x="{x:.1f}" y="{box.y + 50:.1f}">{shown}</text>'


def _time_series(panel: Mapping[str, Any], series: Sequence[Series], box: _Box, seconds: float) -> Iterator[str]:
    custom = panel["fieldConfig"]["defaults"]["custom"]
    looks = [_look(panel, one.legend, number) for number, one in enumerate(series)]
    plot = _Box(box.x + AXIS, box.y, box.width - AXIS - 8, box.height - 18 - LEGEND * _legend_rows(series, box))
    rights = [look.get("custom.axisPlacement") == "right" for look in looks]
    if any(rights):
        plot = _Box(plot.x, plot.y, plot.width - AXIS, plot.height)
    yield from _times(plot, seconds)
    stacked = custom["drawStyle"] == "bars"
    for side in (False, True) if any(rights) else (False,):
        shown = [(one, look) for one, look, right in zip(series, looks, rights, strict=True) if right == side]
        most = _most([one for one, _ in shown], stacked=stacked, soft=custom.get("axisSoftMax", 0) if not side else 0)
        step = _step(most)
        top = step * math.ceil(most / step - 1e-9)
        unit = next((look["unit"] for _, look in shown if "unit" in look), panel["fieldConfig"]["defaults"]["unit"])
        yield from _scale(plot, top, step, unit, right=side)
        if stacked:
            yield from _bars(shown, plot, top)
        else:
            for one, look in shown:
                yield from _line(one, look, custom, plot, top)
    yield from _legend([(one.legend, look["color"]) for one, look in zip(series, looks, strict=True)], box)


def _look(panel: Mapping[str, Any], legend: str, number: int) -> dict[str, Any]:
    """Colour and whatever else an override says of the series of that legend."""
    look: dict[str, Any] = {"color": PALETTE[number % len(PALETTE)]}
    for override in panel["fieldConfig"]["overrides"]:
        if re.search(override["matcher"]["options"], legend):
            for said in override["properties"]:
                fixed = said["id"] == "color"
                look[said["id"]] = COLORS[said["value"]["fixedColor"]] if fixed else said["value"]
    return look


def _line(one: Series, look: Mapping[str, Any], custom: Mapping[str, Any], plot: _Box, top: float) -> Iterator[str]:
    width = look.get("custom.lineWidth", custom["lineWidth"])
    dash = ' stroke-dasharray="6 4"' if "custom.lineStyle" in look else ""
    points = [
        None if value is None else (_x(plot, at, len(one.values)), _y(plot, value, top))
        for at, value in enumerate(one.values)
    ]
    path, draws = [], False
    for point in points:
        if point is not None:
            path.append(f"{'L' if draws else 'M'}{point[0]:.1f} {point[1]:.1f}")
        draws = point is not None
    yield f'<path d="{"".join(path)}" fill="none" stroke="{look["color"]}" stroke-width="{width}"{dash}/>'
    if custom["showPoints"] == "always":
        for x, y in filter(None, points):
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{look["color"]}"/>'


def _bars(shown: Sequence[tuple[Series, Mapping[str, Any]]], plot: _Box, top: float) -> Iterator[str]:
    count = max((len(one.values) for one, _ in shown), default=0)
    heights = [0.0] * count
    for one, look in shown:
        for at, value in enumerate(one.values):
            if value:
                x, y = _x(plot, at - 0.5, count), _y(plot, heights[at] + value, top)
                below = _y(plot, heights[at], top)
                heights[at] += value
                left, right = max(x, plot.x), min(x + plot.width / (count - 1) - 1, plot.x + plot.width)
                yield _rect(_Box(left, y, right - left, below - y), look["color"])


def _state_timeline(panel: Mapping[str, Any], series: Sequence[Series], box: _Box, seconds: float) -> Iterator[str]:
    states = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    plot = _Box(box.x + 130, box.y, box.width - 138, box.height - 18 - LEGEND)
    yield from _times(plot, seconds)
    row = plot.height / max(len(series), 1)
    for number, one in enumerate(series):
        y = plot.y + number * row
        yield _text(plot.x - 8, y + row / 2 + 4, one.legend, "right")
        width = plot.width / (len(one.values) - 1)
        for first, last, value in _stretches(one.values):
            x = _x(plot, first, len(one.values))
            wide = min((last - first) * width, plot.x + plot.width - x)
            yield _rect(_Box(x, y + row * 0.1, wide, row * 0.8), COLORS[states[f"{value:.0f}"]["color"]])
    yield from _legend([(state["text"], COLORS[state["color"]]) for state in states.values()], box)


def _stretches(values: Sequence[float | None]) -> Iterator[tuple[int, int, float]]:
    """From where, to where, and which value: what is the same goes on."""
    begun = 0
    for at in range(1, len(values) + 1):
        if at == len(values) or values[at] != values[begun]:
            if (value := values[begun]) is not None:
                yield begun, at, value
            begun = at


def _times(plot: _Box, seconds: float) -> Iterator[str]:
    bottom = plot.y + plot.height
    for at in range(0, int(seconds) + 1, 30 if plot.width > 400 else 60):
        x = plot.x + plot.width * at / seconds
        yield f'<path d="M{x:.1f} {plot.y:.1f}V{bottom:.1f}" stroke="{LINES}"/>'
        yield _text(x, bottom + 15, f"{at // 60}:{at % 60:02}", "middle")


def _scale(plot: _Box, top: float, step: float, unit: str, *, right: bool) -> Iterator[str]:
    for number in range(round(top / step) + 1):
        y = _y(plot, number * step, top)
        if not right:
            yield f'<path d="M{plot.x:.1f} {y:.1f}H{plot.x + plot.width:.1f}" stroke="{LINES}"/>'
        x = plot.x + plot.width + 6 if right else plot.x - 6
        yield _text(x, y + 4, _told(number * step, unit, None), "" if right else "right")


def _legend_rows(series: Sequence[Series], box: _Box) -> int:
    return len(_legend_places([one.legend for one in series], box.width))


def _legend_places(names: Sequence[str], width: float) -> list[list[tuple[float, str]]]:
    rows: list[list[tuple[float, str]]] = [[]]
    x = 0.0
    for name in names:
        needed = 24 + 7.2 * len(name)
        if rows[-1] and x + needed > width:
            rows.append([])
            x = 0.0
        rows[-1].append((x, name))
        x += needed
    return rows


def _legend(entries: Sequence[tuple[str, str]], box: _Box) -> Iterator[str]:
    colors = dict(entries)
    rows = _legend_places([name for name, _ in entries], box.width)
    for number, row in enumerate(rows):
        y = box.y + box.height - LEGEND * (len(rows) - 1 - number)
        for x, name in row:
            yield _rect(_Box(box.x + x, y - 8, 12, 6), colors[name])
            yield _text(box.x + x + 16, y, name)


def _most(series: Sequence[Series], *, stacked: bool, soft: float) -> float:
    columns = zip(*(one.values for one in series), strict=True)
    each = [[value or 0.0 for value in column] for column in columns]
    return max([soft, *(sum(column) if stacked else max(column) for column in each)]) or 1.0


def _step(most: float) -> float:
    """So that some five lines, of round numbers, reach the most."""
    least = most / TICKS
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= least - 1e-12)


def _told(value: float, unit: str, decimals: int | None) -> str:
    if unit == "percentunit":
        return f"{value * 100:.{decimals}f} %" if decimals is not None else f"{value * 100:g} %"
    if unit == "Bps":
        return f"{value / 1000:g} kB/s"
    number = f"{value:.{decimals}f}" if decimals is not None else f"{value:g}"
    if unit.startswith("suffix:"):
        return number + unit.removeprefix("suffix:")
    return number + {"s": " s", "reqps": "/s"}.get(unit, "")


def _x(plot: _Box, at: float, count: int) -> float:
    return plot.x + plot.width * at / (count - 1)


def _y(plot: _Box, value: float, top: float) -> float:
    return plot.y + plot.height * (1 - value / top)


def _rect(box: _Box, color: str, more: str = "") -> str:
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    return f'<rect {place} fill="{color}"{more}/>'


def _text(x: float, y: float, text: str, style: str = "") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
