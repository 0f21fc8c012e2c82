"""Writes what the definition says as `docs/settings.md` and as a commented example file.

`python -m versionsync.config.example_file` writes both in a checkout; with `--check` it only says if they are current.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from versionsync.config.checking import Setting, settings_of
from versionsync.config.definition import (
    HttpSettings,
    MassDeleteSettings,
    NotificationSettings,
    SearchSettings,
    Settings,
    SourceSettings,
)

__all__ = ["example_file", "main", "settings_file", "settings_page"]

TomlValue = str | int | float

_DOCS: Final = Path(__file__).resolve().parents[2] / "docs"

_INTRODUCTION: Final = """\
# Settings

This page is written by `python -m versionsync.config.example_file`; change `versionsync/config/definition.py` instead.

The first that says something wins: the command line (`--config`, `--database`), the environment,
`versionsync.toml` in the current folder, `/etc/versionsync/versionsync.toml`. `--config FILE` stands in for both files.
One file is read, never two. `./versionsync.toml` can send any variable of your environment to an address of its own,
so it is obeyed only if it and its folder belong to you or to root and nobody else may write them. A file that you name
with `--config`, and that of `/etc/versionsync`, is obeyed whoever wrote it.

No file is needed. `DATOCMS_API_TOKEN` alone is a whole configuration: one source named `default`, the primary
environment, SQLite in `./versionsync.db`. [versionsync.example.toml](versionsync.example.toml) shows every setting, and
`versionsync init` writes a file that fits; `versionsync doctor` tells what is wrong with one.

A setting that does not exist is an error, not a comment: the message names the nearest one that does. So is a variable
that resembles one of ours, such as `VERSIONSYNC_DATABSE_URL`. Any other variable that begins with `VERSIONSYNC_` is
logged once as a warning, unless the settings mention it or Kubernetes made it.

## Secrets

An API token is looked for in this order:

1. what the source names: `api_token_env`, `api_token_file` or `api_token`, one of them;
2. `$CREDENTIALS_DIRECTORY/<name of the source>`, then `$CREDENTIALS_DIRECTORY/api_token` (systemd's `LoadCredential=`);
3. the environment variable `DATOCMS_API_TOKEN`.

The URL of a database with a password may stand in `database_url`, in the file that `database_url_file` names, or in
`$CREDENTIALS_DIRECTORY/database_url`. On the command line it is refused, since every user of a machine can read that.
In a password of a URL, write `@` as `%40`, `/` as `%2F`, `?` as `%3F` and `%` as `%25`; among parameters also `&` as
`%26`. A URL in which the end of the password can be doubted is refused. What is no URL is the path of a SQLite file,
unless it looks like something else, such as `host=… password=…` or `localhost:5432/…`: that is refused too.

A file with a secret in it must be yours or root's. It is refused if its group or others can read it (`chmod 600 FILE`),
except for a file of root that a group of yours may read: so Kubernetes gives out a secret with `defaultMode: 0440` and
an `fsGroup`. Files in `CREDENTIALS_DIRECTORY` and in `/run/secrets` (Docker, Podman) are taken whatever their owner and
mode: their folder is guarded. Quotes around a secret are an error: a shell takes them off, `--env-file` does not.

A `base_url` or `heartbeat_url` of another machine that begins with `http://` is logged as a warning.
"""

_EXAMPLE_HEAD: Final = """\
# Settings of versionsync. What is commented out may be left out; docs/settings.md explains more.
# The environment and the command line win over this file.
"""


_CONDITIONS: Final[Mapping[type[Struct], str]] = {
    SourceSettings: "; only where no file names a source",
    NotificationSettings: "; only where no file has one",
}
_NOTICES: Final = (
    "Who is told when something is wrong while `versionsync run` follows the sources, and when it has passed: a table "
    "for each place, with its address in `url_env`, `url_file` or `url`."
)


def settings_page() -> str:
    """`docs/settings.md`."""
    parts = [
        _INTRODUCTION,
        _section("At the top of the file", "", Settings),
        _section("`[[sources]]`", f"{SourceSettings.__doc__} One such table for each.", SourceSettings),
        _section("`mass_delete_limit` of a source", f"{MassDeleteSettings.__doc__}", MassDeleteSettings),
        _section("`change_search` of a source", f"{SearchSettings.__doc__}", SearchSettings),
        _section(
            "`[[notifications]]`",
            f"{NotificationSettings.__doc__} As many such tables as there are places.",
            NotificationSettings,
        ),
        _section("`[http]`", f"{HttpSettings.__doc__}", HttpSettings),
        _variables(),
    ]
    return "\n".join(parts)


def example_file() -> str:
    """`docs/versionsync.example.toml`: every setting, with what it means, optional ones commented out."""
    return settings_file([{"name": "website"}])


def settings_file(sources: Sequence[Mapping[str, TomlValue]], *, top: Mapping[str, TomlValue] | None = None) -> str:
    """A commented settings file with the given settings set and all others shown, commented out."""
    lines = [_EXAMPLE_HEAD, *_toml_lines(Settings, top or {})]
    for source in sources:
        lines += ["[[sources]]", *_toml_lines(SourceSettings, source)]
    lines += ["[http]", *_toml_lines(HttpSettings, {})]
    lines += [*textwrap.wrap(_NOTICES, 96, initial_indent="# ", subsequent_indent="# "), "#"]
    lines += ["#     [[notifications]]"]
    lines += [
        f"#     {setting.name} = {setting.example}"
        for setting in settings_of(NotificationSettings)
        if setting.name not in ("url", "url_env")
    ]
    return "\n".join(lines).rstrip() + "\n"


def main(argv: Sequence[str]) -> int:
    """Write both files, or with `--check` compare them; 1 if one is not current."""
    wanted = {_DOCS / "settings.md": settings_page(), _DOCS / "versionsync.example.toml": example_file()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in argv:
        for path in stale:
            sys.stderr.write(f"{path.name} is not current: python -m versionsync.config.example_file\n")
        return 1 if stale else 0
    _DOCS.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


def _section(title: str, introduction: str, struct: type[Struct]) -> str:
    rows = [f"## {title}", "", *([introduction, ""] if introduction else [])]
    rows += ["| setting | holds | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{setting.name}` | {setting.expected} | {setting.default} | {setting.description} |"
        for setting in settings_of(struct)
    ]
    return "\n".join(rows) + "\n"


def _variables() -> str:
    rows = ["## Environment variables", "", "| variable | stands for |", "| --- | --- |"]
    rows += ["| `DATOCMS_API_TOKEN` | the API token of every source that names no other |"]
    tables = (("", Settings), ("sources.", SourceSettings), ("http.", HttpSettings), ("notices.", NotificationSettings))
    for prefix, struct in tables:
        condition = _CONDITIONS.get(struct, "")
        rows += [
            f"| `{setting.env}` | `{prefix}{setting.name}`{condition} |"
            for setting in settings_of(struct)
            if setting.env
        ]
    rows += ["| `CREDENTIALS_DIRECTORY` | a folder with secrets, set by systemd; see above |"]
    rows += ["| `NO_COLOR` | set to anything: no colour, as `--no-color` |"]
    return "\n".join(rows) + "\n"


def _toml_lines(struct: type[Struct], given: Mapping[str, TomlValue]) -> Iterator[str]:
    for setting in settings_of(struct):
        if setting.table is not None and (setting.many or struct is Settings):
            continue  # these have a header of their own
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
    """A number or a text as TOML: for these, JSON is."""
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
