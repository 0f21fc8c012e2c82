"""The log level of failures: each is a warning once, when a person can do something about it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from versionsync.daemon.runner import log_level
from versionsync.errors import ErrorKind

DEBUG, INFO, WARNING = logging.DEBUG, logging.INFO, logging.WARNING


def levels(kinds: Sequence[ErrorKind]) -> list[int]:
    """Return the levels of failures in a row."""
    before = [None, *kinds]
    return [log_level(kind, previous=before[number], failures=number + 1) for number, kind in enumerate(kinds)]


@pytest.mark.parametrize("kind", [ErrorKind.UNAVAILABLE, ErrorKind.STALLED, ErrorKind.DATABASE, ErrorKind.PARTIAL])
def test_a_transient_error_is_a_warning_when_it_stays(kind: ErrorKind) -> None:
    """Once, however long it lasts."""
    assert levels([kind] * 5) == [INFO, WARNING, DEBUG, DEBUG, DEBUG]


@pytest.mark.parametrize("kind", [ErrorKind.REFUSED, ErrorKind.MASS_DELETE, ErrorKind.UNEXPECTED])
def test_a_permanent_error_is_a_warning_at_once(kind: ErrorKind) -> None:
    """And only once."""
    assert levels([kind] * 4) == [WARNING, DEBUG, DEBUG, DEBUG]


def test_another_kind_is_logged_too() -> None:
    """The first one may have hidden it."""
    assert levels([ErrorKind.DATABASE, ErrorKind.REFUSED, ErrorKind.UNAVAILABLE, ErrorKind.UNAVAILABLE]) == [
        INFO,
        WARNING,
        WARNING,
        DEBUG,
    ]
