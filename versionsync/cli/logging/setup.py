"""The log: structlog to standard error or systemd's journal, lines for people or JSON, never a secret.

There is no global configuration: the log is made once and passed on. A line begins with what it is about, always under
the same names: the source, its run, the record.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from versionsync.cli.logging.journal import Journal
from versionsync.redaction import Redactor
from versionsync.text import printable, printable_lines

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["capture_library_logs", "make_log"]

REPEAT_SECONDS: Final = 60.0
"""How often a repeated message of a library is shown."""
SAME_LENGTH: Final = 60
MAX_KINDS: Final = 200

FIRST: Final = ("time", "level", "event", "source", "run", "record")


class _Stderr:
    """Standard error at the time of each line: a progress bar replaces it while it draws."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def make_log(
    *, level: int, as_json: bool, color: bool, redactor: Redactor, journal: Journal | None = None
) -> FilteringBoundLogger:
    """Return a log that writes lines of `level` and above to standard error, or to the journal."""
    import structlog  # 150 ms: not for --help

    def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: _redacted(value, redactor) for key, value in event.items()}

    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=True, key="time"),
        structlog.processors.format_exc_info,
        without_secrets,
        _in_order,
    ]
    if journal is not None:
        processors += [_printable, _for_the_journal]
    elif as_json:
        processors.append(structlog.processors.JSONRenderer(default=str))
    else:
        processors += [_printable, _without_nothing]
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=color, timestamp_key="time", pad_event_to=0, pad_level=False, sort_keys=False
            )
        )
    stderr: TextIO = _Stderr()  # type: ignore[assignment]
    log: FilteringBoundLogger = structlog.wrap_logger(
        journal or structlog.PrintLogger(stderr),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove what a terminal would obey, and line breaks that would fake a line of the log."""
    safe = {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
    if isinstance(trace := event.get("exception"), str):
        safe["exception"] = printable_lines(trace, indent="    ")
    return safe


def _without_nothing(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out zeros and None: a terminal has little room, and most runs find nothing."""
    return {name: value for name, value in event.items() if value is not None and (value != 0 or value is False)}


def _for_the_journal(
    _: Any, __: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str, Mapping[str, Any]], dict[str, Any]]:
    """Make a line for people. The journal has its own time and level, and fields to search."""
    shown = {name: value for name, value in event.items() if name not in ("time", "level", "event", "exception")}
    words = [str(event.get("event")), *(f"{name}={_readable(value)}" for name, value in shown.items())]
    lines = [" ".join(words), *([str(event["exception"])] if "exception" in event else [])]
    return ("\n".join(lines), event), {}


def _readable(value: object) -> str:
    if isinstance(value, str) and value and value.isprintable() and not set(value) & set(' "='):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def capture_library_logs(log: FilteringBoundLogger, *, level: int) -> None:
    """Send the logs of libraries to `log`, without secrets.

    It takes their errors at level INFO, and also their warnings in debugging. Never more: a database library would log
    content, and an HTTP library its headers.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(_Libraries(log) if level <= logging.INFO else logging.NullHandler())
    # The scheduler reports the exception of a job. A cancelled job is no error.
    logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)


class _Libraries(logging.Handler):
    """Logs messages of libraries. It shows the same one at most once a minute, with the number of hidden repeats."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._shown_at: dict[tuple[str, int, str], float] = {}
        self._hidden: Counter[tuple[str, int, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        # Compare the first line before its arguments are filled in: the rest differs each time.
        first_line = str(record.msg).partition("\n")[0][:SAME_LENGTH]
        what, now = (record.name, record.levelno, first_line), time.monotonic()
        if now - self._shown_at.get(what, float("-inf")) < REPEAT_SECONDS:
            self._hidden[what] += 1
            return
        if len(self._shown_at) >= MAX_KINDS:
            self._shown_at.clear()
            self._hidden.clear()
        self._shown_at[what] = now
        fields: dict[str, Any] = {
            "library": record.name,
            "said": record.getMessage(),
            "exc_info": record.exc_info or None,
        }
        if times := self._hidden.pop(what, 0):
            fields["not_shown"] = times
        if record.levelno >= logging.ERROR:
            self._log.error("library.failed", **fields)
        else:
            self._log.debug("library.warning", **fields)


def _in_order(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    first = {name: event[name] for name in FIRST if name in event}
    return {**first, **{name: value for name, value in event.items() if name not in first}}


def _redacted(value: Any, redactor: Redactor) -> Any:
    """Return `value` with its secrets masked. Numbers and None stay as they are."""
    match value:
        case str():
            return redactor.redact(value)
        case bool() | int() | float() | None:
            return value
        case dict():
            return {key: _redacted(entry, redactor) for key, entry in value.items()}
        case list() | tuple():
            return [_redacted(entry, redactor) for entry in value]
        case _:
            return redactor.redact(str(value))
