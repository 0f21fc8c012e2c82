"""Reads the definition: which settings there are, what each may hold, and which name was probably meant."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, inspect

from versionsync.config.secret import Secret

__all__ = ["Setting", "nearest", "settings_of"]

_PLAIN: Final[dict[type, str]] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "a text in quotes",
    inspect.BoolType: "true or false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as the definition has it.

    `kinds` are the types of TOML that it may hold; `table` is the struct of a nested table; `many`: of several ones.
    """

    name: str
    type: Any
    description: str
    default: str
    env: str | None
    example: str | None
    expected: str
    kinds: tuple[type, ...]
    required: bool
    secret: bool
    table: type[Struct] | None
    many: bool


@functools.cache
def settings_of(struct: type[Struct]) -> tuple[Setting, ...]:
    """The settings of one table of the file, in the order of the definition."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple(_setting(field, hints[field.name]) for field in msgspec.structs.fields(struct))


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that was probably meant by `name`, or None if none is near."""
    known = {known.casefold(): known for known in names}
    found = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.6)
    return known[found[0]] if found else None


def _setting(field: msgspec.structs.FieldInfo, hint: object) -> Setting:
    meta = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Meta) and m.description), None)
    if meta is None:
        raise TypeError(f"the setting {field.name} has no description")
    extra = meta.extra or {}
    inner = _without_none(hint)
    parts = get_args(inner)
    is_list = get_origin(inner) is tuple
    table = parts[0] if is_list else inner
    table = table if isinstance(table, type) and issubclass(table, Struct) else None
    many = is_list and table is not None
    return Setting(
        name=field.name,
        type=hint,
        description=meta.description or "",
        default=str(extra.get("default") or _default(field)),
        env=extra.get("env"),
        example=extra.get("example"),
        expected=str(extra.get("expected") or _expected(field.name, hint, table=table, many=many)),
        kinds=(list if many else dict,) if table is not None else tuple(_kinds(inspect.type_info(hint))),
        required=field.required,
        secret=inner is Secret,
        table=table,
        many=many,
    )


def _without_none(hint: object) -> Any:
    """`X` of `Annotated[X | None, …]`, or of anything less wrapped."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    parts = [part for part in get_args(hint) if part is not type(None)]
    if type(None) in get_args(hint) and len(parts) == 1:
        return _without_none(parts[0])
    return hint


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default in (None, msgspec.NODEFAULT, ()):
        return "–"
    return f"`{msgspec.json.encode(field.default).decode()}`"  # numbers and plain texts are written alike in TOML


def _kinds(kind: inspect.Type) -> Iterator[type]:
    match kind:
        case inspect.Metadata():
            yield from _kinds(kind.type)
        case inspect.UnionType():
            for part in kind.types:
                yield from _kinds(part)
        case inspect.IntType():
            yield int
        case inspect.FloatType():
            yield from (int, float)
        case inspect.StrType() | inspect.CustomType():
            yield str
        case inspect.LiteralType():
            yield from {type(value) for value in kind.values}
        case inspect.BoolType():
            yield bool
        case inspect.VarTupleType():
            yield list


def _expected(name: str, hint: object, *, table: type[Struct] | None, many: bool) -> str:
    """What a value of this type looks like, in words."""
    if table is not None:
        return f"one or more tables, each written [[{name}]]" if many else "a table"
    kind = inspect.type_info(hint)
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        kind = next(part for part in kind.types if not isinstance(part, inspect.NoneType))
    words = _PLAIN.get(type(kind), "a text in quotes")
    low, high = getattr(kind, "ge", None), getattr(kind, "le", None)
    if low is not None and high is not None:
        return f"{words} from {low:g} to {high:g}"
    return f"{words}, {low:g} or more" if low is not None else words
