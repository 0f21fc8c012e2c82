"""Parse database URLs as people write them, and find the password in them.

The settings, the log's redaction and the mirror all use this one parser. With two parsers, one could take the end of a
password for a host name. So an ambiguous URL is refused: it has one `@`, after the user and the password, and before
the first `/` and `?`.

No message quotes any part of the URL: the wrong part may be the password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import quote, unquote

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = ["EXAMPLES", "BadDatabaseUrl", "DatabaseUrl", "parse", "secrets_in"]

MASK: Final = "***"
EXAMPLES: Final = "Write sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
HIGHEST_PORT: Final = 65_535

_SQLITE: Final = frozenset({"sqlite", "sqlite+pysqlite"})
_POSTGRES: Final = frozenset({"postgres", "postgresql", "postgresql+psycopg"})

# libpq's parameters (https://www.postgresql.org/docs/current/libpq-connect.html), up to PostgreSQL 18.
_OF_LIBPQ: Final = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_client_secret oauth_issuer
    oauth_scope options passfile password port replication require_auth requirepeer requiressl scram_client_key
    scram_server_key service servicefile ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode
    sslcompression sslcrl sslcrldir sslkey sslkeylogfile sslmode sslnegotiation sslpassword sslrootcert sslsni
    target_session_attrs tcp_user_timeout user
    """.split()  # noqa: SIM905 - as a list it would be as long as the rest of the file
)
_OF_SQLITE: Final = frozenset({"timeout"})

_SECRET_NAME: Final = re.compile(r"pass|pwd|secret|token|sslkey$|_key$", re.IGNORECASE)
_SECRET_IN_VALUE: Final = re.compile(r"(pass\w*|pwd|secret|token)\s*=", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PARAMETER: Final = re.compile(r"(?:^|[\s;?&])[A-Za-z_][A-Za-z_ ]*=")
_NO_SCHEME: Final = re.compile(r"[A-Za-z0-9+.-]*//")
_PLACEHOLDER: Final = re.compile(r"\$|<.*>|\{.*\}|\[.*\]")


class BadDatabaseUrl(VersionsyncError):
    """A text is neither a database URL nor a path. Neither the message nor the hint quotes it."""

    kind = ErrorKind.CONFIGURATION
    hint = EXAMPLES


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """A database URL in its parts, each decoded. For SQLite, `database` is the path as written.

    `repr()` shows no part that may hold a secret.
    """

    backend: Literal["sqlite", "postgresql"]
    database: str | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Every part that must not be shown, as written and decoded."""

    def secret_parts(self) -> tuple[str, ...]:
        """Return the password and the values of secret parameters, decoded."""
        values = (value for name, value in self.query if _is_secret(name, value))
        return tuple(value for value in (self.password, *values) if value)

    def shown(self) -> str:
        """Return the URL for people and logs. It masks each secret, and each unknown parameter."""
        query = [(name, MASK) if _is_secret(name, value) else (name, _quoted(value)) for name, value in self.query]
        known = _OF_LIBPQ | _OF_SQLITE
        return self._joined(
            MASK if self.password is not None else None,
            [f"{name}={value}" if name.lower() in known else MASK for name, value in query],
        )

    def without_secrets(self) -> str:
        """Return the URL for another program, which asks for the password or looks into a password file."""
        query = [(name, value) for name, value in self.query if not _is_secret(name, value)]
        return self._joined(None, [f"{quote(name, safe='')}={_quoted(value)}" for name, value in query])

    def with_login(self, user: str, password: str) -> str:
        """Return the URL with this user and password, and without the secrets of another user."""
        query = [(name, value) for name, value in self.query if name != "user" and not _is_secret(name, value)]
        theirs = replace(self, user=user)
        return theirs._joined(
            quote(password, safe=""), [f"{quote(name, safe='')}={_quoted(value)}" for name, value in query]
        )

    def _joined(self, password: str | None, query: list[str]) -> str:
        text = f"{self.backend}://"
        if self.user is not None or password is not None:
            text += quote(self.user or "", safe="", errors="replace")
            text += f":{password}@" if password is not None else "@"
        if self.host:
            text += f"[{self.host}]" if ":" in self.host else quote(self.host, safe="._-", errors="replace")
        if self.port is not None:
            text += f":{self.port}"
        if self.database is not None:
            is_path = self.backend == "sqlite"
            text += f"/{self.database if is_path else quote(self.database, safe='._-', errors='replace')}"
        return text + (f"?{'&'.join(query)}" if query else "")


def parse(text: str) -> DatabaseUrl:
    """Return the parts of a URL of SQLite or PostgreSQL, or of the path of a SQLite file.

    Raises:
        BadDatabaseUrl: It is neither, or it is not clear where its password ends.
    """
    text = text.strip()
    if not text:
        raise BadDatabaseUrl("the database URL is empty")
    if _CONTROL.search(text):
        raise BadDatabaseUrl("the database URL has a line break or another control character in it")
    if text[0] in "\"'`" or text[-1] in "\"'`":
        raise BadDatabaseUrl("the database URL has quotes around it", hint="Write it without them.")
    if _PLACEHOLDER.match(text):
        raise BadDatabaseUrl("the database URL is only a placeholder")
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _path(text)
    if not _SCHEME.fullmatch(scheme):
        raise BadDatabaseUrl("the database URL has something before it", hint="Write the URL and nothing else.")
    if scheme.lower() in _SQLITE:
        return _sqlite(rest)
    if scheme.lower() in _POSTGRES:
        return _postgres(rest)
    raise BadDatabaseUrl(f"versionsync does not know databases of the kind {scheme.lower()}")


def secrets_in(text: str) -> tuple[str, ...]:
    """Return what may be a secret in `text`, a database URL or a wrong one, as written and decoded."""
    try:
        return parse(text).secrets
    except BadDatabaseUrl:
        return _guessed(text)


def _path(text: str) -> DatabaseUrl:
    """Return the URL of a SQLite file named by its path. Raises BadDatabaseUrl if it looks like anything else."""
    if text != ":memory:":
        first = text.partition("/")[0]
        is_url = ":" in first or _NO_SCHEME.match(text) or re.match(r"[^@]*:[^@]*@", text)
        if is_url or _PARAMETER.search(text) or text.lower() in _SQLITE | _POSTGRES:
            raise BadDatabaseUrl(
                "the database URL is neither a URL nor the path of a file",
                hint=f"{EXAMPLES} For a file with such a name, write sqlite:///PATH.",
            )
        if text.endswith("/"):
            raise BadDatabaseUrl("the database URL names a folder", hint="Name a file in it.")
    return DatabaseUrl(backend="sqlite", database=text)


def _sqlite(rest: str) -> DatabaseUrl:
    if rest and not rest.startswith("/"):
        raise BadDatabaseUrl(
            "a SQLite URL has three slashes before a path in this folder, and four before one from the root",
            hint="Write sqlite:///mirror.db or sqlite:////var/lib/mirror.db.",
        )
    path, _, query = rest.removeprefix("/").partition("?")
    parameters = _parameters(query)
    if any(name.lower() not in _OF_SQLITE for name, _ in parameters):
        raise BadDatabaseUrl(
            "the SQLite URL has a parameter that versionsync does not know",
            hint="It knows `timeout`, in seconds: sqlite:///PATH?timeout=30. Write a `?` in the path as %3F.",
        )
    return DatabaseUrl(
        backend="sqlite", database=unquote(path), query=parameters, secrets=_both_ways(*_secret_values(query))
    )


def _postgres(rest: str) -> DatabaseUrl:
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if rest.count("@") > authority.count("@") or authority.count("@") > 1:
        raise BadDatabaseUrl(
            "it is not clear where the password of the database URL ends",
            hint="Write `@` as %40, `/` as %2F and `?` as %3F in its user, its password and its parameters.",
        )
    login, at, address = authority.rpartition("@")
    user, colon, password = login.partition(":")
    path, _, query = rest[len(authority) :].partition("?")
    host, port = _address(address)
    parameters = _parameters(query)
    if any(_is_secret(*parameter) for parameter in parameters) and any(
        name.lower() not in _OF_LIBPQ for name, _ in parameters
    ):
        # A raw `&` in a password: the rest of the password would look like a parameter, and be shown.
        raise BadDatabaseUrl(
            "the database URL has a password among its parameters, and one that PostgreSQL does not know",
            hint="Write `&` as %26 and `=` as %3D in a password; remove parameters of other programs.",
        )
    return DatabaseUrl(
        backend="postgresql",
        database=unquote(path[1:]) if path else None,
        host=host,
        port=port,
        user=unquote(user) if at else None,
        password=unquote(password) if colon else None,
        query=parameters,
        secrets=_both_ways(password, *_secret_values(query)),
    )


def _address(text: str) -> tuple[str | None, int | None]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:]*))(?::(\d*))?", text)
    port = int(match[3]) if match and match[3] else None
    if match is None or (port is not None and not 0 < port <= HIGHEST_PORT):
        raise BadDatabaseUrl(
            "the host or the port of the database URL cannot be read",
            hint=f"{EXAMPLES} In a password, write `:` as %3A, `@` as %40, `/` as %2F and `?` as %3F.",
        )
    return match[1] or unquote(match[2] or "") or None, port


def _parameters(query: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters as libpq reads them: `+` is a plus."""
    return tuple((unquote(name), unquote(value)) for name, value in _pairs(query))


def _secret_values(query: str) -> list[str]:
    """Return the values of secret parameters, as written."""
    return [value for name, value in _pairs(query) if _is_secret(unquote(name), unquote(value))]


def _pairs(query: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in parts]


def _both_ways(*written: str) -> tuple[str, ...]:
    found = [form for text in written if text for form in (text, unquote(text))]
    return tuple(dict.fromkeys(found))


def _is_secret(name: str, value: str) -> bool:
    return _SECRET_NAME.search(name) is not None or _SECRET_IN_VALUE.search(value) is not None


def _quoted(value: str) -> str:
    return quote(value, safe="/:,._-", errors="replace")


def _guessed(text: str) -> tuple[str, ...]:
    """Return what may be the password in a text that cannot be parsed."""
    rest = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:?/+|^/+", "", text.strip())
    password = rest.partition(":")[2].rpartition("@")[0]
    found = [password, password.partition(":")[2]]
    for match in re.finditer(r"(?i)(?:pass\w*|pwd|secret|token)\s*=\s*('[^']*'|\"[^\"]*\"|\S+)", text):
        found += [match[1].strip("'\""), *re.split(r"[&;]", match[1].strip("'\""))]
    found = [secret for secret in found if secret]
    return tuple(dict.fromkeys([*found, *map(unquote, found), text])) if found else ()
