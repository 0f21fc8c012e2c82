"""Turn a JSON text into one that PostgreSQL's `jsonb` accepts, and keep the exact text if that loses something.

jsonb refuses U+0000, lone surrogates and numbers beyond the range of `numeric`, and keeps only the last of two members
with the same name. What it refuses is replaced, character by character; nothing else is changed.
"""

from __future__ import annotations

import json
import re

__all__ = ["jsonb_form", "jsonb_text"]

REPLACEMENT = "\\ufffd"
NUMERIC_WHOLE_DIGITS = 131_072
NUMERIC_FRACTION_DIGITS = 16_383

# A NUL or a surrogate that is written as an escape, or the same letters behind an escaped backslash (sorted out below).
SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# A number can only be out of range with a thousand digits in a row or an exponent of five digits. All digits become
# zeros first, since a search for a fixed text is many times faster than one for a pattern.
TO_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")
SUSPECT_NUMBERS = (b"0e00000", b"0e+00000", b"0e-00000", b"0" * 1000)

STRING = r'"(?:[^"\\]|\\.)*"'
TOKENS = re.compile(rf"{STRING}|-?[0-9][0-9.eE+-]*", re.DOTALL)
ESCAPES = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\.", re.DOTALL
)


def jsonb_form(raw: bytes) -> tuple[str, bytes | None]:
    """Return what to write to a `jsonb` column for the JSON text `raw`, and `raw` itself if that loses something.

    Raises UnicodeDecodeError if `raw` is not UTF-8.
    """
    form = jsonb_text(raw)
    return form, raw if form != raw.decode() or _has_duplicate_keys(form) else None


def jsonb_text(raw: bytes) -> str:
    """Return what `jsonb_form` would write, without finding out whether it loses something."""
    text = raw.decode()
    if (b"\\u" in raw and SUSPECT_ESCAPE.search(raw)) or _has_suspect_number(raw):
        return TOKENS.sub(_storable_token, text)
    return text


def _has_suspect_number(raw: bytes) -> bool:
    zeros = raw.translate(TO_ZEROS)
    return any(suspect in zeros for suspect in SUSPECT_NUMBERS)


def _storable_token(token: re.Match[str]) -> str:
    text = token[0]
    if text.startswith('"'):
        return ESCAPES.sub(_storable_escape, text) if "\\u" in text else text
    return text if _fits_numeric(text) else "null"


def _storable_escape(escape: re.Match[str]) -> str:
    code = escape[3]
    if code is not None and (code == "0000" or 0xD800 <= int(code, 16) <= 0xDFFF):
        return REPLACEMENT
    return escape[0]


def _fits_numeric(number: str) -> bool:
    mantissa, _, exponent = number.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if len(exponent) > 12:
        return False
    shift = int(exponent or "0")
    return len(whole) + shift <= NUMERIC_WHOLE_DIGITS and len(fraction) - shift <= NUMERIC_FRACTION_DIGITS


class _DuplicateKey(Exception):
    """Leaves the parser at the first duplicate key."""


def _has_duplicate_keys(text: str) -> bool:
    try:
        _PARSER.decode(text)
    except (_DuplicateKey, RecursionError):
        return True  # nested too deep to find out; to keep the exact text is never wrong
    except json.JSONDecodeError:
        pass  # the database reports it
    return False


def _refuse_duplicate_keys(members: list[tuple[str, object]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise _DuplicateKey


_PARSER = json.JSONDecoder(object_pairs_hook=_refuse_duplicate_keys, parse_float=str, parse_int=str)
