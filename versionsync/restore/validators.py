"""Which validators of a field a value breaks, as far as that is sure. Pure.

A validator that is not known, or a pattern that Python may read in another way than upstream, breaks nothing: upstream
then decides. The codes are upstream's: `VALIDATION_` and the name of the validator.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

import msgspec

from versionsync.history.diff.model import Json
from versionsync.ledger.times import read_time
from versionsync.restore.field_matches import is_empty
from versionsync.restore.rules import FieldRules

__all__ = ["breaks_size", "broken_validators"]

PATTERNS_KEPT: Final = 256
LONGEST_MATCHED: Final = 2000
"""Characters of a text that is matched with a pattern."""

# What Ruby and Python read differently: classes within classes, properties, flags, calls, and ends of a text. An
# escaped backslash is here since it would be taken for the escape of what follows.
_UNSURE: Final = re.compile(r"\[[^\]\\]*\[|&&|\\\\|\\[pPhHRXGKkgZ]|\(\?(?![:=!])")
# A repetition within a repetition can take for ever.
_SLOW: Final = re.compile(r"[+*}]\)*\)[+*{]")
_OF_LETTERS: Final = re.compile(r"\\[wWdDsSbB]")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\Z")

_LISTS: Final = frozenset({"gallery", "links", "rich_text"})

Check = Callable[[Json, Mapping[str, Any]], str | None]


def broken_validators(value: Json, field: FieldRules) -> Iterator[tuple[str, str]]:
    """Yield the codes of the validators that a value breaks, each with a sentence for people.

    The value is that of one locale if the field is localized.
    """
    name = f'The field "{field.label}"'
    if "required" in field.validators and is_empty(value):
        yield "VALIDATION_REQUIRED", f"{name} is required and would be empty."
    if field.field_type in _LISTS and breaks_size(field, len(value) if isinstance(value, list) else 0):
        yield "VALIDATION_SIZE", f"{name} would not have the number of elements that it must have."
    if is_empty(value):
        return
    for validator, rule in field.validators.items():
        check = _CHECKS.get(validator)
        if check is not None and isinstance(rule, Mapping) and (what := check(value, rule)):
            yield f"VALIDATION_{validator.upper()}", f"{name} {what}."


def breaks_size(field: FieldRules, size: int) -> bool:
    """Return whether a list field cannot have this number of elements."""
    rule = field.validators.get("size")
    if not isinstance(rule, Mapping):
        return "required" in field.validators and size == 0
    of = rule.get("multiple_of")
    return not _is_within(size, rule) or (isinstance(of, int) and of > 0 and size % of != 0)


def _is_within(size: int, rule: Mapping[str, Any]) -> bool:
    least, exact, most = rule.get("min"), rule.get("eq"), rule.get("max")
    return not (
        (isinstance(least, int) and size < least)
        or (isinstance(most, int) and size > most)
        or (isinstance(exact, int) and size != exact)
    )


def _length(value: Json, rule: Mapping[str, Any]) -> str | None:
    if not isinstance(value, str) or _is_within(len(value), rule):
        return None
    return f"has {len(value)} characters, which its rule does not allow"


def _enum(value: Json, rule: Mapping[str, Any]) -> str | None:
    values = rule.get("values")
    if not isinstance(value, str) or not isinstance(values, list) or value in values:
        return None
    return "has a value that is not one of those allowed"


def _format(value: Json, rule: Mapping[str, Any]) -> str | None:
    if not isinstance(value, str):
        return None
    if rule.get("predefined_pattern") == "email" and not _EMAIL.match(value):
        return "is no email address"
    pattern = rule.get("custom_pattern")
    if not isinstance(pattern, str) or len(value) > LONGEST_MATCHED:
        return None
    compiled = _compiled(pattern)
    if compiled is None or (not value.isascii() and _OF_LETTERS.search(pattern)) or compiled.search(value):
        return None
    return "does not match its pattern"


@lru_cache(maxsize=PATTERNS_KEPT)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a Ruby pattern as Python's, or None if it is not sure that they match the same texts."""
    is_delimited = len(pattern) > 1 and pattern[0] == pattern[-1] == "/"
    if is_delimited or _UNSURE.search(pattern) or _SLOW.search(pattern):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # In Ruby ^ and $ match at every line.
            return re.compile(pattern.replace(r"\z", r"\Z"), re.MULTILINE)
    except (re.error, OverflowError, RecursionError, Warning):
        return None


def _number_range(value: Json, rule: Mapping[str, Any]) -> str | None:
    number = _decimal(value)
    least, most = _decimal(rule.get("min")), _decimal(rule.get("max"))
    if number is None:
        return None
    if (least is not None and number < least) or (most is not None and number > most):
        return "is outside its range of numbers"
    return None


def _decimal(value: Json) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | msgspec.Raw):
        return None
    try:
        number = Decimal(bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def _date_range(value: Json, rule: Mapping[str, Any]) -> str | None:
    if not isinstance(value, str):
        return None
    for bound, sign in ((rule.get("min"), 1), (rule.get("max"), -1)):
        if isinstance(bound, str) and _order(value, bound) == -sign:
            return "is outside its range of dates"
    return None


def _order(one: str, other: str) -> int:
    """Return -1, 0 or 1 for the order of two dates or two times; 0 if it is not known."""
    a, b = read_time(one), read_time(other)
    if a is not None and b is not None:
        return (a.second > b.second) - (a.second < b.second)
    return (one > other) - (one < other) if len(one) == len(other) == len("2026-03-01") else 0


def _seo_length(member: str) -> Check:
    def check(value: Json, rule: Mapping[str, Any]) -> str | None:
        text = value.get(member) if isinstance(value, dict) else None
        if not isinstance(text, str) or not text or _is_within(len(text), rule):
            return None
        return f"has a {member} of {len(text)} characters, which its rule does not allow"

    return check


def _seo_members(value: Json, rule: Mapping[str, Any]) -> str | None:
    if not isinstance(value, dict):
        return None
    missing = [member for member, is_required in rule.items() if is_required is True and is_empty(value.get(member))]
    return f"would have no {', '.join(missing)}" if missing else None


_CHECKS: Final[Mapping[str, Check]] = {
    "length": _length,
    "enum": _enum,
    "format": _format,
    "slug_format": _format,
    "number_range": _number_range,
    "date_range": _date_range,
    "date_time_range": _date_range,
    "title_length": _seo_length("title"),
    "description_length": _seo_length("description"),
    "required_seo_fields": _seo_members,
}
