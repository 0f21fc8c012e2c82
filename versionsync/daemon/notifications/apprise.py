"""Sends notifications with Apprise. Blocking: use it on a thread of its own.

Apprise is an extra (`versionsync[notifications]`), loaded only if the settings name a channel.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from versionsync.config import InvalidSetting, MissingExtra, Secret
from versionsync.daemon.notifications.rules import NotificationKind
from versionsync.daemon.notifications.text import Notification
from versionsync.errors import VersionsyncError
from versionsync.outgoing_http import share_trust

if TYPE_CHECKING:
    import apprise

__all__ = ["NotSent", "Send", "open_channel", "secrets_in"]

Send = Callable[[Notification], None]
"""Sends a notification and returns when it has arrived. Raises NotSent."""

MIN_SECRET_LENGTH: Final = 8
MAX_WORD_LENGTH: Final = 20
_TYPES: Final[dict[NotificationKind | None, str]] = {
    None: "info",
    NotificationKind.FAILING: "failure",
    NotificationKind.STALE: "warning",
    NotificationKind.MASS_DELETE: "failure",
    NotificationKind.RECOVERED: "success",
}


class NotSent(VersionsyncError):
    """A notification did not arrive. The reason is that of Apprise, and may hold parts of the address."""


def open_channel(url: Secret, *, where: str) -> Send:
    """Return a function that sends notifications to `url`. `where` is its position in the settings.

    Raises MissingExtra if Apprise is not installed, and InvalidSetting if it does not understand the address.
    """
    try:
        import apprise
    except ImportError:
        raise MissingExtra(
            f"{where} needs Apprise, which is not installed",
            hint="Install it: pip install 'versionsync[notifications]'; or remove [[notifications]] from the settings.",
        ) from None
    share_trust()
    for library in ("apprise", "urllib3"):
        _keep_quiet(logging.getLogger(library))
    # Without a limit it sends on this thread. With one it uses a pool, and the end of the process waits for that.
    asset = apprise.AppriseAsset(app_id="versionsync", app_desc="versionsync", app_url="", service_timeout=0)
    service = apprise.Apprise.instantiate(url.reveal(), asset=asset)
    if service is None:
        raise InvalidSetting(
            f"{where}: Apprise does not understand this address",
            hint="Use an Apprise URL, such as json://host/path; the documentation of Apprise lists them by service.",
        )
    app = apprise.Apprise(asset=asset)
    app.add(service)
    return lambda notification: _send(app, notification)


def secrets_in(url: Secret) -> list[str]:
    """Return the address, its password, and every other part that looks like a secret: only the service knows more."""
    text = url.reveal()
    # Up to the first `@` and up to the last: the password or the path may hold an unquoted one.
    passwords = [found[1] for end in ("[^/@]+", ".+") if (found := re.search(rf"://[^/@:]*:({end})@", text))]
    parts = [part for part in re.split(r"[:/@?&=]+", text.partition("://")[2]) if _looks_secret(part)]
    return [text, *parts, *(unquote(part) for part in parts), *passwords]


def _looks_secret(part: str) -> bool:
    """Return whether it is neither a host nor a plain word: masking those would make the log unreadable."""
    is_plain = part.isalpha() and (part.islower() or part.istitle()) and len(part) < MAX_WORD_LENGTH
    return len(part) >= MIN_SECRET_LENGTH and not is_plain and "." not in part


def _send(app: apprise.Apprise, notification: Notification) -> None:
    title, body, kind = notification.title, notification.body, _TYPES[notification.kind]
    try:
        result = app.notify(title=title, body=body, notify_type=kind, body_format="text")
    except Exception as error:  # a plugin of Apprise may raise anything
        raise NotSent(f"{type(error).__name__}: {error}") from error
    if not result:
        reason = " ".join(entry.message for entry in result.logs())
        raise NotSent(" ".join(reason.split()) or "Apprise gives no reason")


def _keep_quiet(logger: logging.Logger) -> None:
    """Drop its own log, which holds addresses; NotSent has what matters."""
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
