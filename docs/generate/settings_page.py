"""The text of `docs/settings.md`, made from the definition of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from versionsync.config.checking import settings_of
from versionsync.config.definition import (
    DaemonSettings,
    HttpSettings,
    MassDeleteSettings,
    NotificationSettings,
    SearchSettings,
    Settings,
    SourceSettings,
)

__all__ = ["settings_page"]

_INTRODUCTION: Final = """\
# Settings

This page is written by `python -m docs.generate`; change `versionsync/config/definition.py` instead.

Settings come from four places. The first that has a setting wins: the command line (`--config`, `--database`), the
environment, `versionsync.toml` in the current folder, `/etc/versionsync/versionsync.toml`. Only one of these files is
read. With `--config FILE`, that is the only one. Beside it there may be
[files with more sources](#sources-in-files-of-their-own).

You need no file. `DATOCMS_API_TOKEN` alone is a complete configuration: one source named `default`, the primary
environment, SQLite in `./versionsync.db`. [versionsync.example.toml](versionsync.example.toml) shows every setting.
`versionsync init` writes a file for you, and `versionsync doctor` checks it.

A setting that does not exist is an error: the message names the file, the line and the most similar setting. The same
is true for a variable that resembles one of the variables below, such as `VERSIONSYNC_DATABSE_URL`. Any other variable
whose name begins with `VERSIONSYNC_` is logged once as a warning, unless the settings mention it or Kubernetes made it.

`./versionsync.toml` can send any variable of your environment to an address of its choice. So it is used only if you or
root own the file and its folder, and no other user can write them. The same holds for files with more sources beside
it. A file that you name with `--config`, and the one in `/etc/versionsync`, may belong to anyone.

## Sources in files of their own

A folder `sources.d` beside `versionsync.toml` may hold files with more sources. This helps if you have many, or if a
script adds and removes them. Each file has one or several `[[sources]]` tables, and nothing else:

```toml
# /etc/versionsync/sources.d/shop.toml
[[sources]]
name = "shop"
api_token_file = "shop.token"
max_staleness = 300
```

- All files that end in `.toml` are read, in the order of their names, after `versionsync.toml`. Hidden files and other
  files are not. There may be no file, but a settings file must exist beside the folder; it may be empty.
- A name must be unique over all files. An error names the file and the line.
- The files are checked as the settings file is: who may write them if it was only found, and who may read them if they
  hold a secret.
- A relative path in them works as in the settings file: it starts at the folder of the settings file. So you can move a
  source from one file to another as it is.
- The daemon reads all of them again when you [reload it](daemon.md#stop-it-or-reload-its-settings). If one is wrong, it
  keeps the old settings.
- `versionsync doctor` lists the files.

A settings file with another name, `NAME.toml`, has its own folder, `NAME.sources.d`: several services may keep their
settings in one folder.

## Secrets

An API token is looked up in this order:

1. what the source names: one of `api_token_env`, `api_token_file` and `api_token`;
2. `$CREDENTIALS_DIRECTORY/<name of the source>`, then `$CREDENTIALS_DIRECTORY/api_token` (systemd's `LoadCredential=`);
3. the environment variable `DATOCMS_API_TOKEN`.

A restore token is looked up in what the source names, `restore_token_env` or `restore_token_file`, then in the variable
`DATOCMS_RESTORE_TOKEN`. Without one nothing is written to DatoCMS.

A database URL with a password belongs in `database_url`, in the file that `database_url_file` names, or in
`$CREDENTIALS_DIRECTORY/database_url`. On the command line it is refused: every user of the machine could read it. In a
password within a URL, write `@` as `%40`, `/` as `%2F`, `?` as `%3F` and `%` as `%25`. Among parameters, also write `&`
as `%26`. A URL is refused if it is not clear where its password ends. Any other text is the path of a SQLite file. It
is refused if it looks like something else, such as `host=… password=…` or `localhost:5432/…`.

A file with a secret must belong to you or to root. It is refused if its group or others can read it; `chmod 600 FILE`
helps. There is one exception: your group may read a file of root. Kubernetes makes such files with `defaultMode: 0440`
and an `fsGroup`. Files in `CREDENTIALS_DIRECTORY` and in `/run/secrets` (Docker, Podman) may have any owner and mode,
since their folder is protected. Quotes around a secret are an error: a shell removes them, `--env-file` does not.

A `base_url` or `heartbeat_url` that begins with `http://` and leads to another machine is logged as a warning.
"""

_CONDITIONS: Final[Mapping[type[Struct], str]] = {
    SourceSettings: "; only if no file has a source",
    NotificationSettings: "; only if no file has one",
}


def settings_page() -> str:
    """Return the text of `docs/settings.md`."""
    parts = [
        _INTRODUCTION,
        _section("At the top of the file", "", Settings),
        _section("`[[sources]]`", f"{SourceSettings.__doc__} Write one such table for each.", SourceSettings),
        _section("`mass_delete_limit` of a source", f"{MassDeleteSettings.__doc__}", MassDeleteSettings),
        _section("`change_search` of a source", f"{SearchSettings.__doc__}", SearchSettings),
        _section(
            "`[[notifications]]`",
            f"{NotificationSettings.__doc__} Write one such table for each channel.",
            NotificationSettings,
        ),
        _section("`[http]`", f"{HttpSettings.__doc__}", HttpSettings),
        _section("`[daemon]`", f"{DaemonSettings.__doc__}", DaemonSettings),
        _variables(),
    ]
    return "\n".join(parts)


def _section(title: str, introduction: str, struct: type[Struct]) -> str:
    rows = [f"## {title}", "", *([introduction, ""] if introduction else [])]
    rows += ["| setting | holds | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{setting.name}` | {setting.expected} | {setting.default} | {setting.description} |"
        for setting in settings_of(struct)
    ]
    return "\n".join(rows) + "\n"


def _variables() -> str:
    rows = ["## Environment variables", "", "| variable | setting |", "| --- | --- |"]
    rows += ["| `DATOCMS_API_TOKEN` | the API token of every source that does not name another |"]
    tables = (
        ("", Settings),
        ("sources.", SourceSettings),
        ("http.", HttpSettings),
        ("notifications.", NotificationSettings),
    )
    for prefix, struct in tables:
        condition = _CONDITIONS.get(struct, "")
        rows += [
            f"| `{setting.env}` | `{prefix}{setting.name}`{condition} |"
            for setting in settings_of(struct)
            if setting.env
        ]
    rows += ["| `CREDENTIALS_DIRECTORY` | a folder with secrets, set by systemd |"]
    rows += ["| `NO_COLOR` | any value: no colours, as with `--no-color` |"]
    return "\n".join(rows) + "\n"
