"""When two JSON values are the same, and when they say the same in other words."""

from __future__ import annotations

from typing import Final

import msgspec

from versionsync.history.diff.model import ABSENT, Json
from versionsync.ledger.content import ContentError, canonical_value
from versionsync.ledger.times import read_time, same_time_text

__all__ = ["is_empty", "is_same", "is_same_deep", "is_same_instant", "key_of"]

_ENCODER: Final = msgspec.json.Encoder()


def is_same(a: Json, b: Json) -> bool:
    """Return whether two values are one JSON value; numbers are compared by their value, true is not 1."""
    if a is b:
        return True
    if a is ABSENT or b is ABSENT:
        return False
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    if a == b and key_of(a) == key_of(b):
        return True
    if isinstance(a, dict | list) and (type(a) is not type(b) or len(a) != len(b)):
        return False
    return canonical_value(a) == canonical_value(b)


def is_same_deep(a: Json, b: Json) -> bool:
    """Do the same for values nested so deep that Python cannot call itself a level at a time."""
    waiting = [(a, b)]
    while waiting:
        one, other = waiting.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            waiting.extend((one[name], other[name]) for name in one)
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            waiting.extend(zip(one, other, strict=True))
        elif isinstance(one, dict | list) or isinstance(other, dict | list) or not is_same(one, other):
            return False
    return True


def is_same_instant(a: Json, b: Json) -> bool:
    """Return whether two values are texts of one date-time, at the coarser of their precisions, in any zone."""
    if not isinstance(a, str) or not isinstance(b, str):
        return False
    before, after = read_time(a), read_time(b)
    return before is not None and after is not None and same_time_text(before, after)


def is_empty(value: Json) -> bool:
    """Return whether editors see no value: nothing, null, an empty text or an empty list."""
    return value is ABSENT or value is None or value == "" or value == []


def key_of(value: Json) -> bytes:
    """Return bytes that are equal only for the same value; the same value in another order may have others.

    Raises ContentError if the value is nested too deep.
    """
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return canonical_value(value)
    except RecursionError:
        raise ContentError("nested too deep to be read") from None
