"""The daemon as the settings describe it: its sources, its server, its notifications."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.budget import Budget
from versionsync.config import Configuration, InvalidSetting, Secret, SecretProblem, SourceSettings
from versionsync.config.definition import RateLimit
from versionsync.daemon.daemon import Daemon
from versionsync.daemon.http.app import App, serving
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.notifications.heartbeat import HeartbeatSender
from versionsync.daemon.notifications.notifier import Notifier, Subscription, polling
from versionsync.daemon.notifications.persistence import NotificationStore
from versionsync.daemon.systemd_notify import inherited_socket
from versionsync.daemon.webhook_receiver import WebhookReceiver
from versionsync.daemon.worker_state import SourceConfig
from versionsync.history.projections.background import BackgroundFiller
from versionsync.mirror.database import Mirror
from versionsync.redaction import Redactor
from versionsync.status.snapshot import ActivityReader
from versionsync.webhooks.payload import BasicAuth
from versionsync.wiring.clients import api_token, open_client, rate_limiter_of, unusable, webhook_login
from versionsync.wiring.connections import SharedConnections
from versionsync.wiring.notifiers import heartbeat_urls, subscriptions
from versionsync.wiring.sync_all import source_spec

__all__ = ["THREADS_BESIDES_RUNS", "DaemonSettings", "run_daemon"]

THREADS_BESIDES_RUNS: Final = 4
"""For the projections of two sources, what workers store, and the status. Each thread has at most one connection."""
FILLED_AT_ONCE: Final = 2
LARGE_ANSWERS_AT_ONCE: Final = 4


class DaemonSettings:
    """The settings of a running daemon. Sources with the same token share a rate limiter, also after a reload.

    Attributes:
        sources: The sources to mirror, as last loaded.
        subscriptions: Where notifications go, as last loaded.
        heartbeat_urls: The heartbeat of each source that has one, as last loaded.
        max_runs: How many runs there may be at once.
    """

    def __init__(
        self,
        configuration: Configuration,
        names: Sequence[str],
        *,
        reload: Callable[[], Configuration],
        redactor: Redactor,
        log: FilteringBoundLogger,
    ) -> None:
        """Load the sources called `names`, or all if there are none.

        One of several whose token or webhook password cannot be read does not keep the others waiting: it is logged,
        and its runs fail, or it works without its webhook.

        Raises:
            ConfigError: The settings cannot be used, or no source has all its secrets.
        """
        self.http = configuration.http
        self.max_runs = configuration.settings.daemon.max_runs
        self._before = configuration
        self._names = names
        self._reload = reload
        self._redactor = redactor
        self._log = log
        self._connections = SharedConnections()
        self._large = asyncio.Semaphore(LARGE_ANSWERS_AT_ONCE)
        self._rate_limiters: dict[Secret, tuple[Sequence[RateLimit | None], cma.RateLimiter]] = {}
        self._tokens: Mapping[str, Secret] = {}
        self._active: frozenset[str] | None = None
        self.subscriptions: Sequence[Subscription] = ()
        self.heartbeat_urls: Mapping[str, Secret] = {}
        self.sources = self._load(configuration, is_start=True)

    def load(self) -> list[SourceConfig]:
        """Read the settings again and return the sources. Raises a ConfigError; then nothing has changed."""
        configuration, before = self._reload(), self._before
        fixed = [(each.database_url(), each.http, each.settings.daemon) for each in (configuration, before)]
        if fixed[0] != fixed[1]:
            raise InvalidSetting(
                "database_url, [http] and [daemon] cannot change while the daemon runs",
                hint="Restart it to change them, or set them back.",
            )
        self.sources = self._load(configuration)
        return self.sources

    def _load(self, configuration: Configuration, *, is_start: bool = False) -> list[SourceConfig]:
        chosen = configuration.named(self._names)
        channels = subscriptions(configuration, redactor=self._redactor)
        urls = heartbeat_urls(configuration, chosen, redactor=self._redactor)
        tokens: dict[str, Secret] = {}
        webhooks: dict[str, BasicAuth | None] = {}
        problems: dict[str, SecretProblem] = {}
        for source in chosen:
            try:
                tokens[source.name] = self._token(configuration, source)
                webhooks[source.name] = webhook_login(configuration, source, redactor=self._redactor)
            except SecretProblem as error:
                problems[source.name] = error
        if problems and (not is_start or len(problems) == len(chosen)):
            raise next(iter(problems.values()))
        for name, problem in problems.items():
            self._log.error("source.misconfigured", source=name, reason=str(problem), hint=problem.hint)
        for token in dict.fromkeys(tokens.values()):
            limits = _limits_of(token, chosen, tokens)
            if token not in self._rate_limiters or self._rate_limiters[token][0] != limits:
                self._rate_limiters[token] = limits, rate_limiter_of(limits)
        sources = [self._source(configuration, source, webhooks.get(source.name)) for source in chosen]
        self.subscriptions, self.heartbeat_urls, self._tokens = channels, urls, tokens
        self._share()
        return sources

    def share(self, active: frozenset[str]) -> None:
        """Use only a part of the rate limit of a token if other daemons run some of its sources.

        The part is that of the token's sources which this daemon runs. A daemon that runs none sends no requests.
        """
        self._active = active
        self._share()

    def _share(self) -> None:
        if self._active is None:
            return
        tokens, limiters = self._tokens, tuple(self._rate_limiters.items())  # a reload runs on another thread
        number, ours = Counter(tokens.values()), Counter(tokens[name] for name in self._active & tokens.keys())
        for token, (_, limiter) in limiters:
            limiter.share = ours[token] / number[token] if ours[token] else 1.0

    def _source(self, configuration: Configuration, source: SourceSettings, webhook: BasicAuth | None) -> SourceConfig:
        return SourceConfig(
            spec=source_spec(source),
            max_staleness=source.max_staleness,
            scrub=source.scrub,
            webhook=webhook,
            polls_webhook_log=source.poll_webhook_log,
            budget=None if source.budget is None else Budget.parse(source.budget),
            open_client=partial(self._open, configuration, source),
        )

    async def close(self) -> None:
        """Close the connections that the clients have shared."""
        await self._connections.close()

    @asynccontextmanager
    async def _open(self, configuration: Configuration, source: SourceSettings) -> AsyncIterator[cma.Client]:
        """Return a client for one run. It reads the token again, which may have been replaced in its file."""
        token = self._token(configuration, source)
        if self._tokens.get(source.name) != token:
            self._replaced(configuration, source, token)
        _, rate_limiter = self._rate_limiters[token]
        async with AsyncExitStack() as stack:
            try:
                http = await stack.enter_async_context(self._connections.to(source.base_url))
            except ValueError as error:
                raise unusable(error) from None
            client = open_client(source, token, rate_limiter=rate_limiter, log=self._log, http=http, large=self._large)
            yield await stack.enter_async_context(client)

    def _replaced(self, configuration: Configuration, source: SourceSettings, token: Secret) -> None:
        """Go by a token that was replaced without a reload. Other sources with the old one may have the new one too."""
        old, tokens = self._tokens.get(source.name), {**self._tokens, source.name: token}
        chosen = configuration.named(self._names)
        for other in chosen:
            if other.name != source.name and tokens.get(other.name) == old:
                with suppress(SecretProblem):
                    tokens[other.name] = self._token(configuration, other)
        self._tokens = tokens
        if token not in self._rate_limiters:
            limits = _limits_of(token, chosen, tokens)
            self._rate_limiters[token] = limits, rate_limiter_of(limits)
        self._share()

    def _token(self, configuration: Configuration, source: SourceSettings) -> Secret:
        return api_token(configuration, source, redactor=self._redactor)


def _limits_of(
    token: Secret, sources: Sequence[SourceSettings], tokens: Mapping[str, Secret]
) -> list[RateLimit | None]:
    """Return the limits of the sources that have a token."""
    return [source.rate_limit for source in sources if tokens.get(source.name) == token]


async def run_daemon(
    mirror: Mirror, settings: DaemonSettings, *, log: FilteringBoundLogger, redactor: Redactor
) -> None:
    """Run the daemon with its server and its notifications, until a signal stops it."""

    filled = asyncio.Semaphore(FILLED_AT_ONCE)

    def open_filler(name: str, is_busy: Callable[[], bool]) -> BackgroundFiller:
        return BackgroundFiller(mirror, name, log=log, is_busy=is_busy, turns=filled)

    daemon = Daemon(
        mirror,
        settings.sources,
        load=settings.load,
        log=log,
        max_runs=settings.max_runs,
        open_filler=open_filler,
        on_active=settings.share,
    )
    metrics = Metrics(
        lambda: daemon.states,
        scheduler=daemon.scheduler,
        now=lambda: datetime.now(UTC),
        holds=lambda state: daemon.runs(state.name),
        runs_waiting=lambda: daemon.runs_waiting,
        daemons_alive=lambda: daemon.daemons_alive,
    )
    receiver = WebhookReceiver(lambda: daemon.workers, log=log)
    app = App(
        lambda: daemon.states,
        metrics,
        redact=redactor.redact,
        stuck=daemon.stuck,
        receiver=receiver.answer,
        activity=ActivityReader(mirror),
    )
    store = NotificationStore(lambda name: daemon.workers[name].store, log=log)
    notifier = Notifier(lambda: settings.subscriptions, log=log, redact=redactor.redact, store=store)
    heartbeat = HeartbeatSender(lambda: settings.heartbeat_urls, log=log)
    http = settings.http
    async with (
        serving(app, host=http.host, port=http.port, log=log, inherited=inherited_socket()),
        polling(lambda: daemon.states, [notifier, heartbeat], log=log),
    ):
        try:
            await daemon.run()
        finally:
            await settings.close()
