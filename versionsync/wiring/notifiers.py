"""Who is told what the sources come to, as the settings name them: places for notices, and dead man's switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from versionsync.redaction import Redactor

if TYPE_CHECKING:
    from versionsync.config import Configuration, NotificationSettings, Secret, SourceSettings
    from versionsync.daemon.notifications.notifier import Subscription

__all__ = ["heartbeat_urls", "subscription_of", "subscriptions"]


def subscriptions(configuration: Configuration, *, redactor: Redactor) -> list[Subscription]:
    """All who are told. Raises a ConfigError: an address that is missing or not understood, Apprise that is."""
    return [subscription_of(configuration, notice, redactor=redactor) for notice in configuration.notifications]


def subscription_of(configuration: Configuration, notice: NotificationSettings, *, redactor: Redactor) -> Subscription:
    """One of them; its address, and whatever in it may be a secret, is masked from now on. Raises a ConfigError."""
    from versionsync.daemon.notifications.apprise import open_channel, secrets_in
    from versionsync.daemon.notifications.notifier import Subscription
    from versionsync.daemon.notifications.rules import NotificationKind, Rule

    url = configuration.notification_url(notice)
    for secret in secrets_in(url):
        redactor.learn(secret)
    where = f"notices[{configuration.notifications.index(notice)}]"
    return Subscription(
        channel=where,
        url=url,
        rule=Rule(
            on=frozenset(NotificationKind(word) for word in notice.on),
            sources=None if notice.sources is None else frozenset(notice.sources),
            after_failures=notice.after_failures,
        ),
        send=open_channel(url, where=where),
    )


def heartbeat_urls(
    configuration: Configuration, sources: Sequence[SourceSettings], *, redactor: Redactor
) -> Mapping[str, Secret]:
    """The dead man's switch of each of `sources` that has one, masked from now on. Raises a ConfigError."""
    urls = {source.name: url for source in sources if (url := configuration.heartbeat_url(source)) is not None}
    for url in urls.values():
        redactor.learn(url.reveal())
    return urls
