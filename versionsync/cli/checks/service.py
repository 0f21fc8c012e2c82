"""What must be so before a service is installed: settings, secrets and a database that it can use."""

from __future__ import annotations

import ipaddress
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from versionsync.database_urls import parse
from versionsync.systemd.errors import NotAccessible
from versionsync.systemd.plan import Paths
from versionsync.systemd.units import DEFAULT_ADDRESS, UnitOptions

if TYPE_CHECKING:
    from versionsync.cli.context import CliContext
    from versionsync.config import Configuration, HttpSettings

__all__ = ["ServiceCheck", "ServiceSettings", "check_service", "service_settings"]

_SECRETS: Final = ("api_token", "webhook_password", "heartbeat_url")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the settings ask of systemd: the files that it hands over, and where its socket listens."""

    credentials: tuple[Path, ...]
    address: str


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """What the settings ask for, and the mode that their own file has."""

    asked: ServiceSettings
    settings_mode: int


def check_service(session: CliContext, form: UnitOptions, places: Paths, *, reads_secrets: bool) -> ServiceCheck:
    """What the settings ask for; whoever may not read secrets learns no more than the settings say.

    Raises a ConfigError, OutOfReach or a MirrorError for what would keep the service from starting.
    """
    from versionsync.config import FileProblem, InvalidSetting, load

    path = places.settings / form.settings
    if session.options.config not in (None, path):
        raise InvalidSetting(
            f"the service reads its settings from {path}, not from {session.options.config}",
            hint="Put the file there, or take --name for a service with settings of its own.",
        )
    if not path.exists():
        raise FileProblem(
            f"there is no settings file {path}",
            hint=f"Write it: versionsync init --config {path} --token-file {path.with_name(form.credential)}",
        )
    if not form.user and not path.parent.stat().st_mode & stat.S_IXOTH:
        raise NotAccessible(
            f"the service's user cannot read {path}: others may not enter {path.parent}",
            hint=f"Run: chmod 755 {path.parent}. The secrets in it are files of their own, mode 0600.",
        )
    # A service has none of the variables of a shell.
    configuration = load(config=path, environ={})
    _refuse_variables(configuration, path)
    if not form.user:
        _refuse_inline_secrets(configuration, path)
    asked = _asked(configuration, form, path)
    if reads_secrets:
        _read_all(session, configuration, form)
        _check_database(configuration, form, places)
    return ServiceCheck(asked, stat.S_IMODE(path.stat().st_mode))


def service_settings(form: UnitOptions, places: Paths) -> ServiceSettings:
    """What the settings ask for; where these cannot be used, what the units have anyway."""
    from versionsync.config import ConfigError, load

    path = places.settings / form.settings
    try:
        return _asked(load(config=path, environ={}), form, path)
    except (ConfigError, NotAccessible):
        return ServiceSettings((places.settings / form.credential,), DEFAULT_ADDRESS)


def _asked(configuration: Configuration, form: UnitOptions, path: Path) -> ServiceSettings:
    listens = form.instance is None and not form.timer
    return ServiceSettings(
        credentials=tuple(dict.fromkeys(_files(configuration, form, path))),
        address=_address(configuration.http, path) if listens else DEFAULT_ADDRESS,
    )


def _address(http: HttpSettings, path: Path) -> str:
    """As systemd wants it."""
    from versionsync.config import InvalidSetting

    try:
        ip = ipaddress.ip_address("127.0.0.1" if http.host == "localhost" else http.host)
    except ValueError:
        raise InvalidSetting(
            f"{path}: http.host must be an IP address: systemd opens the port",
            hint='For example "127.0.0.1", or "0.0.0.0" for every address of the machine.',
        ) from None
    if http.port == 0:
        raise InvalidSetting(
            f"{path}: http.port must be a port of its own: systemd opens it, and takes no free one",
            hint="Leave it out for 8765.",
        )
    return f"[{ip}]:{http.port}" if ip.version == 6 else f"{ip}:{http.port}"


def _refuse_variables(configuration: Configuration, path: Path) -> None:
    from versionsync.config import SecretProblem

    for where, name, table in _named(configuration):
        if variable := getattr(table, f"{name}_env"):
            raise SecretProblem(
                f"{path}: {where} names the variable {variable}, and a service has none of your shell's variables",
                hint=f"Put the secret into a file beside {path.name} and name it: {name}_file.",
            )


def _refuse_inline_secrets(configuration: Configuration, path: Path) -> None:
    """A file with a secret in it is one that the service's user cannot read."""
    from versionsync.config import SecretProblem

    inline = [f"{where}: {name}" for where, name, table in _named(configuration) if getattr(table, name, None)]
    if (url := configuration.settings.database_url) and parse(url.reveal()).secrets:
        inline.append("database_url with a password")
    if inline:
        raise SecretProblem(
            f"{path} holds a secret ({inline[0]}), and so the service's user, who is not root, must not read it",
            hint="Put each secret into a file beside it, mode 0600, and name that: api_token_file, database_url_file.",
        )


def _files(configuration: Configuration, form: UnitOptions, path: Path) -> Iterator[Path]:
    """The files that the settings name: systemd hands them over under their names."""
    settings = configuration.settings
    named = [(where, f"{name}_file", getattr(table, f"{name}_file")) for where, name, table in _named(configuration)]
    named.append(("the settings", "database_url_file", settings.database_url_file))
    for where, setting, file in named:
        if file is None:
            continue
        if not form.user and Path(file).name != file:
            raise NotAccessible(
                f"{path}: {where} has {setting} = {file!r}, which the service's user cannot read",
                hint=f"Put the file into {path.parent} and name it without a folder: systemd reads it there.",
            )
        yield path.parent / file
    if any(not _says_token(source) for source in configuration.sources):
        yield path.parent / form.credential


def _read_all(session: CliContext, configuration: Configuration, form: UnitOptions) -> None:
    """Each secret is there, not empty, and no file of it can be read by others."""
    for source in configuration.sources:
        if not _says_token(source):
            source = msgspec.structs.replace(source, api_token_file=form.credential)
        session.redactor.learn(configuration.api_token(source).reveal())
        configuration.webhook_password(source)
        configuration.heartbeat_url(source)
    for notice in configuration.notifications:
        configuration.notification_url(notice)
    configuration.database_url()


def _says_token(source: object) -> bool:
    return any(getattr(source, name) is not None for name in ("api_token", "api_token_file", "api_token_env"))


def _named(configuration: Configuration) -> Iterator[tuple[str, str, msgspec.Struct]]:
    """Each secret that a table may name: where, by which setting, and the table."""
    for source in configuration.sources:
        yield from ((f"source {source.name}", name, source) for name in _SECRETS)
    for number, notice in enumerate(configuration.notifications):
        yield f"notices[{number}]", "url", notice


def _check_database(configuration: Configuration, form: UnitOptions, places: Paths) -> None:
    from versionsync.mirror.engine.urls import database_url, sqlite_path

    url = database_url(configuration.database_url().reveal())
    if url.get_backend_name() != "sqlite":
        return
    sqlite_path(url)  # refuses what is no file
    path = places.state / Path(url.database or "").expanduser()
    if not form.user and not path.is_relative_to(places.state):
        raise NotAccessible(
            f"the service can write only into {places.state}, and the database is to be {path}",
            hint='Leave database_url out, or name a file there: database_url = "sqlite:///versionsync.db".',
        )
    _check_schema(path)


def _check_schema(path: Path) -> None:
    """Read without opening it as a database: root must leave no file of its own in there."""
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
