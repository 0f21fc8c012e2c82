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
from hashlib import sha256
from typing import Never

import msgspec

__all__ = [
    "ContentError",
    "canonical",
    "canonical_number",
    "canonical_value",
    "content_hash",
    "parse_exactly",
    "parse_value",
]

PLAIN_INTEGER_DIGITS = 4300
TOO_DEEP = "nested too deep to be read"


class ContentError(ValueError):
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
        raise ContentError(TOO_DEEP) from None


def canonical_value(value: object) -> bytes:
    """The one spelling of a value that `parse_value` returned, or of a part of it. Raises ContentError if too deep."""
    try:
        return _encode_exactly(value)
    except RecursionError:
        raise ContentError(TOO_DEEP) from None


def parse_exactly(content: bytes) -> object:
    """The value of the JSON text `content`, every number as the `msgspec.Raw` of its canonical spelling.

    Raises ContentError if `content` is no JSON.
    """
    try:
        return json.loads(
            content.decode(), parse_float=_raw_number, parse_int=_raw_number, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ContentError(TOO_DEEP) from None
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
