"""What each kind of run costs in requests, as the benchmark of requests measures it and a test pins it down."""

from __future__ import annotations

from versionsync.cma.client import ITEMS_PAGE

__all__ = ["IDLE", "of_hints", "of_look", "of_scrub", "of_sweep"]

IDLE = 1
"""A look where nothing has changed: the beacon."""
PROOF = 5
"""What was edited, what was published, and how many records there are of each status."""
AROUND = 2
"""The beacon, and the project."""


def of_look(changed: int) -> int:
    """A look under a beacon that has moved; `changed`: the records that are not mirrored yet."""
    return AROUND + PROOF + changed


def of_hints(records: int) -> int:
    """A look at these records alone: each of them, and its versions."""
    return AROUND + 2 * records


def of_scrub(histories: int) -> int:
    """So many old histories."""
    return AROUND + 2 * histories


def of_sweep(records: int, changed: int) -> int:
    """A list of all records: it is over with a page that is not full."""
    return AROUND + records // ITEMS_PAGE + 1 + changed
