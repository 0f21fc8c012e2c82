"""What becomes of a failure in the log: told, once, to somebody who can do something about it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from versionsync.daemon.judging import level_of
from versionsync.sync.trouble import Trouble

DEBUG, INFO, WARNING = logging.DEBUG, logging.INFO, logging.WARNING


def levels(troubles: Sequence[Trouble]) -> list[int]:
    """Those of failures in a row."""
    before = [None, *troubles]
    return [level_of(trouble, said=before[number], failures=number + 1) for number, trouble in enumerate(troubles)]


@pytest.mark.parametrize("trouble", [Trouble.UNAVAILABLE, Trouble.STALLED, Trouble.DATABASE, Trouble.PARTIAL])
def test_what_mostly_passes_is_a_warning_when_it_does_not(trouble: Trouble) -> None:
    """Once, however long it lasts."""
    assert levels([trouble] * 5) == [INFO, WARNING, DEBUG, DEBUG, DEBUG]


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.VANISHED, Trouble.UNEXPECTED])
def test_what_does_not_pass_is_a_warning_at_once(trouble: Trouble) -> None:
    """And once."""
    assert levels([trouble] * 4) == [WARNING, DEBUG, DEBUG, DEBUG]


def test_another_trouble_is_told_too() -> None:
    """The first one may have hidden it."""
    assert levels([Trouble.DATABASE, Trouble.REFUSED, Trouble.UNAVAILABLE, Trouble.UNAVAILABLE]) == [
        INFO,
        WARNING,
        WARNING,
        DEBUG,
    ]
