"""The value of a version's content: one hash for one JSON value, however it is spelled.

Two texts have the same value when they hold the same members (in any order), the same characters (escaped or not) and
numbers of the same decimal value (`1`, `1.0` and `10e-1` are one number, of any length). Everything else counts.
The hash can therefore be computed again from SQLite, which keeps the text as it was sent, and from PostgreSQL, which
keeps the value.

msgspec decodes what is usual. It refuses lone surrogates and integers of more than 4,300 digits: those take the
standard library's exact and slower way, to the same canonical form.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Never

import msgspec

from versionsync.errors import VersionsyncError
from versionsync.ledger.records import Editor
from versionsync.ledger.times import read_time

__all__ = [
    "ContentError",
    "canonical",
    "canonical_number",
    "canonical_value",
    "content_hash",
    "fingerprint",
    "parse_exactly",
    "parse_value",
    "precision_of",
    "same_fingerprint",
]

COARSE_BYTES = 16
FINE_BYTES = 15
NO_TIME = 255

# A text that may be a date-time, in canonical JSON. A quote inside of a text follows a backslash, an opening one never.
_MAYBE_A_TIME = re.compile(rb'"(?<!\\")([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{8,}[Z UTC0-9:+-]*)"')


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


PLAIN_INTEGER_DIGITS = 4300
NESTING_ERROR = "nested too deep to be read"


class ContentError(VersionsyncError):
    """Content that is no JSON, or nested deeper than can be read. The message quotes nothing of it."""


def content_hash(content: bytes) -> bytes:
    """SHA-256, 32 bytes, of the value of the JSON text `content`. Raises ContentError if it has none."""
    return sha256(canonical(content)).digest()


def canonical(content: bytes) -> bytes:
    """The one spelling of the value of the JSON text `content`. Raises ContentError if it has none."""
    return canonical_value(parse_value(content))


def parse_value(content: bytes) -> object:
    """The value of the JSON text `content`: whole numbers as int or as a spelling, all others as their spelling.

    A spelling is the `msgspec.Raw` of the number's canonical text. Compare two values by `canonical_value`. Raises
    ContentError if `content` is no JSON.
    """
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return parse_exactly(content)  # what msgspec refuses may be rare and right: the exact way decides
    except RecursionError:
        raise ContentError(NESTING_ERROR) from None


def canonical_value(value: object) -> bytes:
    """The one spelling of a value that `parse_value` returned, or of a part of it. Raises ContentError if too deep."""
    try:
        return _encode_exactly(value)
    except RecursionError:
        raise ContentError(NESTING_ERROR) from None


def parse_exactly(content: bytes) -> object:
    """The value of the JSON text `content`, every number as the `msgspec.Raw` of its canonical spelling.

    Raises ContentError if `content` is no JSON.
    """
    try:
        return json.loads(
            content.decode(), parse_float=_raw_number, parse_int=_raw_number, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ContentError(NESTING_ERROR) from None
    except json.JSONDecodeError as error:
        raise ContentError(f"not JSON at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise ContentError(f"not UTF-8 at byte {error.start}") from None


def canonical_number(text: str) -> str:
    """One spelling for each decimal value: `100` for `1e2`, `15e-1` for `1.50`. Raises ContentError past all bounds."""
    mantissa, _, exponent_text = text.lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "0"
    try:
        exponent = int(exponent_text or "0") - len(fraction) + len(digits) - len(significant)
    except ValueError:
        raise ContentError("a number with an exponent of thousands of digits") from None
    if exponent >= 0 and len(significant) + exponent <= PLAIN_INTEGER_DIGITS:
        return f"{sign}{significant}{'0' * exponent}"
    return f"{sign}{significant}e{exponent}"


def _raw_number(text: str) -> msgspec.Raw:
    return msgspec.Raw(canonical_number(text).encode())


def _refuse_constant(name: str) -> Never:
    raise ContentError(f"{name} is no JSON number")


def _encode_exactly(value: object) -> bytes:
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _encode_with_surrogates(value)


def _encode_with_surrogates(value: object) -> bytes:
    """As msgspec does, but lone surrogates are kept as escapes; a text that holds one never gets to msgspec."""
    match value:
        case dict():
            members = (
                _encode_with_surrogates(key) + b":" + _encode_with_surrogates(value[key]) for key in sorted(value)
            )
            return b"{" + b",".join(members) + b"}"
        case list():
            return b"[" + b",".join(map(_encode_with_surrogates, value)) + b"]"
        case str():
            return json.dumps(value).encode()
        case _:
            return _ENCODER.encode(value)


_DECODER = msgspec.json.Decoder(float_hook=_raw_number)
_ENCODER = msgspec.json.Encoder(order="sorted")
