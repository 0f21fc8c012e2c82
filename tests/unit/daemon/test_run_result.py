"""What becomes of a failure in the log: told, once, to somebody who can do something about it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from versionsync.daemon.run_result import log_level
from versionsync.errors import ErrorKind

DEBUG, INFO, WARNING = logging.DEBUG, logging.INFO, logging.WARNING


def levels(troubles: Sequence[ErrorKind]) -> list[int]:
    """Those of failures in a row."""
    before = [None, *troubles]
    return [log_level(trouble, said=before[number], failures=number + 1) for number, trouble in enumerate(troubles)]


@pytest.mark.parametrize("trouble", [ErrorKind.UNAVAILABLE, ErrorKind.STALLED, ErrorKind.DATABASE, ErrorKind.PARTIAL])
def test_what_mostly_passes_is_a_warning_when_it_does_not(trouble: ErrorKind) -> None:
    """Once, however long it lasts."""
    assert levels([trouble] * 5) == [INFO, WARNING, DEBUG, DEBUG, DEBUG]


@pytest.mark.parametrize("trouble", [ErrorKind.REFUSED, ErrorKind.MASS_DELETE, ErrorKind.UNEXPECTED])
def test_what_does_not_pass_is_a_warning_at_once(trouble: ErrorKind) -> None:
    """And once."""
    assert levels([trouble] * 4) == [WARNING, DEBUG, DEBUG, DEBUG]


def test_another_trouble_is_told_too() -> None:
    """The first one may have hidden it."""
    assert levels([ErrorKind.DATABASE, ErrorKind.REFUSED, ErrorKind.UNAVAILABLE, ErrorKind.UNAVAILABLE]) == [
        INFO,
        WARNING,
        WARNING,
        DEBUG,
    ]
