"""A commented settings file, made from the definition of the settings: for `init`, and as the example of the docs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from versionsync.config.checking import Setting, settings_of
from versionsync.config.definition import (
    DaemonSettings,
    HttpSettings,
    NotificationSettings,
    Settings,
    SourceSettings,
)

__all__ = ["example_file", "settings_file"]

TomlValue = str | int | float

_EXAMPLE_HEAD: Final = """\
# Settings of versionsync. Everything that is commented out is optional. docs/settings.md explains more.
# The environment and the command line override this file.
"""


_SOURCES: Final = """\
# One [[sources]] table for each project and environment. More of them may be in files of their own: sources.d/*.toml in
# the folder of versionsync.toml.
"""

_NOTIFICATIONS: Final = (
    "Where to send notifications about problems while `versionsync run` runs: one table for each channel, with its "
    "address in `url_env`, `url_file` or `url`."
)


def example_file() -> str:
    """Return the text of `docs/versionsync.example.toml`: every setting, the optional ones commented out."""
    return settings_file([{"name": "website"}])


def settings_file(sources: Sequence[Mapping[str, TomlValue]], *, top: Mapping[str, TomlValue] | None = None) -> str:
    """Return a commented settings file. It sets the given settings and shows all others, commented out."""
    lines = [_EXAMPLE_HEAD, *_toml_lines(Settings, top or {}), _SOURCES]
    for source in sources:
        lines += ["[[sources]]", *_toml_lines(SourceSettings, source)]
    lines += ["[http]", *_toml_lines(HttpSettings, {})]
    lines += ["[daemon]", *_toml_lines(DaemonSettings, {})]
    lines += [*textwrap.wrap(_NOTIFICATIONS, 96, initial_indent="# ", subsequent_indent="# "), "#"]
    lines += ["#     [[notifications]]"]
    lines += [
        f"#     {setting.name} = {setting.example}"
        for setting in settings_of(NotificationSettings)
        if setting.name not in ("url", "url_env")
    ]
    return "\n".join(lines).rstrip() + "\n"


def _toml_lines(struct: type[Struct], given: Mapping[str, TomlValue]) -> Iterator[str]:
    for setting in settings_of(struct):
        if setting.table is not None and (setting.many or struct is Settings):
            continue  # these have their own header
        yield from textwrap.wrap(setting.description, 96, initial_indent="# ", subsequent_indent="# ")
        if setting.name in given:
            yield f"{setting.name} = {_toml(given[setting.name])}"
        else:
            yield f"# {setting.name} = {_shown(setting)}"
        yield ""


def _shown(setting: Setting) -> str:
    if setting.table is not None:
        return "{ " + ", ".join(f"{inner.name} = {inner.example}" for inner in settings_of(setting.table)) + " }"
    return setting.example or "…"


def _toml(value: TomlValue) -> str:
    """Return a number or a text as TOML, which has the same form as JSON."""
    return msgspec.json.encode(value).decode()
