"""When two JSON values are the same, and when they say the same in other words."""

from __future__ import annotations

from typing import Final

import msgspec

from versionsync.history.diff.model import ABSENT, Json
from versionsync.ledger.content import ContentError, canonical_number, canonical_value
from versionsync.ledger.times import read_time, same_time_text

__all__ = ["is_empty", "is_same", "is_same_deep", "is_same_instant", "key_of"]

_ENCODER: Final = msgspec.json.Encoder()
_NUMBERS: Final = (int, float, msgspec.Raw)


def is_same(a: Json, b: Json) -> bool:
    """Return whether two values are one JSON value; numbers are compared by their value, true is not 1.

    Two objects or lists may be called different if they differ in nothing but the form of a number: of two contents,
    `parse_value` may have read one in the usual and one in the exact way. Their members are the same, then.
    """
    if a is b:
        return True
    if a is ABSENT or b is ABSENT:
        return False
    if a == b:
        # Python takes true for 1, and 1.0; what is encoded alike is the same.
        return isinstance(a, str) or key_of(a) == key_of(b) or is_same_deep(a, b)
    return isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS) and _is_same_number(a, b)


def is_same_deep(a: Json, b: Json) -> bool:
    """Do the same without exception, for values nested as deep as you like."""
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
        elif isinstance(one, _NUMBERS) and isinstance(other, _NUMBERS):
            if not _is_same_number(one, other):
                return False
        elif type(one) is not type(other) or one != other:
            return False
    return True


def _is_same_number(a: Json, b: Json) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b or _spelled(a) == _spelled(b)


def _spelled(number: Json) -> str:
    text = bytes(number).decode() if isinstance(number, msgspec.Raw) else repr(number)
    return canonical_number(text)


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
