"""The progress of runs: a bar for each on a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from versionsync.cli.terminal.output import Output
from versionsync.cli.views.remaining_time import Pace, sample_of
from versionsync.sync.report import Progress
from versionsync.text import count, duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

__all__ = ["progress_display"]

DRAW_SECONDS: Final = 0.1
LINE_SECONDS: Final = 10.0


@asynccontextmanager
async def progress_display(runs: Sequence[Progress], output: Output) -> AsyncIterator[None]:
    """Show `runs` on standard error while the block runs; not under --json."""
    if output.as_json:
        yield
        return
    task = asyncio.create_task(_draw_bars(runs, output) if output.notes.is_terminal else _write_lines(runs, output))
    try:
        yield
    finally:
        task.cancel()
        (fault,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(fault, Exception):  # a display that fails must not end a run
            output.note(f"progress could not be shown: {fault}")


async def _write_lines(runs: Sequence[Progress], output: Output) -> None:
    paces = [Pace() for _ in runs]
    last = [""] * len(runs)
    due = time.monotonic() + LINE_SECONDS
    while True:
        now = time.monotonic()
        is_due = now >= due
        for number, (pace, run) in enumerate(zip(paces, runs, strict=True)):
            pace.add(sample_of(run), now)
            if is_due and (line := _line(run, pace)) != last[number]:
                output.note(line)
                last[number] = line
        due = now + LINE_SECONDS if is_due else due
        await asyncio.sleep(1)


def _line(run: Progress, pace: Pace) -> str:
    state = sample_of(run)
    of = f" of {state.total:,}" if state.total is not None else ""
    parts = [f"{run.source}: {run.phase}", f"{state.settled:,}{of} records", count(state.versions, "new version")]
    if (speed := pace.requests_per_second) is not None:
        parts.append(f"{speed:.1f} requests/s")
    if (left := pace.seconds_left) is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


async def _draw_bars(runs: Sequence[Progress], output: Output) -> None:
    with _bars(output) as bars:
        tasks = [bars.add_task(run.source, total=None, records="", versions="", speed="", left="") for run in runs]
        paces = [Pace() for _ in runs]
        while True:
            for task, pace, run in zip(tasks, paces, runs, strict=True):
                pace.add(sample_of(run), time.monotonic())
                _update(bars, task, pace, run)
            bars.refresh()
            await asyncio.sleep(DRAW_SECONDS)


def _bars(output: Output) -> Bars:
    from rich.console import RenderableType
    from rich.constrain import Constrain
    from rich.progress import BarColumn, Progress, TextColumn

    class Narrower(Progress):
        """Leaves space at the right for the ^C that a terminal shows: on its own line it would break the bar."""

        def get_renderable(self) -> RenderableType:
            # Not self.console, which does not exist yet at the first call.
            return Constrain(super().get_renderable(), max(output.notes.width - len("^C") - 1, 20))

    return Narrower(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[records]}", justify="right"),
        TextColumn("{task.fields[versions]}", justify="right"),
        TextColumn("[cyan]{task.fields[speed]}", justify="right"),
        TextColumn("{task.fields[left]}", justify="right"),
        console=output.notes,
        auto_refresh=False,
        transient=True,
        expand=True,
    )


def _update(bars: Bars, task: TaskID, pace: Pace, run: Progress) -> None:
    state = sample_of(run)
    speed, left = pace.requests_per_second, pace.seconds_left
    bars.update(
        task,
        completed=state.settled,
        total=state.total,
        records=f"{state.settled:,}/{state.total:,} records" if state.total is not None else run.phase,
        versions=f"{state.versions:,} new" if state.versions else "",
        speed=f"{speed:.1f}/s" if speed is not None else "",
        left=f"{duration(left)} left" if left is not None else "",
    )
