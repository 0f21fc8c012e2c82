"""JSON without loss: a number keeps its digits, and an object its members in their order."""

from __future__ import annotations

import json
from typing import Any, Final

from versionsync.errors import VersionsyncError

__all__ = ["DuplicateMembers", "Number", "dump", "load", "same"]


class Number(str):
    """A number that is no plain integer, as it was written."""

    __slots__ = ()


class DuplicateMembers(VersionsyncError):
    """An object has two members of one name, which a dict cannot hold."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateMembers
    return found


_LONGEST_INTEGER: Final = 4000
"""Python refuses to read more digits than 4300 as an integer."""


def _integer(text: str) -> int | Number:
    return Number(text) if len(text) > _LONGEST_INTEGER or text == "-0" else int(text)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_float=Number, parse_int=_integer, strict=False)
_quote: Final = json.JSONEncoder(ensure_ascii=False).encode


def load(text: str) -> Any:
    """Return the value of a JSON text. Raises DuplicateMembers, or ValueError if it is no JSON."""
    return _DECODER.decode(text)


def dump(value: object, *, indent: int | None = None) -> str:
    """Return the JSON text of a value that `load` returned; with `indent`, a member or an item a line."""
    written: list[str] = []
    _write(value, written.append, "" if indent is None else "\n", " " * (indent or 0))
    return "".join(written)


def _write(value: object, write: Any, line: str, step: str) -> None:
    if isinstance(value, Number):
        write(value)
    elif isinstance(value, (dict, list)):
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        write(opening)
        inner = line and line + step
        comma = "," if line else ", "
        for number, item in enumerate(value):
            write((comma if number else "") + inner)
            if isinstance(value, dict):
                write(f"{_quote(item)}: ")
                item = value[item]
            _write(item, write, inner, step)
        write((line if value else "") + closing)
    elif isinstance(value, float):
        write(json.dumps(value))
    else:
        write(_quote(value))


def same(one: object, other: object) -> bool:
    """Return whether two values are the same JSON: `true` is not `1`, and `1.0` is not `1`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other
