"""Where the settings send notifications and heartbeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from versionsync.config import Configuration, NotificationSettings, Secret, SourceSettings
from versionsync.daemon.notifications.apprise import open_channel, secrets_in
from versionsync.daemon.notifications.notifier import Subscription
from versionsync.daemon.notifications.rules import NotificationKind, Rule
from versionsync.redaction import Redactor

__all__ = ["heartbeat_urls", "subscription_of", "subscriptions"]


def subscriptions(configuration: Configuration, *, redactor: Redactor) -> list[Subscription]:
    """Return the subscription of each entry of `[[notifications]]`. Raises a ConfigError if one cannot be used."""
    return [subscription_of(configuration, entry, redactor=redactor) for entry in configuration.notifications]


def subscription_of(configuration: Configuration, entry: NotificationSettings, *, redactor: Redactor) -> Subscription:
    """Return the subscription of one `entry`.

    `redactor` masks its address, and each part that may be a secret, from now on. Raises a ConfigError if the address
    is missing or invalid, or Apprise is not installed.
    """
    url = configuration.notification_url(entry)
    for secret in secrets_in(url):
        redactor.learn(secret)
    where = f"notifications[{configuration.notifications.index(entry)}]"
    return Subscription(
        channel=where,
        url=url,
        rule=Rule(
            on=frozenset(NotificationKind(word) for word in entry.on),
            sources=None if entry.sources is None else frozenset(entry.sources),
            after_failures=entry.after_failures,
        ),
        send=open_channel(url, where=where),
    )


def heartbeat_urls(
    configuration: Configuration, sources: Sequence[SourceSettings], *, redactor: Redactor
) -> Mapping[str, Secret]:
    """Return the heartbeat URL of each of `sources` that has one, masked from now on. Raises a ConfigError."""
    urls = {source.name: url for source in sources if (url := configuration.secrets.heartbeat_url(source)) is not None}
    for url in urls.values():
        redactor.learn(url.reveal())
    return urls
