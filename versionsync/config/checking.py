"""Check a settings file and the environment against the definition."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, inspect

from versionsync.config.errors import InvalidSetting, UnknownSetting
from versionsync.secret import Secret
from versionsync.text import nearest

__all__ = ["Setting", "check_table", "check_text", "settings_of"]

_PLAIN: Final[dict[type, str]] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "a text in quotes",
    inspect.BoolType: "true or false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, as the definition says.

    Attributes:
        kinds: The TOML types that it may hold.
        table: The struct of a nested table, if it is one.
        many: It is a list of such tables.
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
    """Return the settings of one table of the file, in the order of the definition."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple(_setting(field, hints[field.name]) for field in msgspec.structs.fields(struct))


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
    """Return `X` of `Annotated[X | None, …]`, or of a type with fewer layers."""
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
    return f"`{msgspec.json.encode(field.default).decode()}`"  # numbers and plain texts look the same in TOML


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
    """Describe a value of this type in words."""
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


S = TypeVar("S", bound=Struct)
Where: TypeAlias = Callable[[str], str]
"""Returns the place of a setting in words, by its path such as `sources[2].name`."""

_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    list: "a list",
    dict: "a table",
}


def check_table(table: Mapping[str, object], struct: type[S], *, where: Where, path: str = "") -> S:
    """Return the `table` at `path` in the settings file as a `struct`.

    Args:
        table: What the file says.
        struct: The definition.
        where: Returns the file and the line of a setting, by its path.
        path: The path of the table; empty: the file itself.

    Raises UnknownSetting or InvalidSetting with the file, the line, the path and what is expected there.
    """
    known = {setting.name: setting for setting in settings_of(struct)}
    for name in table:
        if name not in known:
            raise _unknown(name, struct, where=where, path=path)
    values = {name: _check(value, known[name], where=where, path=_join(path, name)) for name, value in table.items()}
    for setting in known.values():
        if setting.required and setting.name not in values:
            raise InvalidSetting(
                f"{where(path)}: {path or 'the file'} has no {setting.name}",
                hint=f"Add {setting.name} = …: {setting.description}",
            )
    return struct(**values)


def check_text(text: str, setting: Setting) -> Any:
    """Return the value of `setting` from the `text` of its environment variable.

    Raises InvalidSetting, which names the variable.
    """
    if setting.secret:
        return Secret(text)
    try:
        return msgspec.convert(text, setting.type, strict=False)
    except msgspec.ValidationError:
        raise InvalidSetting(
            f"the environment variable {setting.env} must be {_unquoted(setting.expected)}",
            hint=f"Set it to another value, or unset it for the default ({setting.default.replace('`', '')}).",
        ) from None


def _check(value: object, setting: Setting, *, where: Where, path: str) -> Any:
    match value:
        case list() if setting.table is not None and setting.many and all(isinstance(entry, dict) for entry in value):
            entries = enumerate(value)
            return tuple(check_table(one, setting.table, where=where, path=f"{path}[{at}]") for at, one in entries)
        case dict() if setting.table is not None and not setting.many:
            return check_table(value, setting.table, where=where, path=path)
        case str() if setting.secret:
            return Secret(value)
    with suppress(msgspec.ValidationError):
        if setting.table is None and not setting.secret:
            return msgspec.convert(value, setting.type)
    raise _invalid(value, setting, where=where, path=path)


def _invalid(value: object, setting: Setting, *, where: Where, path: str) -> InvalidSetting:
    """Return an error that names the kind of the value, never the value: it may be a token in the wrong place."""
    kind = _KINDS.get(type(value), "a date or a time")
    found = "this value is not" if type(value) in setting.kinds else f"it is {kind}"
    return InvalidSetting(
        f"{where(path)}: {path} must be {setting.expected}; {found}",
        hint=f"For example: {setting.name} = {setting.example}" if setting.example else setting.description,
    )


def _unknown(name: str, struct: type[Struct], *, where: Where, path: str) -> UnknownSetting:
    names = [setting.name for setting in settings_of(struct)]
    meant = nearest(name, names)
    return UnknownSetting(
        f"{where(_join(path, name))}: there is no setting {_join(path, name)}",
        hint=f"Did you mean {_join(path, meant)}?" if meant else f"Here are: {', '.join(names)}.",
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unquoted(expected: str) -> str:
    """Return what is expected of a variable, which has no quotes, unlike TOML."""
    return expected.replace(" in quotes", "").replace('"', "")
