"""Every setting, once: its name, type, default and what it means.

Checks, error messages, `docs/settings.md` and the example file are all made from the structs below. A setting's `Meta`
holds its description; `extra` the environment variable that overrides it (`env`), what the example file shows
(`example`) and what stands for the default in the reference where the value itself says too little (`default`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from versionsync.secret import Secret

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_DATABASE_URL",
    "DEFAULT_SOURCE",
    "DEFAULT_TOKEN_VARIABLE",
    "HttpSettings",
    "MassDeleteSettings",
    "NotificationName",
    "NotificationSettings",
    "RateLimit",
    "SearchSettings",
    "Settings",
    "SourceSettings",
]

NotificationName: TypeAlias = Literal["failing", "stale", "mass_delete", "recovered"]
"""What a notice may be about."""


class NotificationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that is told when something is wrong with a source, and when it has passed."""

    url_env: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="The environment variable that holds the address to which notices go, in the form of Apprise: "
            "`mailto://…`, `slack://…`, `tgram://…`, `json://…`, and more. Needs `versionsync[notifications]`",
            extra={"example": '"VERSIONSYNC_NOTIFICATION_URL"'},
        ),
    ] = None
    url_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A file that holds nothing but that address; it is looked up like `api_token_file`.",
            extra={"example": '"notifications.url"'},
        ),
    ] = None
    url: Annotated[
        Secret | None,
        Meta(
            description="The address itself. Most have a password in them, so it is refused if others can read the "
            "settings file.",
            extra={"env": "VERSIONSYNC_NOTIFICATION_URL", "example": '"mailtos://user:password@example.com"'},
        ),
    ] = None
    on: Annotated[
        Annotated[tuple[NotificationName, ...], Meta(min_length=1)],
        Meta(
            description="What is told: `failing` (so many looks in a row did not do all that they should), `stale` "
            "(nothing has succeeded for much longer than `max_staleness`), `mass_delete` (so many records were gone at "
            "once that it was not believed), `recovered` (one of these was told, and has passed).",
            extra={
                "example": '["failing", "mass_delete"]',
                "expected": "a list of failing, stale, mass_delete and recovered",
            },
        ),
    ] = ("failing", "stale", "mass_delete", "recovered")
    sources: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1)] | None,
        Meta(
            description="Of which sources, by their names.",
            extra={
                "example": '["website"]',
                "default": "all of them",
                "expected": "a list of names of sources",
            },
        ),
    ] = None
    after_failures: Annotated[
        int,
        Meta(ge=1, description="So many failures in a row are told as `failing`.", extra={"example": "3"}),
    ] = 3


DEFAULT_BASE_URL: Final = "https://site-api.datocms.com"
DEFAULT_DATABASE_URL: Final = "sqlite:///versionsync.db"
DEFAULT_SOURCE: Final = "default"
DEFAULT_TOKEN_VARIABLE: Final = "DATOCMS_API_TOKEN"  # noqa: S105 - a variable's name

_LABEL: Final = r"[^\s/@:.?#\[\]]{1,63}"
"""A part of a host's name, between its dots."""

RateLimit: TypeAlias = Annotated[int, Meta(ge=1)] | Literal["none"]
"""Requests in three seconds, or none for a server that sets no limit."""


class MassDeleteSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many records may vanish from one listing before a run stops and marks none as deleted."""

    fraction: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="A run stops when more than this share of the source's records is gone at once, …",
            extra={"example": "0.2"},
        ),
    ] = 0.2
    count: Annotated[
        int,
        Meta(ge=1, description="… and at least this many records.", extra={"example": "10"}),
    ] = 10


class SearchSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests may search for a change that no list of records shows."""

    at_once: Annotated[
        int,
        Meta(
            ge=0,
            description="When DatoCMS reports a change that no list shows, such as a publication of single locales, a "
            "run reads histories to find it. It sends at most this many requests for that, …",
            extra={"example": "60"},
        ),
    ] = 60
    per_hour: Annotated[
        int,
        Meta(ge=0, description="… and the next runs at most this many an hour.", extra={"example": "60"}),
    ] = 60


class SourceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One DatoCMS project and environment, mirrored under one name with one token."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
            description="What this source is called in the database, in commands and in the log. It stays for good: "
            "another name is another source.",
            extra={"example": '"website"', "expected": "a name of letters, digits, - and _, 63 at the most"},
        ),
    ]
    environment: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]+$")] | None,
        Meta(
            description="The environment to mirror. Left out: the primary one, also after another has been promoted.",
            extra={
                "env": "VERSIONSYNC_ENVIRONMENT",
                "example": '"main"',
                "default": "the primary environment",
                "expected": "the id of an environment: letters, digits, - and _",
            },
        ),
    ] = None
    api_token_env: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="The environment variable that holds the API token. The token needs a role that may use the "
            "Content Management API and read every record; reading its users lets the mirror name who made a version.",
            extra={"example": '"DATOCMS_API_TOKEN"', "default": '`"DATOCMS_API_TOKEN"`'},
        ),
    ] = None
    api_token_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A file that holds nothing but the API token and that only its owner can read. A relative path "
            "is looked up in `CREDENTIALS_DIRECTORY`, then in the folder of the settings file.",
            extra={"example": '"website.token"'},
        ),
    ] = None
    api_token: Annotated[
        Secret | None,
        Meta(
            description="The API token itself. Refused if others can read the settings file.",
            extra={"example": '"…"'},
        ),
    ] = None
    base_url: Annotated[
        str,
        Meta(
            pattern=rf"^https?://(\[[0-9A-Fa-f:.]+\]|{_LABEL}(\.{_LABEL})*\.?)(:\d{{1,5}})?(/[^\s@]*)?$",
            description="Where the Content Management API is: another address only for a simulator or a proxy.",
            extra={
                "env": "VERSIONSYNC_BASE_URL",
                "example": f'"{DEFAULT_BASE_URL}"',
                "expected": "an address that starts with https:// or http://",
            },
        ),
    ] = DEFAULT_BASE_URL
    rate_limit: Annotated[
        RateLimit | None,
        Meta(
            description='Requests in 3 seconds at the most. Left out: what upstream announces. `"none"`: as fast as a '
            "local server answers.",
            extra={
                "env": "VERSIONSYNC_RATE_LIMIT",
                "example": "60",
                "default": "what upstream announces",
                "expected": 'a whole number of requests in 3 seconds, 1 or more, or "none"',
            },
        ),
    ] = None
    mass_delete_limit: Annotated[
        MassDeleteSettings,
        Meta(
            description="How many records may be gone at once before a run believes that it sees less, and stops.",
        ),
    ] = field(default_factory=MassDeleteSettings)
    change_search: Annotated[
        SearchSettings,
        Meta(description="How many requests may search for a change that no list of records shows."),
    ] = field(default_factory=SearchSettings)
    webhook_user: Annotated[
        Annotated[str, Meta(min_length=1, pattern=r"^[^:]*$")],
        Meta(
            description="The user name that DatoCMS's webhook sends to `versionsync run`.",
            extra={"example": '"versionsync"', "expected": "a text in quotes, without a colon"},
        ),
    ] = "versionsync"
    webhook_password_env: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="The environment variable that holds the password of the webhook. Without a password, here or "
            "in a file, no webhook is heard. It must have 16 characters.",
            extra={"example": '"VERSIONSYNC_WEBHOOK_PASSWORD"'},
        ),
    ] = None
    webhook_password_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A file that holds nothing but the password of the webhook; it is looked up like "
            "`api_token_file`. `versionsync webhook install` makes one that is not there yet.",
            extra={"example": '"website.webhook"'},
        ),
    ] = None
    poll_webhook_log: Annotated[
        bool,
        Meta(
            description="Whether `versionsync run` reads DatoCMS's log of the calls of this source's webhook, where "
            "`versionsync webhook install` has made one: then changes are found within about a second without any "
            "port being open, for a request each time. `false`: never.",
            extra={"example": "true"},
        ),
    ] = True
    max_staleness: Annotated[
        float,
        Meta(
            ge=1,
            le=604_800,
            description="How old the mirror may become, in seconds, while `versionsync run` follows the source: it "
            "looks at least that often, and more often while the project is being edited. A look without anything new "
            "costs one request.",
            extra={"example": "60"},
        ),
    ] = 60.0
    budget: Annotated[
        Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,11}/(day|month)$")] | None,
        Meta(
            description="How many requests `versionsync run` may send to the project, a day or a month (in UTC), for "
            "all of its sources together. Where that is short it first leaves the log of webhook calls alone, then "
            "reads fewer old histories again, then lists all records less often, then looks less often than "
            "`max_staleness` asks for, and says so.",
            extra={
                "example": '"3000/day"',
                "default": "no limit",
                "expected": 'a number of requests a day or a month, such as "3000/day" or "100000/month"',
            },
        ),
    ] = None
    scrub: Annotated[
        int,
        Meta(
            ge=0,
            description="How many histories a day `versionsync run` reads again, two requests each, to find what no "
            "list of records shows. Up to half are of records with a draft newer than their live version, each at most "
            "once a day; otherwise those that were not read for the longest time come first. 0: none.",
            extra={"example": "240"},
        ),
    ] = 240
    heartbeat_url_env: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="The environment variable that holds an address which `versionsync run` calls after looks "
            "that succeeded, once a minute at the most: that of a dead man's switch, which tells you when the calls "
            "stop.",
            extra={"example": '"VERSIONSYNC_HEARTBEAT_URL"'},
        ),
    ] = None
    heartbeat_url_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A file that holds nothing but that address; it is looked up like `api_token_file`.",
            extra={"example": '"website.heartbeat"'},
        ),
    ] = None
    heartbeat_url: Annotated[
        Secret | None,
        Meta(
            description="The address itself. Who knows it can call it too, so it is refused if others can read the "
            "settings file.",
            extra={"env": "VERSIONSYNC_HEARTBEAT_URL", "example": '"https://hc-ping.com/…"'},
        ),
    ] = None


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The daemon's own server: health, metrics, status, and the receiver of webhooks."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="The address to listen on. `0.0.0.0` is every one of the machine.",
            extra={"env": "VERSIONSYNC_HTTP_HOST", "example": '"127.0.0.1"'},
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="The port to listen on; 0: a free one, told in the log.",
            extra={"env": "VERSIONSYNC_HTTP_PORT", "example": "8765"},
        ),
    ] = 8765


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a settings file."""

    database_url: Annotated[
        Secret | None,
        Meta(
            description="The database: `sqlite:///file.db` (relative to the current folder), `sqlite:////full/path.db` "
            "or `postgresql://user:password@host/name`. With a password in it, the settings file must be readable by "
            "its owner alone.",
            extra={
                "env": "VERSIONSYNC_DATABASE_URL",
                "example": '"sqlite:///versionsync.db"',
                "default": f'`"{DEFAULT_DATABASE_URL}"`',
            },
        ),
    ] = None
    database_url_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A file that holds nothing but the database URL, for one with a password. A file "
            "`database_url` in `CREDENTIALS_DIRECTORY` is found by itself.",
            extra={"env": "VERSIONSYNC_DATABASE_URL_FILE", "example": '"/etc/versionsync/database_url"'},
        ),
    ] = None
    sources: Annotated[
        tuple[SourceSettings, ...],
        Meta(description="The projects to mirror. None: one named `default`, described by the environment."),
    ] = ()
    notifications: Annotated[
        tuple[NotificationSettings, ...],
        Meta(
            description="Who is told when something is wrong while `versionsync run` follows the sources. None: nobody."
        ),
    ] = ()
    http: Annotated[
        HttpSettings,
        Meta(description="The daemon's own server: health, metrics, status, and the receiver of webhooks."),
    ] = field(default_factory=HttpSettings)
