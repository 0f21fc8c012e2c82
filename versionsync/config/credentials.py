"""Read secrets: from a variable, a file that only its owner can read, or the service manager's credentials."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec import Struct

from versionsync.config.definition import (
    DEFAULT_DATABASE_URL,
    DEFAULT_RESTORE_TOKEN_VARIABLE,
    DEFAULT_TOKEN_VARIABLE,
    NotificationSettings,
    Settings,
    SourceSettings,
)
from versionsync.config.errors import InvalidSetting, SecretProblem
from versionsync.config.file_trust import Self, distrust_of_secret
from versionsync.database_urls import BadDatabaseUrl, DatabaseUrl, parse
from versionsync.secret import Secret

__all__ = ["SecretReader", "check_database_url", "looks_like_a_placeholder"]

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
CONTAINER_SECRETS: Final = Path("/run/secrets")
SECRET_BYTES: Final = 64 * 1024
PASSWORD_LENGTH: Final = 16
"""The minimum for a webhook's password: anyone who reaches the port can try to guess it."""

_WEB_ADDRESS: Final = re.compile(r"https?://[^\s/]+(/\S*)?", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(
    r"""
      <.*> | \[.*\] | \{.*\} | \$\{?\w*\}?                          # <token>, {{ token }}, ${TOKEN}
    | x+ | \.+ | …+ | \*+ | -+ | _+
    | todo | none | null | undefined | secret | (change|replace)[-_ ]?me
    | ((your|my|the|a|some)[-_ ])?(dato(cms)?[-_ ])?(full[-_ ]access[-_ ])?(api[-_ ]?)?token([-_ ]here)?
    | (your|insert|paste|replace)[-_ ].*
    """,
    re.IGNORECASE | re.VERBOSE,
)


def looks_like_a_placeholder(token: str) -> bool:
    """Return whether `token` is a placeholder, as in a manual or an example file."""
    return _PLACEHOLDER.fullmatch(token.strip()) is not None


def check_database_url(text: str, *, where: str) -> DatabaseUrl:
    """Return the parts of the database URL at `where`. Raises InvalidSetting, which never quotes `text`."""
    try:
        return parse(text)
    except BadDatabaseUrl as error:
        raise InvalidSetting(f"{error} ({where})", hint=error.hint) from None


def _checked_url(url: Secret, where: str) -> Secret:
    if not url.reveal().strip():
        raise SecretProblem(f"the database URL is empty ({where})", hint="For example: sqlite:///versionsync.db")
    check_database_url(url.reveal(), where=where)
    return url


def _refuse_quotes(secret: str, what: str, where: str) -> None:
    """Raise SecretProblem if a secret has quotes around it: a shell removes them, a file of variables keeps them."""
    if re.fullmatch(r"(['\"`]).*\1", secret, re.DOTALL):
        raise SecretProblem(f"{what} has quotes around it ({where})", hint="Write it without them.")


def _checked_token(text: str, what: str, where: str) -> Secret:
    """Return the token that stands at `where`. Raises SecretProblem if it cannot be one."""
    token = text.strip()
    if not token:
        raise SecretProblem(
            f"{what} is empty ({where})",
            hint="Put the token there: DatoCMS shows it in Project settings > API tokens.",
        )
    _refuse_quotes(token, what, where)
    if looks_like_a_placeholder(token):
        raise SecretProblem(
            f"{what} is only a placeholder ({where})",
            hint="Put the real token in its place: DatoCMS shows it in Project settings > API tokens.",
        )
    if re.search(r"\s", token) or not token.isascii() or not token.isprintable():
        raise SecretProblem(
            f"{what} has characters that no token has ({where})",
            hint="There must be nothing but the token: no name before it, no second line.",
        )
    return Secret(token)


@dataclass(frozen=True, slots=True)
class SecretReader:
    """Reads the secrets that the settings name.

    Attributes:
        folder: The folder in which relative files are looked up, after the service manager's credentials.
        environ: The environment, in which variables are looked up.
    """

    folder: Path
    environ: Mapping[str, str] = field(repr=False)

    def api_token(self, source: SourceSettings) -> Secret:
        """Return the token of `source`. A relative file is looked up in the credentials directory, then in `folder`.

        Raises SecretProblem if there is none, if it is empty or a placeholder, or if others can read its file.
        """
        where, text = self._find_token(source)
        if text is None:
            folder = self._credentials_folder if source.api_token_env is None else None
            nor = f", and {folder} has no file {source.name} or api_token" if folder else ""
            raise SecretProblem(
                f"source {source.name} has no API token: {where} is not set{nor}",
                hint=f"Set {where} to a token of the DatoCMS project (Project settings > API tokens), or run "
                "`versionsync init` on a terminal.",
            )
        return _checked_token(text, f"the API token of source {source.name}", where)

    def restore_token(self, source: SourceSettings) -> Secret | None:
        """Return the token that may write to `source`; None: its variable is not set, so nothing is written.

        Raises SecretProblem if it is a placeholder, or if its file is missing or empty, or others can read it.
        """
        variable = source.restore_token_env or DEFAULT_RESTORE_TOKEN_VARIABLE
        given = self._given(source, "restore_token") or (variable, self.environ.get(variable, "").strip())
        where, text = given
        if not text and source.restore_token_file is None:
            return None
        return _checked_token(text, f"the restore token of source {source.name}", where)

    def webhook_password(self, source: SourceSettings) -> Secret | None:
        """Return the password of the webhook of `source`; None: none is set, and no webhook calls are accepted.

        Raises SecretProblem if its variable or its file is missing or empty, or if others can read the file.
        """
        given = self._given(source, "webhook_password")
        if given is None:
            return None
        where, password = given
        _refuse_quotes(password, f"the webhook password of source {source.name}", where)
        if not password:
            raise SecretProblem(
                f"the webhook of source {source.name} has no password: {where} is not set, or empty",
                hint="Put a long random one there and into DatoCMS. Without the setting, no webhook calls are "
                "accepted.",
            )
        if len(password) < PASSWORD_LENGTH:
            raise SecretProblem(
                f"the password of the webhook of source {source.name} ({where}) has {len(password)} characters: "
                f"it could be guessed, and must have {PASSWORD_LENGTH}",
                hint="`versionsync webhook install` makes one if webhook_password_file names a file that does not "
                "exist.",
            )
        return Secret(password)

    def webhook_password_path(self, source: SourceSettings) -> Path | None:
        """Return the file in which a new webhook password of `source` can be stored.

        None: the file exists already, or the settings name none.
        """
        if source.webhook_password_file is None:
            return None
        path = self._locate(source.webhook_password_file)
        return None if path.exists() or path.is_symlink() else path

    def notification_url(self, entry: NotificationSettings, *, where: str) -> Secret:
        """Return the address of one `entry` of `[[notifications]]`; `where` is its path in the settings.

        Raises SecretProblem if it is empty, or cannot be read.
        """
        given = self._given(entry, "url")
        if given is None or not given[1]:
            raise SecretProblem(
                f"{where} has no address: {given[0] if given else 'url'} is not set, or empty",
                hint="Put an address of Apprise there, such as json://host/path; or remove it.",
            )
        _refuse_quotes(given[1], f"the address of {where}", given[0])
        return Secret(given[1])

    def heartbeat_url(self, source: SourceSettings) -> Secret | None:
        """Return the heartbeat URL of `source`; None: it has none.

        Raises SecretProblem if it is empty or cannot be read, InvalidSetting if it is not a web address.
        """
        given = self._given(source, "heartbeat_url")
        if given is None:
            return None
        where, url = given
        if not url:
            raise SecretProblem(
                f"the heartbeat of source {source.name} has no address: {where} is not set, or empty",
                hint="Put the address there that the service shows; or remove the setting.",
            )
        _refuse_quotes(url, f"the heartbeat address of source {source.name}", where)
        if not _WEB_ADDRESS.fullmatch(url):
            raise InvalidSetting(
                f"the heartbeat address of source {source.name} is not a web address ({where})",
                hint="It must start with https:// or http:// and have no spaces in it.",
            )
        return Secret(url)

    def database_url(self, settings: Settings) -> Secret:
        """Return the URL of the database: from its setting, a file, the service manager's credentials, or the default.

        Raises SecretProblem if it is empty or its file cannot be used, InvalidSetting if it is not a database URL.
        """
        if given := self._url("database_url", settings.database_url, settings.database_url_file):
            return given
        if (handed := self._credential("database_url")) is not None:
            return _checked_url(Secret(self.read_file(handed).strip()), str(handed))
        return Secret(DEFAULT_DATABASE_URL)

    def reader_url(self, settings: Settings) -> Secret | None:
        """Return the URL of the database for readers; None: none is set. Raises as `database_url`."""
        return self._url("reader_url", settings.reader_url, settings.reader_url_file)

    def _url(self, name: str, url: Secret | None, file: str | None) -> Secret | None:
        if url is not None:
            return _checked_url(url, name)
        if file is None:
            return None
        path = self._locate(file)
        return _checked_url(Secret(self.read_file(path).strip()), str(path))

    def read_file(self, path: Path) -> str:
        """Return the content of `path`.

        Raises SecretProblem if others own it or can read it, unless a service manager or a container put it there.
        """
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
                raise SecretProblem(f"{path} is not a file", hint="Name the file that holds the secret.")
            with path.open("rb") as file:
                self.check_file(path, os.fstat(file.fileno()), "a secret")
                raw = file.read(SECRET_BYTES + 1)
            if len(raw) > SECRET_BYTES:
                raise SecretProblem(f"{path} is too large for a secret", hint="Name the file that holds the secret.")
            return raw.decode("utf-8-sig")
        except FileNotFoundError:
            raise SecretProblem(f"there is no file {path}", hint="Write the secret into it, mode 0600.") from None
        except UnicodeDecodeError:
            raise SecretProblem(f"{path} is not text", hint="It must hold only the secret.") from None
        except OSError as error:
            raise SecretProblem(f"{path} cannot be read: {error.strerror}", hint="Check its owner and mode.") from error

    def check_file(self, path: Path, status: os.stat_result, what: str) -> None:
        """Raise SecretProblem if the owner and mode of `path` do not protect `what` it holds."""
        doubt = None if self._is_handed_over(path) else distrust_of_secret(status, Self.now(), path)
        if doubt is not None:
            raise SecretProblem(f"{path} holds {what} and {doubt.reason}", hint=f"Run: {doubt.command}")

    def _given(self, settings: Struct, name: str) -> tuple[str, str] | None:
        """Return where `name`, `name`_env or `name`_file gives a secret, and the secret; None: none of them is set."""
        file, variable = getattr(settings, f"{name}_file"), getattr(settings, f"{name}_env")
        itself: Secret | None = getattr(settings, name, None)
        if file is not None:
            path = self._locate(file)
            return str(path), self.read_file(path).strip()
        if variable is not None:
            return variable, self.environ.get(variable, "").strip()
        return None if itself is None else (name, itself.reveal().strip())

    def _find_token(self, source: SourceSettings) -> tuple[str, str | None]:
        """Return where the token is, in words, and what is there (None: nothing)."""
        if source.api_token is not None:
            return "api_token in the settings file", source.api_token.reveal()
        if source.api_token_file is not None:
            path = self._locate(source.api_token_file)
            return str(path), self.read_file(path)
        if source.api_token_env is not None:
            return source.api_token_env, self.environ.get(source.api_token_env)
        for name in (source.name, "api_token"):
            handed = self._credential(name)
            if handed is not None:
                return str(handed), self.read_file(handed)
        return DEFAULT_TOKEN_VARIABLE, self.environ.get(DEFAULT_TOKEN_VARIABLE)

    @property
    def _credentials_folder(self) -> Path | None:
        folder = self.environ.get(CREDENTIALS_VARIABLE)
        return Path(folder) if folder else None

    def _credential(self, name: str) -> Path | None:
        folder = self._credentials_folder
        return folder / name if folder is not None and (folder / name).is_file() else None

    def _locate(self, name: str) -> Path:
        if "\0" in name:
            raise InvalidSetting("the name of a file with a secret has a NUL in it", hint="Write it again.")
        try:
            path = Path(name).expanduser()
        except RuntimeError:
            raise InvalidSetting(f"no home folder is known for {name}", hint="Write the full path.") from None
        if path.is_absolute():
            return path
        return self._credential(name) or self.folder / path

    def _is_handed_over(self, path: Path) -> bool:
        """Whether a service manager or a container protects the folder, whatever the mode of the file."""
        folders = [CONTAINER_SECRETS, *filter(None, [self._credentials_folder])]
        return any(file.is_relative_to(folder.resolve()) for file in (path, path.resolve()) for folder in folders)
