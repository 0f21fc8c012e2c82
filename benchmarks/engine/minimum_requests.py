"""The least requests that the API allows, as formulas. Pure.

A page holds 500 records, or 50 versions of one record. Nothing tells the versions of two records in one request, so
each record whose versions are wanted costs one, and one more for every further 50. One request reads the beacon (an
environment with the time of its last change), one the project with its whole schema. Before a new record is taken for
one, the schema is read again: its model may have become a block model while records were listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

__all__ = [
    "BEACON",
    "SCHEMA",
    "least_for_backfill",
    "least_for_changes",
    "least_for_histories",
    "least_for_listing",
    "least_for_uploads",
]

RECORDS_PAGE = 500
VERSIONS_PAGE = 50
UPLOADS_IN_AN_ADDRESS = 240
BEACON = 1
SCHEMA = 1
SCHEMA_AGAIN = 1


def least_for_listing(records: int) -> int:
    """To see all records once; an empty project has to be seen as empty."""
    return max(1, ceil(records / RECORDS_PAGE))


def least_for_histories(histories: Iterable[int]) -> int:
    """Return how many requests it takes to read records with these numbers of versions."""
    return sum(ceil(versions / VERSIONS_PAGE) for versions in histories)


def least_for_backfill(histories: Iterable[int]) -> int:
    """Return how many it takes to mirror records with these numbers of versions for the first time."""
    lengths = list(histories)
    return BEACON + SCHEMA + least_for_listing(len(lengths)) + SCHEMA_AGAIN + least_for_histories(lengths)


def least_for_changes(changed: int) -> int:
    """Return how many it takes to mirror changes of this many records, without proving that no other changed.

    No answer proves that for free, so this cannot be reached: an engine that trusts DatoCMS without proof needs it.
    """
    return BEACON + SCHEMA + ceil(changed / RECORDS_PAGE) + changed


def least_for_uploads(uploads: int) -> int:
    """Return how many it takes to read this many uploads by ids of 22 characters.

    A page holds 500, but an address with 500 ids has 12,500 characters. Many servers refuse more than 8,000.
    """
    return ceil(uploads / UPLOADS_IN_AN_ADDRESS)
