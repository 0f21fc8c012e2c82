"""Every setting, once: its name, type, default and description.

Checks, error messages, `docs/settings.md` and the example file are all made from the structs below.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from versionsync.secret import Secret

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_DATABASE_URL",
    "DEFAULT_RESTORE_TOKEN_VARIABLE",
    "DEFAULT_SOURCE",
    "DEFAULT_TOKEN_VARIABLE",
    "DaemonSettings",
    "HttpSettings",
    "MassDeleteSettings",
    "NotificationName",
    "NotificationSettings",
    "RateLimit",
    "SearchSettings",
    "Settings",
    "SourceSettings",
]

Text: TypeAlias = Annotated[str, Meta(min_length=1)]


def about(
    description: str,
    *,
    env: str | None = None,
    example: str | None = None,
    default: str | None = None,
    expected: str | None = None,
    **bounds: Any,
) -> Meta:
    """Return what is known of a setting.

    Args:
        description: What it does.
        env: The environment variable that overrides it.
        example: The value in the example file.
        default: What `docs/settings.md` shows as the default, if the value itself says too little.
        expected: What a value must look like.
        bounds: As those of `Meta`, such as `ge` and `pattern`.
    """
    extra = {"env": env, "example": example, "default": default, "expected": expected}
    return Meta(description=description, extra=extra, **bounds)


NotificationName: TypeAlias = Literal["failing", "stale", "mass_delete", "recovered"]
"""What a notification can be about."""


class NotificationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel that gets notifications about problems of your sources."""

    url_env: Annotated[
        Text | None,
        about(
            "The environment variable that holds the address of the channel, in the form of Apprise: "
            "`mailto://…`, `slack://…`, `tgram://…`, `json://…` and more. Needs `versionsync[notifications]`.",
            example='"VERSIONSYNC_NOTIFICATION_URL"',
        ),
    ] = None
    url_file: Annotated[
        Text | None,
        about(
            "A file with nothing but that address. A relative path works as for `api_token_file`.",
            example='"notifications.url"',
        ),
    ] = None
    url: Annotated[
        Secret | None,
        about(
            "The address itself. Most contain a password, so it is refused if others can read the settings file.",
            env="VERSIONSYNC_NOTIFICATION_URL",
            example='"mailtos://user:password@example.com"',
        ),
    ] = None
    on: Annotated[
        Annotated[tuple[NotificationName, ...], Meta(min_length=1)],
        about(
            "What to send. `failing`: several runs in a row failed. `stale`: no run succeeded for much longer "
            "than `max_staleness`. `mass_delete`: more records disappeared at once than the limit allows. "
            "`recovered`: one of these was sent, and the problem is over.",
            example='["failing", "mass_delete"]',
            expected="a list of failing, stale, mass_delete and recovered",
        ),
    ] = ("failing", "stale", "mass_delete", "recovered")
    sources: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1)] | None,
        about(
            "The names of the sources to report.",
            example='["website"]',
            default="all of them",
            expected="a list of names of sources",
        ),
    ] = None
    after_failures: Annotated[
        int, about("The number of failures in a row that counts as `failing`.", example="3", ge=1)
    ] = 3


DEFAULT_BASE_URL: Final = "https://site-api.datocms.com"
DEFAULT_DATABASE_URL: Final = "sqlite:///versionsync.db"
DEFAULT_SOURCE: Final = "default"
DEFAULT_TOKEN_VARIABLE: Final = "DATOCMS_API_TOKEN"  # noqa: S105 - a variable's name
DEFAULT_RESTORE_TOKEN_VARIABLE: Final = "DATOCMS_RESTORE_TOKEN"  # noqa: S105 - a variable's name

_LABEL: Final = r"[^\s/@:.?#\[\]]{1,63}"
"""A part of a host name, between its dots."""

RateLimit: TypeAlias = Annotated[int, Meta(ge=1)] | Literal["none"]
"""Requests in three seconds, or none for a server without a limit."""


class MassDeleteSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many records may disappear at once. Above both limits, a run stops and marks none of them as deleted."""

    fraction: Annotated[
        float,
        about(
            "A run stops when more than this share of the source's records disappears at once, …",
            example="0.2",
            ge=0,
            le=1,
        ),
    ] = 0.2
    count: Annotated[int, about("… and at least this many records.", example="10", ge=1)] = 10


class SearchSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests may search for a change that no list of records shows."""

    at_once: Annotated[
        int,
        about(
            "DatoCMS can report a change that no list shows, such as a publication of single locales. Then a "
            "run reads histories to find it. It sends at most this many requests for that, …",
            example="60",
            ge=0,
        ),
    ] = 60
    per_hour: Annotated[int, about("… and the next runs send at most this many an hour.", example="60", ge=0)] = 60


class SourceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One DatoCMS project and environment, mirrored under one name with one token."""

    name: Annotated[
        str,
        about(
            "The name of this source in the database, in commands and in the log. Do not change it: another "
            "name is another source.",
            example='"website"',
            expected="a name of letters, digits, - and _, at most 63",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        ),
    ]
    environment: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]+$")] | None,
        about(
            "The environment to mirror. If you leave it out, it is the primary one, also after you promote another.",
            env="VERSIONSYNC_ENVIRONMENT",
            example='"main"',
            default="the primary environment",
            expected="the id of an environment: letters, digits, - and _",
        ),
    ] = None
    api_token_env: Annotated[
        Text | None,
        about(
            "The environment variable that holds the API token. Its role must be able to use the Content "
            "Management API and read every record. If it can read users, the mirror also has the names of "
            "editors.",
            example='"DATOCMS_API_TOKEN"',
            default='`"DATOCMS_API_TOKEN"`',
        ),
    ] = None
    api_token_file: Annotated[
        Text | None,
        about(
            "A file with nothing but the API token. Only its owner may read it. A relative path is looked up in "
            "`CREDENTIALS_DIRECTORY`, then in the folder of the settings file.",
            example='"website.token"',
        ),
    ] = None
    api_token: Annotated[
        Secret | None, about("The API token itself. It is refused if others can read the settings file.", example='"…"')
    ] = None
    restore_token_env: Annotated[
        Text | None,
        about(
            "The environment variable that holds a second API token, with which `versionsync restore --apply` writes. "
            "Its role must be able to create, update, publish and delete records. Without it nothing is ever written "
            "to DatoCMS: `versionsync restore` only makes plans. No other command uses it.",
            example='"DATOCMS_RESTORE_TOKEN"',
            default='`"DATOCMS_RESTORE_TOKEN"`',
        ),
    ] = None
    restore_token_file: Annotated[
        Text | None,
        about(
            "A file with nothing but that second token. A relative path works as for `api_token_file`.",
            example='"website.restore-token"',
        ),
    ] = None
    base_url: Annotated[
        str,
        about(
            "The address of the Content Management API. Change it only for a simulator or a proxy.",
            env="VERSIONSYNC_BASE_URL",
            example=f'"{DEFAULT_BASE_URL}"',
            expected="an address that starts with https:// or http://",
            pattern=rf"^https?://(\[[0-9A-Fa-f:.]+\]|{_LABEL}(\.{_LABEL})*\.?)(:\d{{1,5}})?(/[^\s@]*)?$",
        ),
    ] = DEFAULT_BASE_URL
    rate_limit: Annotated[
        RateLimit | None,
        about(
            'The maximum number of requests in 3 seconds. Default: the limit that DatoCMS announces. `"none"`: '
            "no limit, for a local server.",
            env="VERSIONSYNC_RATE_LIMIT",
            example="60",
            default="what upstream announces",
            expected='a whole number of requests in 3 seconds, 1 or more, or "none"',
        ),
    ] = None
    mass_delete_limit: Annotated[
        MassDeleteSettings,
        about("How many records may disappear at once. Above that, a run stops: the token may see less than before."),
    ] = field(default_factory=MassDeleteSettings)
    change_search: Annotated[
        SearchSettings, about("How many requests may search for a change that no list of records shows.")
    ] = field(default_factory=SearchSettings)
    webhook_user: Annotated[
        Annotated[str, Meta(min_length=1, pattern=r"^[^:]*$")],
        about(
            "The user name that DatoCMS's webhook sends to `versionsync run`.",
            example='"versionsync"',
            expected="a text in quotes, without a colon",
        ),
    ] = "versionsync"
    webhook_password_env: Annotated[
        Text | None,
        about(
            "The environment variable that holds the password of the webhook, 16 characters or more. Without a "
            "password here or in a file, `versionsync run` accepts no webhook calls.",
            example='"VERSIONSYNC_WEBHOOK_PASSWORD"',
        ),
    ] = None
    webhook_password_file: Annotated[
        Text | None,
        about(
            "A file with nothing but the password of the webhook. A relative path works as for "
            "`api_token_file`. `versionsync webhook install` creates the file if it does not exist.",
            example='"website.webhook"',
        ),
    ] = None
    poll_webhook_log: Annotated[
        bool,
        about(
            "Whether `versionsync run` polls DatoCMS's log of this source's webhook calls. With a webhook made "
            "by `versionsync webhook install`, it finds changes within about a second. It needs no open port, "
            "and one request each time.",
            example="true",
        ),
    ] = True
    max_staleness: Annotated[
        float,
        about(
            "How old the mirror may become, in seconds, while `versionsync run` runs. It checks the project at "
            "least this often, and more often while people edit it. A check that finds nothing new costs one "
            "request.",
            example="60",
            ge=1,
            le=604_800,
        ),
    ] = 60.0
    budget: Annotated[
        Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,11}/(day|month)$")] | None,
        about(
            "How many requests `versionsync run` may send to the project, for all of its sources together, in a "
            "calendar day or month (UTC). If the budget is short, it saves requests in this order: it stops "
            "polling the webhook log, reads fewer old histories, lists all records less often, and checks less "
            "often than `max_staleness` says. It reports what it saves.",
            example='"3000/day"',
            default="no limit",
            expected='a number of requests a day or a month, such as "3000/day" or "100000/month"',
        ),
    ] = None
    scrub: Annotated[
        int,
        about(
            "How many old histories `versionsync run` reads again each day, to find what no list of records "
            "shows. Each costs two requests. Up to half are records with a draft newer than their published "
            "version, each at most once a day. The others are those it has not read for the longest time. 0: "
            "none.",
            example="240",
            ge=0,
        ),
    ] = 240
    heartbeat_url_env: Annotated[
        Text | None,
        about(
            "The environment variable that holds a heartbeat address. `versionsync run` calls it after runs "
            "that succeeded, at most once a minute. The service behind it alerts you when the calls stop.",
            example='"VERSIONSYNC_HEARTBEAT_URL"',
        ),
    ] = None
    heartbeat_url_file: Annotated[
        Text | None,
        about(
            "A file with nothing but that address. A relative path works as for `api_token_file`.",
            example='"website.heartbeat"',
        ),
    ] = None
    heartbeat_url: Annotated[
        Secret | None,
        about(
            "The address itself. Anyone who knows it can call it, so it is refused if others can read the "
            "settings file.",
            env="VERSIONSYNC_HEARTBEAT_URL",
            example='"https://hc-ping.com/…"',
        ),
    ] = None


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The daemon's own server: health, metrics, status, and the receiver of webhooks."""

    host: Annotated[
        str,
        about(
            "The address to listen on. `0.0.0.0`: all addresses of the machine.",
            env="VERSIONSYNC_HTTP_HOST",
            example='"127.0.0.1"',
            min_length=1,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        about(
            "The port to listen on. 0: any free port; the log shows it.",
            env="VERSIONSYNC_HTTP_PORT",
            example="8765",
            ge=0,
            le=65535,
        ),
    ] = 8765


class DaemonSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much `versionsync run` does at once."""

    max_runs: Annotated[
        int,
        about(
            "How many sources are checked or mirrored at once. The others wait for their turn; none is left out. First "
            "syncs and other long runs take at most half of the places. The daemon has four threads more than "
            "this, and six connections to the database more.",
            example="16",
            ge=1,
            le=1000,
        ),
    ] = 16


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a settings file."""

    database_url: Annotated[
        Secret | None,
        about(
            "The database: `sqlite:///file.db` (relative to the current folder), `sqlite:////full/path.db` or "
            "`postgresql://user:password@host/name`. If it has a password, only the owner may read the settings "
            "file.",
            env="VERSIONSYNC_DATABASE_URL",
            example='"sqlite:///versionsync.db"',
            default=f'`"{DEFAULT_DATABASE_URL}"`',
        ),
    ] = None
    database_url_file: Annotated[
        Text | None,
        about(
            "A file with nothing but the database URL, for a URL with a password. A file `database_url` in "
            "`CREDENTIALS_DIRECTORY` is found without this setting.",
            env="VERSIONSYNC_DATABASE_URL_FILE",
            example='"/etc/versionsync/database_url"',
        ),
    ] = None
    reader_url: Annotated[
        Secret | None,
        about(
            "The same database, for `versionsync sql`, with a role that may only read. PostgreSQL needs it; "
            "`versionsync db reader` makes the role. It counts only beside a `database_url` of the same place: "
            "the environment, or this file.",
            env="VERSIONSYNC_READER_URL",
            example='"postgresql://reader:password@localhost/website"',
        ),
    ] = None
    reader_url_file: Annotated[
        Text | None,
        about(
            "A file with nothing but that URL. A relative path works as for `api_token_file`.",
            env="VERSIONSYNC_READER_URL_FILE",
            example='"reader_url"',
        ),
    ] = None
    sources: Annotated[
        tuple[SourceSettings, ...],
        about(
            "The projects to mirror, here and in files of `sources.d`. If there are none: one named `default`, "
            "described by the environment."
        ),
    ] = ()
    notifications: Annotated[
        tuple[NotificationSettings, ...],
        about("Where to send notifications about problems while `versionsync run` runs. Default: none."),
    ] = ()
    http: Annotated[
        HttpSettings, about("The daemon's own server: health, metrics, status, and the receiver of webhooks.")
    ] = field(default_factory=HttpSettings)
    daemon: Annotated[DaemonSettings, about("How much `versionsync run` does at once.")] = field(
        default_factory=DaemonSettings
    )
