"""What a service needs before it is installed: settings, secrets and a database that it can use."""

from __future__ import annotations

import ipaddress
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from versionsync.cli.context import CliContext
from versionsync.config import (
    ConfigError,
    Configuration,
    FileProblem,
    HttpSettings,
    InvalidSetting,
    SecretProblem,
    load,
)
from versionsync.database_urls import parse
from versionsync.systemd.errors import NotAccessible, ServiceError
from versionsync.systemd.plan import READABLE, Paths
from versionsync.systemd.units import DEFAULT_ADDRESS, UnitOptions

if TYPE_CHECKING:
    from versionsync.mirror.errors import MirrorError

__all__ = ["ServiceSettings", "check_service", "service_settings"]

_SECRETS: Final = ("api_token", "webhook_password", "heartbeat_url")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What an installation takes from the settings."""

    credentials: tuple[Path, ...]
    """The files with secrets that systemd passes to the service."""
    address: str
    """Where its socket listens."""
    mode: int
    """The mode of the settings file."""


def check_service(
    session: CliContext, options: UnitOptions, paths: Paths, *, reads_secrets: bool
) -> Iterator[ConfigError | ServiceError | MirrorError]:
    """Yield what would keep the service from starting.

    Args:
        session: The invocation.
        options: Which service.
        paths: The folders of its settings and state.
        reads_secrets: Whether this user may read the secrets. If not, they and the database are not checked.
    """
    path = paths.settings / options.settings
    if session.options.config not in (None, path):
        yield InvalidSetting(
            f"the service reads its settings from {path}, not from {session.options.config}",
            hint="Put the file there, or use --name for a service with its own settings.",
        )
    if not path.exists():
        yield FileProblem(
            f"there is no settings file {path}",
            hint=f"Write it: versionsync init --config {path} --token-file {path.with_name(options.credential)}",
        )
        return
    if not options.user and not path.parent.stat().st_mode & stat.S_IXOTH:
        yield NotAccessible(
            f"the service's user cannot read {path}: others may not enter {path.parent}",
            hint=f"Run: chmod 755 {path.parent}. The secrets in it are separate files with mode 0600.",
        )
    # A service has none of the variables of a shell.
    found = list(_problems(lambda: load(config=path, environ={})))
    yield from found
    if found:
        return
    configuration = load(config=path, environ={})
    yield from _problems(lambda: _refuse_variables(configuration, path))
    if not options.user:
        yield from _problems(lambda: _refuse_closed_files(configuration))
        yield from _problems(lambda: _refuse_inline_secrets(configuration, path))
    yield from _problems(lambda: _settings(configuration, options, path))
    if reads_secrets:
        found = list(_problems(lambda: _read_secrets(session, configuration, options)))
        yield from found or _problems(lambda: _check_database(configuration, options, paths))


def _problems(check: Callable[[], object]) -> Iterator[ConfigError | ServiceError | MirrorError]:
    """Yield the error that `check` raises, if any."""
    from versionsync.mirror.errors import MirrorError

    try:
        check()
    except (ConfigError, ServiceError, MirrorError) as error:
        yield error


def service_settings(options: UnitOptions, paths: Paths) -> ServiceSettings:
    """Return what an installation takes from the settings, or the defaults of the units if these are unusable."""
    path = paths.settings / options.settings
    try:
        return _settings(load(config=path, environ={}), options, path)
    except (ConfigError, NotAccessible):
        return ServiceSettings((path.with_name(options.credential),), DEFAULT_ADDRESS, READABLE)


def _settings(configuration: Configuration, options: UnitOptions, path: Path) -> ServiceSettings:
    listens = options.instance is None and not options.timer
    return ServiceSettings(
        credentials=tuple(dict.fromkeys(_files(configuration, options, path))),
        address=_address(configuration.http, path) if listens else DEFAULT_ADDRESS,
        mode=stat.S_IMODE(path.stat().st_mode),
    )


def _address(http: HttpSettings, path: Path) -> str:
    """Return the address as systemd writes it."""
    try:
        ip = ipaddress.ip_address("127.0.0.1" if http.host == "localhost" else http.host)
    except ValueError:
        raise InvalidSetting(
            f"{path}: http.host must be an IP address: systemd opens the port",
            hint='For example "127.0.0.1", or "0.0.0.0" for every address of the machine.',
        ) from None
    if http.port == 0:
        raise InvalidSetting(
            f"{path}: http.port must be a fixed port: systemd opens it, and cannot choose a free one",
            hint="Leave it out for 8765.",
        )
    return f"[{ip}]:{http.port}" if ip.version == 6 else f"{ip}:{http.port}"


def _refuse_variables(configuration: Configuration, path: Path) -> None:

    for where, name, table in _named(configuration):
        if variable := getattr(table, f"{name}_env"):
            raise SecretProblem(
                f"{path}: {where} names the variable {variable}, but a service does not see your shell's variables",
                hint=f"Put the secret into a file beside {path.name}, and name the file: {name}_file.",
            )


def _refuse_closed_files(configuration: Configuration) -> None:
    """Raise NotAccessible if others cannot read a file with sources. (The settings file itself is made readable.)"""
    for path in (file.path for file in configuration.source_files):
        folder = path.parent
        if not (folder.stat().st_mode & stat.S_IROTH and folder.stat().st_mode & stat.S_IXOTH):
            raise NotAccessible(f"the service's user cannot read the folder {folder}", hint=f"Run: chmod 755 {folder}")
        if not path.stat().st_mode & stat.S_IROTH:
            raise NotAccessible(f"the service's user cannot read {path}", hint=f"Run: chmod 644 {folder}/*.toml")


def _refuse_inline_secrets(configuration: Configuration, path: Path) -> None:
    """Raise SecretProblem if the settings hold a secret: then the service's user must not read them."""
    inline = [f"{where}: {name}" for where, name, table in _named(configuration) if getattr(table, name, None)]
    if (url := configuration.settings.database_url) and parse(url.reveal()).secrets:
        inline.append("database_url with a password")
    if inline:
        raise SecretProblem(
            f"{path} holds a secret ({inline[0]}), so the service's user, who is not root, must not read it",
            hint="Put each secret into its own file beside it, mode 0600: api_token_file, database_url_file.",
        )


def _files(configuration: Configuration, options: UnitOptions, path: Path) -> Iterator[Path]:
    """Yield the files with secrets that the settings name."""
    settings = configuration.settings
    named = [(where, f"{name}_file", getattr(table, f"{name}_file")) for where, name, table in _named(configuration)]
    named.append(("the settings", "database_url_file", settings.database_url_file))
    for where, setting, file in named:
        if file is None:
            continue
        if not options.user and Path(file).name != file:
            raise NotAccessible(
                f"{path}: {where} has {setting} = {file!r}, which the service's user cannot read",
                hint=f"Put the file into {path.parent}, and name it without a folder: systemd reads it there.",
            )
        yield path.parent / file
    if any(not _names_token(source) for source in configuration.sources):
        yield path.parent / options.credential


def _read_secrets(session: CliContext, configuration: Configuration, options: UnitOptions) -> None:
    """Raise SecretProblem unless each secret exists, is not empty, and is in a file that others cannot read."""
    for source in configuration.sources:
        if not _names_token(source):
            source = msgspec.structs.replace(source, api_token_file=options.credential)
        session.redactor.learn(configuration.secrets.api_token(source).reveal())
        configuration.secrets.webhook_password(source)
        configuration.secrets.heartbeat_url(source)
    for notification in configuration.notifications:
        configuration.notification_url(notification)
    configuration.database_url()


def _names_token(source: object) -> bool:
    return any(getattr(source, name) is not None for name in ("api_token", "api_token_file", "api_token_env"))


def _named(configuration: Configuration) -> Iterator[tuple[str, str, msgspec.Struct]]:
    """Yield each secret that a table may name: the table's name, the setting, and the table."""
    for source in configuration.sources:
        yield from ((f"source {source.name}", name, source) for name in _SECRETS)
    for number, notification in enumerate(configuration.notifications):
        yield f"notifications[{number}]", "url", notification


def _check_database(configuration: Configuration, options: UnitOptions, paths: Paths) -> None:
    from versionsync.mirror.engine.sqlalchemy_urls import database_url, sqlite_path

    url = database_url(configuration.database_url().reveal())
    if url.get_backend_name() != "sqlite":
        return
    sqlite_path(url)  # raises if it is not a file
    path = paths.state / Path(url.database or "").expanduser()
    if not options.user and not path.is_relative_to(paths.state):
        raise NotAccessible(
            f"the service can write only into {paths.state}, and the database would be {path}",
            hint='Leave database_url out, or name a file there: database_url = "sqlite:///versionsync.db".',
        )
    _check_schema(path)


def _check_schema(path: Path) -> None:
    """Raise a MirrorError if the schema is unknown. Opening the mirror would leave files of root in its folder."""
    from versionsync.mirror.schema.migrate import VERSION_TABLE, check_known

    if not path.is_file():
        return
    with (
        suppress(sqlite3.Error),
        closing(
            sqlite3.connect(f"file:{quote(os.fsencode(path.resolve()))}?mode=ro&immutable=1", uri=True)
        ) as database,
    ):
        if row := database.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone():  # noqa: S608 - a constant
            check_known(str(row[0]), str(path))
