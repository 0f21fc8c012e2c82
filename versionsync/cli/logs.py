"""The log: structlog to standard error, readable lines on a terminal and JSON elsewhere, never a secret.

Nothing is configured globally: the log is made once and passed on.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, TextIO

from versionsync.cli.redaction import Redactor

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["make_log", "quiet_libraries"]


class _Stderr:
    """Standard error as it is when a line is written: a progress bar stands in for it while it draws."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def make_log(*, level: int, as_json: bool, color: bool, redactor: Redactor) -> FilteringBoundLogger:
    """A log that writes lines of `level` and above to standard error."""
    import structlog  # 150 ms: not for --help

    def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: _redacted(value, redactor) for key, value in event.items()}

    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=True, key="time"),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    if as_json:
        processors.append(structlog.processors.JSONRenderer(default=str))
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=color, timestamp_key="time", pad_event_to=0, pad_level=False, sort_keys=False
            )
        )
    stderr: TextIO = _Stderr()  # type: ignore[assignment]
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stderr),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log


def quiet_libraries(level: int) -> None:
    """Keep what libraries log by themselves off the terminal, but in debugging."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler() if level <= logging.DEBUG else logging.NullHandler())


def _redacted(value: Any, redactor: Redactor) -> Any:
    """`value` with the secrets in it masked; numbers, times and the like stay what they are."""
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
