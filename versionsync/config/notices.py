"""The settings of `[[notices]]`: whom `versionsync run` tells when something is wrong, and when it has passed."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from versionsync.config.secret import Secret

__all__ = ["NoticeSettings", "NoticeWord"]

NoticeWord: TypeAlias = Literal["failing", "stale", "vanished", "recovered"]
"""What a notice may be about."""


class NoticeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that is told when something is wrong with a source, and when it has passed."""

    url_env: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="The environment variable that holds the address to which notices go, in the form of Apprise: "
            "`mailto://…`, `slack://…`, `tgram://…`, `json://…` and a hundred more. It needs `versionsync[notices]`.",
            extra={"example": '"VERSIONSYNC_NOTICE_URL"'},
        ),
    ] = None
    url_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A file that holds nothing but that address; it is looked up like `api_token_file`.",
            extra={"example": '"notices.url"'},
        ),
    ] = None
    url: Annotated[
        Secret | None,
        Meta(
            description="The address itself. Most have a password in them, so it is refused if others can read the "
            "settings file.",
            extra={"env": "VERSIONSYNC_NOTICE_URL", "example": '"mailtos://user:password@example.com"'},
        ),
    ] = None
    on: Annotated[
        Annotated[tuple[NoticeWord, ...], Meta(min_length=1)],
        Meta(
            description="What is told: `failing` (so many looks in a row did not do all that they should), `stale` "
            "(nothing has succeeded for much longer than `max_staleness`), `vanished` (so many records were gone at "
            "once that it was not believed), `recovered` (one of these was told, and has passed).",
            extra={
                "example": '["failing", "vanished"]',
                "expected": "a list of failing, stale, vanished and recovered",
            },
        ),
    ] = ("failing", "stale", "vanished", "recovered")
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
    after: Annotated[
        int,
        Meta(ge=1, description="So many failures in a row are told as `failing`.", extra={"example": "3"}),
    ] = 3
