"""The door to Apprise: an address, and a notice that goes there. Blocking; it belongs on a thread of its own.

Apprise is a part of its own (`versionsync[notifications]`), loaded only if the settings name a channel.
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
from versionsync.outgoing import share_trust

if TYPE_CHECKING:
    import apprise

__all__ = ["NotSent", "Send", "open_channel", "secrets_in"]

Send = Callable[[Notification], None]
"""Sends a notice and returns when it has arrived. Raises NotSent."""

MIN_SECRET_LENGTH: Final = 8
LONG_FOR_A_WORD: Final = 20
_TYPES: Final[dict[NotificationKind | None, str]] = {
    None: "info",
    NotificationKind.FAILING: "failure",
    NotificationKind.STALE: "warning",
    NotificationKind.MASS_DELETE: "failure",
    NotificationKind.RECOVERED: "success",
}


class NotSent(VersionsyncError):
    """A notice did not arrive. Says why, as far as Apprise does; that may hold parts of the address."""


def open_channel(url: Secret, *, where: str) -> Send:
    """What sends notices to `url`; `where` is its place in the settings.

    Raises MissingExtra if Apprise is not there, and InvalidSetting if it does not understand the address.
    """
    try:
        import apprise
    except ImportError:
        raise MissingExtra(
            f"{where} needs Apprise, which is not installed",
            hint="Install it: pip install 'versionsync[notifications]'; or take [[notifications]] out of the settings.",
        ) from None
    share_trust()
    for library in ("apprise", "urllib3"):
        _keep_quiet(logging.getLogger(library))
    # Without a limit of its own it sends on our thread; with one on a pool, and the end of the process waits for that.
    asset = apprise.AppriseAsset(app_id="versionsync", app_desc="versionsync", app_url="", service_timeout=0)
    service = apprise.Apprise.instantiate(url.reveal(), asset=asset)
    if service is None:
        raise InvalidSetting(
            f"{where}: Apprise does not understand this address",
            hint="It must be one of Apprise's own, such as json://host/path; its documentation lists them by service.",
        )
    app = apprise.Apprise(asset=asset)
    app.add(service)
    return lambda notice: _send(app, notice)


def secrets_in(url: Secret) -> list[str]:
    """The address, the password in it, and every other part that looks like a secret: its service alone knows more."""
    text = url.reveal()
    # To the first `@` and to the last: a raw one may stand in the password, or behind the host.
    passwords = [found[1] for end in ("[^/@]+", ".+") if (found := re.search(rf"://[^/@:]*:({end})@", text))]
    parts = [part for part in re.split(r"[:/@?&=]+", text.partition("://")[2]) if _looks_secret(part)]
    return [text, *parts, *(unquote(part) for part in parts), *passwords]


def _looks_secret(part: str) -> bool:
    """Not a host, nor a plain word: to mask one of these would make the log unreadable."""
    is_plain = part.isalpha() and (part.islower() or part.istitle()) and len(part) < LONG_FOR_A_WORD
    return len(part) >= MIN_SECRET_LENGTH and not is_plain and "." not in part


def _send(app: apprise.Apprise, notice: Notification) -> None:
    try:
        result = app.notify(title=notice.title, body=notice.body, notify_type=_TYPES[notice.kind], body_format="text")
    except Exception as error:  # a plugin of Apprise may raise anything
        raise NotSent(f"{type(error).__name__}: {error}") from error
    if not result:
        told = " ".join(entry.message for entry in result.logs())
        raise NotSent(" ".join(told.split()) or "Apprise does not say why")


def _keep_quiet(logger: logging.Logger) -> None:
    """What it logs by itself holds addresses; what matters of it is in NotSent."""
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
