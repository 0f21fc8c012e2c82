"""`versionsync status --watch`: shows the status again and again, also while the database is unavailable.

On a terminal it draws on the alternate screen, which leaves the terminal as it was. Elsewhere it writes lines, and with
--json an object a line. The database is read on another thread: one that does not answer must not freeze the view.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import error_report
from versionsync.cli.terminal.output import Output
from versionsync.cli.views.status import lines_of, status_fields
from versionsync.status.snapshot import Snapshot, SnapshotReader
from versionsync.text import ago, when

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from versionsync.mirror.database import Mirror

__all__ = ["watch"]

SLOW_SECONDS: Final = 5.0
"""A read that takes longer is shown as an error; until then the last snapshot stays on the screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is shown: the last snapshot, and since when and why the database gives no newer one."""

    snapshot: Snapshot
    away_since: datetime | None = None
    why: str = ""


class _Screen(Protocol):
    def __call__(self, frame: Frame, now: datetime) -> None: ...


def watch(session: CliContext, reader: SnapshotReader, *, seconds: float, in_full: bool | None) -> None:
    """Show a snapshot every so often until Ctrl-C or SIGTERM, after which the exit code is 0.

    Args:
        session: The settings and the output.
        reader: Reads snapshots.
        seconds: The interval.
        in_full: As for `lines_of`.

    Raises:
        UnknownSource, MirrorError: if the first read fails.
    """
    with _until_signal():
        poller = _Poller(session, reader)
        try:
            frame = Frame(snapshot=poller.read())
            with _screen(session, seconds=seconds, in_full=in_full) as show:
                while True:
                    show(frame, datetime.now(UTC))
                    due = time.monotonic() + seconds
                    frame = poller.next(frame, show)
                    time.sleep(max(due - time.monotonic(), 0.0))
        except KeyboardInterrupt:
            return


class _Poller:
    """Reads the database. After a failure it is opened again: it may be another file or server by then."""

    def __init__(self, session: CliContext, reader: SnapshotReader) -> None:
        self._session = session
        self._reader = reader
        self._mirror: Mirror | None = None

    def next(self, frame: Frame, show: _Screen) -> Frame:
        """Read again; if that takes long, `show` that the database does not answer."""
        from versionsync.config import UnknownSource
        from versionsync.mirror.errors import MirrorError

        began, reading = datetime.now(UTC), self._begin()
        while not wait([reading], timeout=SLOW_SECONDS).done:
            late = Frame(snapshot=frame.snapshot, away_since=frame.away_since or began, why="it does not answer")
            show(late, datetime.now(UTC))
        try:
            return Frame(snapshot=reading.result())
        except (MirrorError, UnknownSource) as error:
            self._close()
            why = self._session.redactor.redact(error_report(error).message)
            return Frame(snapshot=frame.snapshot, away_since=frame.away_since or began, why=why)

    def _begin(self) -> Future[Snapshot]:
        future: Future[Snapshot] = Future()

        def work() -> None:
            try:
                future.set_result(self.read())
            except BaseException as error:
                future.set_exception(error)

        # A daemon thread: Ctrl-C must not wait for a server that does not answer.
        threading.Thread(target=work, name="status", daemon=True).start()
        return future

    def read(self) -> Snapshot:
        """Return a snapshot. Raises UnknownSource and MirrorError."""
        if self._mirror is None:
            self._mirror = self._session.open_mirror(outage_seconds=0.0)
        return self._reader.read(self._mirror)

    def _close(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None


@contextmanager
def _until_signal() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that the terminal is left as it was."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _screen(session: CliContext, *, seconds: float, in_full: bool | None) -> Iterator[_Screen]:
    output, redact = session.output, session.redactor.redact
    if output.as_json:
        yield lambda frame, now: output.json(_fields(frame, now, redact))
    elif not output.results.is_terminal:
        yield lambda frame, now: output.live(_with_time(frame, now, output, redact, in_full=in_full))
    else:
        from rich.live import Live

        with Live(console=output.results, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
            yield lambda frame, now: _draw(
                live, _with_head(frame, now, output, redact, seconds=seconds, in_full=in_full), output
            )


def _fields(frame: Frame, now: datetime, redact: Callable[[str], str]) -> dict[str, object]:
    if frame.away_since is not None:
        return {"at": now, "away_since": frame.away_since, "error": frame.why}
    return status_fields(frame.snapshot, redact)


def _with_time(
    frame: Frame, now: datetime, output: Output, redact: Callable[[str], str], *, in_full: bool | None
) -> Iterator[Text]:
    """Return the lines for a file or a pipe: the time, the status, and an empty line."""
    yield from output.paragraph_lines(f"{when(now)} UTC")
    if frame.away_since is not None:
        yield from output.paragraph_lines(_unavailable(frame, now, output))
    else:
        yield from lines_of(frame.snapshot, output, redact=redact, in_full=in_full)
    yield from output.paragraph_lines()


def _with_head(
    frame: Frame, now: datetime, output: Output, redact: Callable[[str], str], *, seconds: float, in_full: bool | None
) -> list[Text]:
    head = (("versionsync status", "bold"), (f"  {when(now)} UTC, every {seconds:g} s; Ctrl-C to stop", "dim"))
    lines = [*output.paragraph_lines(*head), *output.paragraph_lines()]
    lines_before = lines_of(frame.snapshot, output, redact=redact, in_full=in_full)
    if frame.away_since is not None:
        lines += [*output.paragraph_lines(_unavailable(frame, now, output), hang=2), *output.paragraph_lines()]
        for line in lines_before:
            line.stylize("dim")
    return lines + lines_before


def _unavailable(frame: Frame, now: datetime, output: Output) -> tuple[str, str]:
    assert frame.away_since is not None
    since = f"{when(frame.away_since)} UTC ({ago(frame.away_since, now)})"
    return f"{output.symbol(False)} no answer from the database since {since}: {frame.why}", "bold red"


def _draw(live: Live, lines: list[Text], output: Output) -> None:
    from rich.console import Group
    from rich.text import Text

    room = output.results.height
    if len(lines) > room:
        more = len(lines) - room + 1
        lines = [*lines[: room - 1], Text(f"… {more} more lines: enlarge the terminal to see them", style="dim")]
    for line in lines:
        line.no_wrap, line.overflow = True, "crop"
    live.update(Group(*lines), refresh=True)
