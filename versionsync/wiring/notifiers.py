"""Who is told what the sources come to, as the settings name them: places for notices, and dead man's switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from versionsync.redaction import Redactor

if TYPE_CHECKING:
    from versionsync.config import Configuration, NoticeSettings, Secret, SourceSettings
    from versionsync.daemon.notifications.notifier import Subscription

__all__ = ["ping_urls", "subscription_of", "subscriptions"]


def subscriptions(configuration: Configuration, *, redactor: Redactor) -> list[Subscription]:
    """All who are told. Raises a ConfigError: an address that is missing or not understood, Apprise that is."""
    return [subscription_of(configuration, notice, redactor=redactor) for notice in configuration.notices]


def subscription_of(configuration: Configuration, notice: NoticeSettings, *, redactor: Redactor) -> Subscription:
    """One of them; its address, and whatever in it may be a secret, is masked from now on. Raises a ConfigError."""
    from versionsync.daemon.notifications.apprise import open_target, secrets_in
    from versionsync.daemon.notifications.notifier import Subscription
    from versionsync.daemon.notifications.rules import NoticeKind, Rule

    url = configuration.notice_url(notice)
    for secret in secrets_in(url):
        redactor.learn(secret)
    where = f"notices[{configuration.notices.index(notice)}]"
    return Subscription(
        where=where,
        url=url,
        rule=Rule(
            on=frozenset(NoticeKind(word) for word in notice.on),
            sources=None if notice.sources is None else frozenset(notice.sources),
            after=notice.after,
        ),
        send=open_target(url, where=where),
    )


def ping_urls(
    configuration: Configuration, sources: Sequence[SourceSettings], *, redactor: Redactor
) -> Mapping[str, Secret]:
    """The dead man's switch of each of `sources` that has one, masked from now on. Raises a ConfigError."""
    urls = {source.name: url for source in sources if (url := configuration.ping_url(source)) is not None}
    for url in urls.values():
        redactor.learn(url.reveal())
    return urls
