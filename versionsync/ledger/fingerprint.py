"""A record's fingerprint: what shows that it changed without its versions being read.

All of the meta counts, members that are unknown today included: which act of an editor moves which of them is not
promised anywhere. Only the printing of times does not count. Upstream may print every time of a project in another
zone or precision from one day to the next, and that must not read every record again. So a fingerprint has two
halves, and says how precise the times were: two of one precision are compared as a whole, two of different
precisions by whole seconds.
"""

from __future__ import annotations

import re
from hashlib import sha256

from versionsync.ledger.content import canonical
from versionsync.ledger.records import Editor
from versionsync.ledger.times import read_time

__all__ = ["fingerprint", "precision_of", "same_fingerprint"]

COARSE_BYTES = 16
FINE_BYTES = 15
NO_TIME = 255

# A text that may be a date-time, in canonical JSON. A quote inside of a text follows a backslash, an opening one never.
_MAYBE_A_TIME = re.compile(rb'(?<!\\)"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{8,}[Z UTC0-9:+-]*)"')


def fingerprint(meta: bytes, *, model_id: str, creator: Editor | None) -> bytes:
    """Return 32 bytes that stand for a record's `meta` (JSON as sent), its model and its creator.

    They are 16 bytes of a hash in which times count as whole seconds, 15 bytes of a hash in which they count whole,
    and the number of decimals of the finest time. Compare them with `same_fingerprint`. Raises ContentError if `meta`
    is no JSON.
    """
    pieces = _MAYBE_A_TIME.split(canonical(meta))
    coarse, fine = list(pieces), list(pieces)
    decimals = NO_TIME
    for place in range(1, len(pieces), 2):
        quoted = b'"' + pieces[place] + b'"'
        coarse[place] = fine[place] = quoted
        if time := read_time(pieces[place].decode()):
            coarse[place] = time.second.isoformat().encode()
            fine[place] = coarse[place] + b"." + time.fraction.rstrip("0").encode()
            decimals = max(len(time.fraction), 0 if decimals == NO_TIME else decimals)
    who = f"{creator.type}:{creator.id}" if creator else ""
    rest = (model_id.encode(), who.encode())
    halves = (sha256(b"\n".join((b"".join(half), *rest))).digest() for half in (coarse, fine))
    return next(halves)[:COARSE_BYTES] + next(halves)[:FINE_BYTES] + bytes((decimals,))


def same_fingerprint(a: bytes, b: bytes) -> bool:
    """Return whether nothing changed between two fingerprints but the zone or the precision of the printed times."""
    return a == b or (a[:COARSE_BYTES] == b[:COARSE_BYTES] and a[-1] != b[-1])


def precision_of(fingerprint: bytes) -> int | None:
    """Return the number of decimals of the finest time in the meta, or None if it had no time."""
    return None if fingerprint[-1] == NO_TIME else fingerprint[-1]
