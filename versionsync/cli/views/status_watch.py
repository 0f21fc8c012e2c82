"""`versionsync status --watch`: looks again and again, and outlives a database that goes away.

On a terminal it draws a screen of its own, which is left as it was found; elsewhere it writes each look as lines, with
--json as an object a line. The database is asked on another thread: one that does not answer must not freeze the view.
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

from versionsync.cli.attention import ago
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import error_report
from versionsync.cli.snapshot import Snapshot, SnapshotReader
from versionsync.cli.status_fields import fields_of
from versionsync.cli.terminal.output import Output
from versionsync.cli.views.status import lines_of
from versionsync.text import when

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from versionsync.mirror.database import Mirror

__all__ = ["watch"]

SLOW_SECONDS: Final = 5.0
"""A look that takes longer is told: until then the view before it is good enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What there is to show: the last snapshot, and since when the database gives no other one, and why."""

    snapshot: Snapshot
    away_since: datetime | None = None
    why: str = ""


class _Screen(Protocol):
    def __call__(self, view: Frame, now: datetime) -> None: ...


def watch(session: CliContext, looker: SnapshotReader, *, seconds: float, in_full: bool | None) -> None:
    """Show a snapshot each `seconds` until Ctrl-C or SIGTERM, which is how it ends well.

    Raises UnknownSource and MirrorError where the first look fails already.
    """
    with _until_signal():
        eye = _Poller(session, looker)
        try:
            view = Frame(snapshot=eye.first())
            with _shown(session, seconds=seconds, in_full=in_full) as show:
                while True:
                    show(view, datetime.now(UTC))
                    due = time.monotonic() + seconds
                    view = eye.next(view, show, seconds=seconds)
                    time.sleep(max(due - time.monotonic(), 0.0))
        except KeyboardInterrupt:
            return


class _Poller:
    """Looks into the database. After a failure it is opened anew: it may be another file or server by then."""

    def __init__(self, session: CliContext, looker: SnapshotReader) -> None:
        self._session = session
        self._looker = looker
        self._mirror: Mirror | None = None

    def first(self) -> Snapshot:
        """The first look. What is wrong from the start is an error as of any other command."""
        return self._read()

    def next(self, view: Frame, show: _Screen, *, seconds: float) -> Frame:
        """Look again; `show` is told meanwhile if that takes its time."""
        from versionsync.config import UnknownSource
        from versionsync.mirror.errors import MirrorError

        asked, looking = datetime.now(UTC), self._begin()
        while not wait([looking], timeout=SLOW_SECONDS).done:
            late = Frame(snapshot=view.snapshot, away_since=view.away_since or asked, why="it does not answer")
            show(late, datetime.now(UTC))
        try:
            return Frame(snapshot=looking.result())
        except (MirrorError, UnknownSource) as error:
            self._close()
            why = self._session.redactor.redact(error_report(error).message)
            return Frame(snapshot=view.snapshot, away_since=view.away_since or asked, why=why)

    def _begin(self) -> Future[Snapshot]:
        future: Future[Snapshot] = Future()

        def look() -> None:
            try:
                future.set_result(self._read())
            except BaseException as error:
                future.set_exception(error)

        # A daemon thread: Ctrl-C must not wait for a server that does not answer.
        threading.Thread(target=look, name="look", daemon=True).start()
        return future

    def _read(self) -> Snapshot:
        if self._mirror is None:
            self._mirror = self._session.open_mirror(outage_seconds=0.0)
        return self._looker.read(self._mirror)

    def _close(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None


@contextmanager
def _until_signal() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, so that the terminal is left as it was found."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _shown(session: CliContext, *, seconds: float, in_full: bool | None) -> Iterator[_Screen]:
    output, redact = session.output, session.redactor.redact
    if output.as_json:
        yield lambda view, now: output.json(_fields(view, now, redact))
    elif not output.results.is_terminal:
        yield lambda view, now: output.live(_with_time(view, now, output, redact, in_full=in_full))
    else:
        from rich.live import Live

        with Live(console=output.results, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
            yield lambda view, now: _draw(
                live, _with_head(view, now, output, redact, seconds=seconds, in_full=in_full), output
            )


def _fields(view: Frame, now: datetime, redact: Callable[[str], str]) -> dict[str, object]:
    if view.away_since is not None:
        return {"at": now, "away_since": view.away_since, "error": view.why}
    return fields_of(view.snapshot, redact)


def _with_time(
    view: Frame, now: datetime, output: Output, redact: Callable[[str], str], *, in_full: bool | None
) -> Iterator[Text]:
    """For a file or a pipe: the time, what there is at that time, and an empty line."""
    yield from output.paragraph_lines(f"{when(now)} UTC")
    if view.away_since is not None:
        yield from output.paragraph_lines(_unavailable(view, now, output))
    else:
        yield from lines_of(view.snapshot, output, redact=redact, in_full=in_full)
    yield from output.paragraph_lines()


def _with_head(
    view: Frame, now: datetime, output: Output, redact: Callable[[str], str], *, seconds: float, in_full: bool | None
) -> list[Text]:
    head = (("versionsync status", "bold"), (f"  {when(now)} UTC, every {seconds:g} s; Ctrl-C ends it", "dim"))
    lines = [*output.paragraph_lines(*head), *output.paragraph_lines()]
    held = lines_of(view.snapshot, output, redact=redact, in_full=in_full)
    if view.away_since is not None:
        lines += [*output.paragraph_lines(_unavailable(view, now, output), hang=2), *output.paragraph_lines()]
        for line in held:
            line.stylize("dim")
    return lines + held


def _unavailable(view: Frame, now: datetime, output: Output) -> tuple[str, str]:
    assert view.away_since is not None
    since = f"{when(view.away_since)} UTC ({ago(view.away_since, now)})"
    return f"{output.symbol(False)} no answer from the database since {since}: {view.why}", "bold red"


def _draw(live: Live, lines: list[Text], output: Output) -> None:
    from rich.console import Group
    from rich.text import Text

    room = output.results.height
    if len(lines) > room:
        more = len(lines) - room + 1
        lines = [*lines[: room - 1], Text(f"… {more} more lines: a taller terminal shows them", style="dim")]
    for line in lines:
        line.no_wrap, line.overflow = True, "crop"
    live.update(Group(*lines), refresh=True)
