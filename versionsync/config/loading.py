"""Load the settings. The first that has one wins: command line, environment, file, default."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from versionsync.config.checking import check_table, check_text, settings_of
from versionsync.config.credentials import SecretReader, check_database_url
from versionsync.config.definition import DEFAULT_SOURCE, HttpSettings, NotificationSettings, Settings, SourceSettings
from versionsync.config.environment_variables import unknown_variables
from versionsync.config.errors import FileProblem, InvalidSetting, SecretProblem, UnknownSource
from versionsync.config.file_trust import check_found
from versionsync.config.source_files import SourceFile, folder_of, has_files, read_source_files
from versionsync.config.toml_file import TomlFile, read_toml
from versionsync.secret import Secret
from versionsync.text import nearest, some

__all__ = ["LOCAL_FILE", "SYSTEM_FILE", "ConfigWarning", "Configuration", "check_command_line", "load"]

_OF_DATABASES: Final = ("database_url", "database_url_file", "reader_url", "reader_url_file")

S = TypeVar("S", SourceSettings, HttpSettings, NotificationSettings)

LOCAL_FILE: Final = Path("versionsync.toml")
SYSTEM_FILE: Final = Path("/etc/versionsync/versionsync.toml")

_EITHER_OR: Final = (
    ("api_token_env", "api_token_file", "api_token"),
    ("restore_token_env", "restore_token_file"),
    ("webhook_password_env", "webhook_password_file"),
    ("heartbeat_url_env", "heartbeat_url_file", "heartbeat_url"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWarning:
    """Something in the settings that works but may be a mistake, and what to do about it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The settings in force, and where they came from.

    Attributes:
        settings: The settings themselves.
        path: The file that was read. None: none was.
        file_names_sources: The file has sources, so the environment describes none of them.
        environ: The environment, in which secrets are looked up.
        source_files: The files of `sources.d` that were read, too, by name.
        warnings: What may be a mistake in them.
    """

    settings: Settings
    path: Path | None
    file_names_sources: bool
    environ: Mapping[str, str] = field(repr=False)
    source_files: tuple[SourceFile, ...] = ()
    warnings: tuple[ConfigWarning, ...] = ()

    @property
    def sources(self) -> tuple[SourceSettings, ...]:
        """The configured sources. If there are none: the one that the environment describes."""
        return self.settings.sources

    @property
    def http(self) -> HttpSettings:
        return self.settings.http

    @property
    def secrets(self) -> SecretReader:
        """The secrets that they name. Relative files are in the folder of the settings file."""
        return SecretReader(self.path.parent if self.path else Path(), self.environ)

    def source(self, name: str) -> SourceSettings:
        """Return the source called `name`. Raises UnknownSource, whose hint has the most similar name."""
        for source in self.sources:
            if source.name == name:
                return source
        names = [source.name for source in self.sources]
        meant = nearest(name, names)
        raise UnknownSource(
            f"there is no source called {name}",
            hint=f"Did you mean {meant}?" if meant else f"The settings have: {some(names)}.",
        )

    def named(self, names: Sequence[str]) -> list[SourceSettings]:
        """Return the sources called `names`, each once, or all if there are none. Raises UnknownSource."""
        return [self.source(name) for name in dict.fromkeys(names)] if names else list(self.sources)

    def database_url(self) -> Secret:
        """Return the URL of the database, which may hold a password. Raises a ConfigError if it cannot be used."""
        return self.secrets.database_url(self.settings)

    def reader_url(self) -> Secret | None:
        """Return the URL of the database for readers; None: none is set. Raises a ConfigError if it cannot be used."""
        return self.secrets.reader_url(self.settings)

    @property
    def notifications(self) -> tuple[NotificationSettings, ...]:
        """Where notifications go. If the file has none: where the environment says."""
        return self.settings.notifications

    def notification_url(self, entry: NotificationSettings) -> Secret:
        """Return the address of an `entry` of `notifications`. Raises SecretProblem if it cannot be read."""
        return self.secrets.notification_url(entry, where=f"notifications[{self.notifications.index(entry)}]")


def load(
    *,
    config: Path | None = None,
    database_url: str | None = None,
    environ: Mapping[str, str] | None = None,
    local_file: Path = LOCAL_FILE,
    system_file: Path = SYSTEM_FILE,
) -> Configuration:
    """Return the settings in force.

    It reads no secret, except those in the settings file itself: a command that needs no token runs without one.

    Args:
        config: The file that the command line names.
        database_url: The database that the command line names.
        environ: The environment. None: that of this process.
        local_file: The settings file of the current folder.
        system_file: The settings file of the machine.

    Raises:
        ConfigError: The settings cannot be used.
    """
    environ = os.environ if environ is None else environ
    path = config if config is not None else _find(local_file, system_file)
    settings, source_files = Settings(), tuple[SourceFile, ...]()
    if path is not None:
        settings, source_files = _read(path, found=config is None and path == local_file, environ=environ)
    unknown = unknown_variables(settings, environ)
    named = bool(settings.sources)
    if not named:
        source = SourceSettings(name=DEFAULT_SOURCE)
        settings = msgspec.structs.replace(settings, sources=(_with_environment(source, environ),))
    if not settings.notifications and (entry := _with_environment(NotificationSettings(), environ)).url is not None:
        settings = msgspec.structs.replace(settings, notifications=(entry,))
    settings = msgspec.structs.replace(settings, http=_with_environment(settings.http, environ))
    settings = _with_database(settings, database_url, environ)
    return Configuration(
        settings=settings,
        path=path,
        file_names_sources=named,
        environ=environ,
        source_files=source_files,
        warnings=(*_warnings(settings, unknown), *_unread(path, local_file, system_file)),
    )


def _warnings(settings: Settings, unknown: Sequence[str]) -> Iterator[ConfigWarning]:
    for name in unknown:
        yield ConfigWarning(
            message=f"the variable {name} has no effect: versionsync does not know it",
            hint="docs/settings.md lists the variables; unset it if it is not for versionsync.",
        )
    for source in settings.sources:
        for name, url in (("base_url", source.base_url), ("heartbeat_url", source.heartbeat_url)):
            if url is not None and _is_open(url if isinstance(url, str) else url.reveal()):
                yield ConfigWarning(
                    message=f"source {source.name}: {name} is http:// to another machine: anyone on the way can read "
                    "and change everything that is sent, also the token",
                    hint="Write https://. If the server has no TLS, put a proxy with TLS on its machine.",
                )


def _unread(path: Path | None, *candidates: Path) -> Iterator[ConfigWarning]:
    """Warn of files with sources that are beside no settings file."""
    for folder in dict.fromkeys(folder_of(each) for each in candidates) if path is None else ():
        if has_files(folder):
            yield ConfigWarning(
                message=f"the files in {folder} are not read: there is no settings file beside it",
                hint=f"Write one, which may be empty: {folder.parent / SYSTEM_FILE.name}",
            )


def _is_open(url: str) -> bool:
    """Whether what is sent to this address leaves the machine unencrypted."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost" or host.endswith(".localhost")
    return parts.scheme.lower() == "http" and not is_here


def _find(*candidates: Path) -> Path | None:
    for path in candidates:
        try:
            if path.exists():
                return path
        except PermissionError as error:
            if path.is_absolute():
                raise FileProblem(
                    f"the settings file {path} cannot be read: {error.strerror}", hint="Check its owner and mode."
                ) from error
            # The current folder is closed, as root's is after `sudo -u versionsync`: there are no settings to use.
    return None


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of the settings, and what it says."""

    file: TomlFile
    settings: Settings


def _read(path: Path, *, found: bool, environ: Mapping[str, str]) -> tuple[Settings, tuple[SourceFile, ...]]:
    """Return the settings of a file with the sources of `sources.d` beside it, and the files there.

    If it was only `found` in the current folder, the user or root must own all of them.
    """
    main = read_toml(
        path, check=(lambda: check_found(path)) if found else None, missing="`versionsync init` writes one."
    )
    files = [main, *read_source_files(path, found=found)]
    parts = [_Part(file, check_table(file.table, Settings, where=file.where)) for file in files]
    _check_complete(parts)
    for part in parts:
        if secret := next(_inline_secrets(part), None):
            SecretReader(path.parent, environ).check_file(part.file.path, part.file.status, secret)
    sources = tuple(source for part in parts for source in part.settings.sources)
    more = tuple(SourceFile(each.file.path, [source.name for source in each.settings.sources]) for each in parts[1:])
    return msgspec.structs.replace(parts[0].settings, sources=sources), more


def _check_complete(parts: Sequence[_Part]) -> None:
    """Check what needs the complete settings: the file, which comes first, and those of `sources.d`."""
    names: dict[str, tuple[_Part, str]] = {}
    for part in parts:
        for number, source in enumerate(part.settings.sources):
            path = f"sources[{number}]"
            first, taken = names.setdefault(source.name.casefold(), (part, path))
            if (first, taken) != (part, path):
                by = taken if first is part else first.file.where(taken)
                raise InvalidSetting(
                    f"{part.file.where(f'{path}.name')}: {path}.name: the name {source.name} is taken by {by}",
                    hint="Give each source its own name; upper and lower case do not count.",
                )
            for names_of_one in _EITHER_OR:
                _check_one_of(source, names_of_one, part.file, path)
    main, settings = parts[0].file, parts[0].settings
    known = {source.name for part in parts for source in part.settings.sources}
    for number, entry in enumerate(settings.notifications):
        path = f"notifications[{number}]"
        if not _check_one_of(entry, ("url_env", "url_file", "url"), main, path):
            raise InvalidSetting(f"{main.where(path)}: {path} has no url_env, url_file or url", hint="Set one of them.")
        for name in entry.sources or ():
            if name not in known:
                meant = nearest(name, known)
                hint = f"Did you mean {meant}?" if meant else "Name sources of the settings, or leave it out."
                where = main.where(f"{path}.sources")
                raise InvalidSetting(f"{where}: {path}.sources: there is no source called {name}", hint=hint)
    for name in ("database_url", "reader_url"):
        if getattr(settings, name) is not None and getattr(settings, f"{name}_file") is not None:
            raise InvalidSetting(
                f"{main.where(f'{name}_file')}: {name} and {name}_file are both set", hint="Keep one of them."
            )


def _inline_secrets(part: _Part) -> Iterator[str]:
    """Yield the path of each secret in the settings themselves."""
    settings = part.settings
    yield from (f"sources[{number}].api_token" for number, source in enumerate(settings.sources) if source.api_token)
    yield from (
        f"sources[{number}].heartbeat_url" for number, source in enumerate(settings.sources) if source.heartbeat_url
    )
    yield from (f"notifications[{number}].url" for number, entry in enumerate(settings.notifications) if entry.url)
    for name in ("database_url", "reader_url"):
        given: Secret | None = getattr(settings, name)
        url = given.reveal().strip() if given is not None else ""
        if url and _has_password(url, part.file, name):
            yield f"the password in {name}"


def _has_password(url: str, file: TomlFile, name: str) -> bool:
    """Return whether the URL that `file` has as `name` has a password. Raises InvalidSetting with the line."""
    try:
        return bool(check_database_url(url, where=name).secrets)
    except InvalidSetting:
        return bool(check_database_url(url, where=f"{file.where(name)}: {name}").secrets)  # raises it with the line


def _check_one_of(table: Struct, names: Sequence[str], file: TomlFile, path: str) -> bool:
    """Return whether one of these settings of the table at `path` is set. Raises InvalidSetting if several are."""
    given = [name for name in names if getattr(table, name) is not None]
    if len(given) > 1:
        where = file.where(f"{path}.{given[-1]}")
        raise InvalidSetting(f"{where}: {path} has {' and '.join(given)}", hint="Keep one of them.")
    return bool(given)


def check_command_line(database_url: str, *, where: str = "--database") -> None:
    """Check a database on the command line, at `where`. Raises InvalidSetting, or SecretProblem for a password."""
    if check_database_url(database_url, where=where).secrets:
        raise SecretProblem(
            "a password on the command line can be read by every user of this machine",
            hint="Set VERSIONSYNC_DATABASE_URL, or database_url_file in the settings.",
        )


def _with_environment(table: S, environ: Mapping[str, str]) -> S:
    given = {
        setting.name: check_text(text, setting)
        for setting in settings_of(type(table))
        if setting.env and (text := environ.get(setting.env, "").strip())
    }
    return msgspec.structs.replace(table, **given)


def _with_database(settings: Settings, database_url: str | None, environ: Mapping[str, str]) -> Settings:
    """Set the database that the command line names, else the environment, else the file.

    A URL for readers counts only beside a database of the same place, or where it names none: it must not lead to
    another database.
    """
    if database_url is not None:
        check_command_line(database_url)
        named: dict[str, Secret | str | None] = dict.fromkeys(_OF_DATABASES)
        return msgspec.structs.replace(settings, **(named | {"database_url": Secret(database_url)}))
    found = _database_in(environ, "database_url")
    if found:
        settings = msgspec.structs.replace(settings, **dict.fromkeys(_OF_DATABASES))
    found |= _database_in(environ, "reader_url")
    if any(name.startswith("reader") for name in found):
        settings = msgspec.structs.replace(settings, reader_url=None, reader_url_file=None)
    return msgspec.structs.replace(settings, **found)


def _database_in(environ: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return what the environment says of `name` or of `name`_file, checked; the first of them."""
    known = {setting.name: setting for setting in settings_of(Settings)}
    for each in (name, f"{name}_file"):
        setting = known[each]
        if text := environ.get(setting.env or "", "").strip():
            if each == name:
                check_database_url(text, where=f"the variable {setting.env}")
            return {each: check_text(text, setting)}
    return {}
