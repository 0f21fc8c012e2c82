"""The progress of a restore: requests while a plan is made, steps while it is carried out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from versionsync.cli.terminal.output import Output
from versionsync.restore.model import Plan
from versionsync.text import count, duration

if TYPE_CHECKING:
    from rich.progress import Progress

    from versionsync.mirror.tables.restores import StepState

__all__ = ["Counted", "Seen", "counted_display", "requests_display", "steps_display"]

DRAW_SECONDS: Final = 0.1
LINE_SECONDS: Final = 10.0
WINDOW_SECONDS: Final = 20.0
MIN_SECONDS: Final = 1.0


class _Speed:
    """How fast a number grows, over the last twenty seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, number: int) -> None:
        now = time.monotonic()
        if self._seen and number < self._seen[-1][1]:
            self._seen.clear()  # others are counted now
        self._seen.append((now, number))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """None: too early to say."""
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end - start >= MIN_SECONDS else None


@dataclass(slots=True)
class Seen:
    """How far a plan is.

    Attributes:
        steps: How many steps it has.
        requests: Returns how many requests were sent.
        ends: How many of the steps ended how.
        phase: What is done now.
    """

    steps: int
    requests: Callable[[], int]
    ends: Counter[str] = field(default_factory=Counter)
    phase: str = "restoring"
    total: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.total = self.steps

    def add(self, state: StepState) -> None:
        """Count a step that ended."""
        self.ends[state.state] += 1

    def syncing(self, requests: Callable[[], int]) -> None:
        """Say that the steps are over, and the mirror is brought up to date, with these requests."""
        self.phase, self.total, self.requests = "syncing what was changed", None, requests

    @property
    def number(self) -> int:
        """How many steps are over."""
        return sum(self.ends.values())


@dataclass(slots=True)
class Counted:
    """How many of a number of steps are over."""

    done: int = 0
    total: int | None = None

    def set(self, done: int, total: int) -> None:
        """Say how many are over, and of how many."""
        self.done, self.total = done, total


@asynccontextmanager
async def counted_display(what: str, counted: Counted, output: Output) -> AsyncIterator[None]:
    """Show how many steps are over while the block runs."""
    async with _display(output, lambda: counted.total, lambda: what, lambda: counted.done, lambda: counted.done):
        yield


@asynccontextmanager
async def requests_display(what: str, requests: Callable[[], int], output: Output) -> AsyncIterator[None]:
    """Show how many requests were sent while the block runs."""
    async with _display(output, lambda: None, lambda: what, lambda: 0, requests):
        yield


@asynccontextmanager
async def steps_display(
    plan: Plan, states: Sequence[StepState], requests: Callable[[], int], output: Output
) -> AsyncIterator[Seen]:
    """Show how many steps of a plan are over while the block runs, which counts them in what this yields."""
    seen = Seen(len(plan.steps), requests, Counter(one.state for one in states if one.state == "done"))
    async with _display(output, lambda: seen.total, lambda: seen.phase, lambda: seen.number, lambda: seen.requests()):
        yield seen


@asynccontextmanager
async def _display(
    output: Output,
    total: Callable[[], int | None],
    phase: Callable[[], str],
    done: Callable[[], int],
    requests: Callable[[], int],
) -> AsyncIterator[None]:
    if output.as_json:
        yield
        return
    draw = _draw_bar if output.notes.is_terminal else _write_lines
    task = asyncio.create_task(draw(output, total, phase, done, requests))
    try:
        yield
    finally:
        task.cancel()
        (fault,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(fault, Exception):  # a display that fails must not end a restore
            output.note(f"progress could not be shown: {fault}")


async def _write_lines(
    output: Output,
    total: Callable[[], int | None],
    phase: Callable[[], str],
    done: Callable[[], int],
    requests: Callable[[], int],
) -> None:
    speed = _Speed()
    while True:
        speed.add(requests())
        await asyncio.sleep(LINE_SECONDS)
        speed.add(requests())
        of = total()
        steps = f", {done():,} of {count(of, 'step')}" if of is not None else ""
        output.note(f"{phase()}{steps}, {count(requests(), 'request')}{_rate(speed)}")


async def _draw_bar(
    output: Output,
    total: Callable[[], int | None],
    phase: Callable[[], str],
    done: Callable[[], int],
    requests: Callable[[], int],
) -> None:
    sent, steps, begun = _Speed(), _Speed(), done()
    with _bar(output) as bar:
        task = bar.add_task(phase(), total=total(), completed=begun, steps="", speed="", left="")
        while True:
            sent.add(requests())
            steps.add(done())
            of, rate = total(), steps.per_second
            bar.update(
                task,
                description=phase(),
                total=of,
                completed=done(),
                steps=f"{done():,}/{count(of, 'step')}" if of is not None else count(requests(), "request"),
                speed=_rate(sent).removeprefix(", "),
                left=f"{duration((of - done()) / rate)} left" if of is not None and rate else "",
            )
            bar.refresh()
            await asyncio.sleep(DRAW_SECONDS)


def _rate(speed: _Speed) -> str:
    return f", {speed.per_second:.1f} requests/s" if speed.per_second is not None else ""


def _bar(output: Output) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[steps]}", justify="right"),
        TextColumn("[cyan]{task.fields[speed]}", justify="right"),
        TextColumn("{task.fields[left]}", justify="right"),
        console=output.notes,
        auto_refresh=False,
        transient=True,
    )
