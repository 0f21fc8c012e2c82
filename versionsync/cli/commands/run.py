"""`versionsync run`: follow the sources, for as long as it is let."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext, Options
from versionsync.cli.options import flag

if TYPE_CHECKING:
    from versionsync import cma
    from versionsync.config import Configuration, Secret, SourceSettings
    from versionsync.config.definition import RateLimit
    from versionsync.daemon.notifications.notifier import Subscription
    from versionsync.daemon.state import SourceConfig

__all__ = ["run"]


def run(
    session: CliContext,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Sources to follow; all of them if none is named.")
    ] = None,
    *,
    upgrade: Annotated[
        bool, flag("--upgrade", help="Bring a PostgreSQL to this schema first. (A SQLite file is, always.)")
    ] = False,
) -> None:
    """Follow the sources: mirror what changes soon after it has, until it is stopped.

    Ctrl-C or SIGTERM stops it within two seconds, whatever it is at; the next start goes on from there. SIGHUP makes it
    read its settings again. A second one on the same database stands by, and takes over when the first one ends.
    """
    from versionsync.cli.tracing import tracing
    from versionsync.daemon.daemon import Daemon
    from versionsync.daemon.http.app import App, serving
    from versionsync.daemon.http.metrics import Metrics
    from versionsync.daemon.notifications.heartbeat import HeartbeatSender
    from versionsync.daemon.notifications.notifier import Notifier, polling
    from versionsync.daemon.notifications.persistence import NotificationStore
    from versionsync.daemon.signals import prepared
    from versionsync.daemon.systemd_notify import inherited_socket
    from versionsync.daemon.webhook_receiver import WebhookReceiver
    from versionsync.status.snapshot import ActivityReader

    session.also(Options(verbose=1))  # a service tells what it does
    settings = _Settings(session, sources or ())
    followed = settings.sources(session.configuration)
    http = session.configuration.http
    with prepared(), tracing(session), session.open_mirror(create=True, upgrade=upgrade) as mirror:

        async def follow() -> None:
            daemon = Daemon(mirror, followed, load=settings.load, log=session.log)
            metrics = Metrics(lambda: daemon.states, scheduler=daemon.scheduler, now=lambda: datetime.now(UTC))
            receiver = WebhookReceiver(lambda: daemon.workers, log=session.log)
            app = App(
                lambda: daemon.states,
                metrics,
                redact=session.redactor.redact,
                stuck=daemon.stuck,
                receiver=receiver.answer,
                activity=ActivityReader(mirror),
            )
            store = NotificationStore(lambda: daemon.workers, log=session.log)
            herald = Notifier(
                lambda: settings.subscriptions, log=session.log, redact=session.redactor.redact, store=store
            )
            pinger = HeartbeatSender(lambda: settings.heartbeat_urls, log=session.log)
            async with (
                serving(app, host=http.host, port=http.port, log=session.log, inherited=inherited_socket()),
                polling(lambda: daemon.states, [herald, pinger], log=session.log),
            ):
                await daemon.run()

        asyncio.run(follow())


class _Settings:
    """The settings as the daemon wants them. Sources of one token share a governor, whatever is reloaded meanwhile.

    `subscriptions` and `heartbeat_urls` are who is told, as it was last loaded.
    """

    def __init__(self, session: CliContext, names: Sequence[str]) -> None:
        self._session = session
        self._names = names
        self._governors: dict[Secret, tuple[Sequence[RateLimit | None], cma.RateLimiter]] = {}
        self.subscriptions: Sequence[Subscription] = ()
        self.heartbeat_urls: Mapping[str, Secret] = {}

    def load(self) -> list[SourceConfig]:
        """The sources, read again. Raises a ConfigError, and then nothing has changed."""
        from versionsync.config import InvalidSetting

        configuration, before = self._session.load_settings(), self._session.configuration
        if configuration.database_url() != before.database_url() or configuration.http != before.http:
            raise InvalidSetting(
                "database_url and [http] cannot change while it runs", hint="Restart it for these; or set them back."
            )
        return self.sources(configuration)

    def sources(self, configuration: Configuration) -> list[SourceConfig]:
        """The sources, all tokens at hand. Raises a ConfigError."""
        from versionsync.wiring.clients import rate_limiter_of
        from versionsync.wiring.notifiers import heartbeat_urls, subscriptions

        chosen = configuration.named(self._names)
        told = subscriptions(configuration, redactor=self._session.redactor)
        urls = heartbeat_urls(configuration, chosen, redactor=self._session.redactor)
        tokens = {source.name: self._token(configuration, source) for source in chosen}
        for token in dict.fromkeys(tokens.values()):
            limits = [source.rate_limit for source in chosen if tokens[source.name] == token]
            if token not in self._governors or self._governors[token][0] != limits:
                self._governors[token] = limits, rate_limiter_of(limits)
        followed = [self._source(configuration, source) for source in chosen]
        self.subscriptions, self.heartbeat_urls = told, urls
        return followed

    def _source(self, configuration: Configuration, source: SourceSettings) -> SourceConfig:
        from versionsync.budget import Budget
        from versionsync.daemon.state import SourceConfig
        from versionsync.wiring.sync_all import source_spec

        return SourceConfig(
            spec=source_spec(source),
            max_staleness=source.max_staleness,
            scrub=source.scrub,
            webhook=self._session.webhook_login(source, configuration),
            polls_webhook_log=source.poll_webhook_log,
            budget=None if source.budget is None else Budget.parse(source.budget),
            open_client=partial(self._open, configuration, source),
        )

    def _open(self, configuration: Configuration, source: SourceSettings) -> AbstractAsyncContextManager[cma.Client]:
        """A client for one run: its token may have been exchanged in its file since the last one."""
        from versionsync.wiring.clients import open_client, rate_limiter_of

        token = self._token(configuration, source)
        limits = [source.rate_limit]
        _, governor = self._governors.setdefault(token, (limits, rate_limiter_of(limits)))
        return open_client(source, token, governor=governor, log=self._session.log)

    def _token(self, configuration: Configuration, source: SourceSettings) -> Secret:
        token = configuration.api_token(source)
        self._session.redactor.learn(token.reveal())
        return token
