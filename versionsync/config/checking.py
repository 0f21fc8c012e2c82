"""Checks what a settings file or the environment says against the definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from versionsync.config.errors import InvalidSetting, UnknownSetting
from versionsync.config.fields import Setting, nearest, settings_of
from versionsync.config.secret import Secret

__all__ = ["check_table", "check_text"]

S = TypeVar("S", bound=Struct)

_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    list: "a list",
    dict: "a table",
}


def check_table(table: Mapping[str, object], struct: type[S], *, file: str, path: str = "") -> S:
    """`table` of a settings file as a `struct`; `path` is where in `file` it stands.

    Raises UnknownSetting or InvalidSetting with the file, the path and what is expected there.
    """
    known = {setting.name: setting for setting in settings_of(struct)}
    for name in table:
        if name not in known:
            raise _unknown(name, struct, file=file, path=path)
    values = {name: _check(value, known[name], file=file, path=_join(path, name)) for name, value in table.items()}
    for setting in known.values():
        if setting.required and setting.name not in values:
            raise InvalidSetting(
                f"{file}: {path or 'the file'} has no {setting.name}",
                hint=f"Add {setting.name} = …: {setting.description}",
            )
    return struct(**values)


def check_text(text: str, setting: Setting) -> Any:
    """The value of `setting` that its environment variable gives as `text`.

    Raises InvalidSetting, naming the variable.
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


def _check(value: object, setting: Setting, *, file: str, path: str) -> Any:
    if setting.table is not None and setting.many:
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise _invalid(value, setting, file=file, path=path)
        return tuple(
            check_table(entry, setting.table, file=file, path=f"{path}[{number}]") for number, entry in enumerate(value)
        )
    if setting.table is not None:
        if not isinstance(value, dict):
            raise _invalid(value, setting, file=file, path=path)
        return check_table(value, setting.table, file=file, path=path)
    if setting.secret:
        if not isinstance(value, str):
            raise _invalid(value, setting, file=file, path=path)
        return Secret(value)
    try:
        return msgspec.convert(value, setting.type)
    except msgspec.ValidationError:
        raise _invalid(value, setting, file=file, path=path) from None


def _invalid(value: object, setting: Setting, *, file: str, path: str) -> InvalidSetting:
    """The kind of the value is named, never the value: somebody may have put a token in the wrong place."""
    kind = _KINDS.get(type(value), "a date or a time")
    found = "this value is not" if type(value) in setting.kinds else f"it is {kind}"
    return InvalidSetting(
        f"{file}: {path} must be {setting.expected}; {found}",
        hint=f"For example: {setting.name} = {setting.example}" if setting.example else f"{setting.description}",
    )


def _unknown(name: str, struct: type[Struct], *, file: str, path: str) -> UnknownSetting:
    names = [setting.name for setting in settings_of(struct)]
    meant = nearest(name, names)
    return UnknownSetting(
        f"{file}: there is no setting {_join(path, name)}",
        hint=f"Did you mean {_join(path, meant)}?" if meant else f"Here are: {', '.join(names)}.",
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unquoted(expected: str) -> str:
    """What is expected of a variable: the quotes of TOML are not wanted there."""
    return expected.replace(" in quotes", "").replace('"', "")
