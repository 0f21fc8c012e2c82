"""Sends notifications about problems of sources, and when they have passed. A sync never waits for that.

Each channel gets one notification at a time, from a thread of its own. One that could not be sent stays due, and is
tried again less and less often.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from structlog.typing import FilteringBoundLogger

from versionsync.backoff import Backoff
from versionsync.config import Secret
from versionsync.daemon.notifications.apprise import NotSent, Send
from versionsync.daemon.notifications.persistence import NotificationStore
from versionsync.daemon.notifications.rules import NotificationKind, NotificationState, Rule
from versionsync.daemon.notifications.text import Notification, notification_for
from versionsync.daemon.worker_state import WorkerState

__all__ = ["POLL_SECONDS", "Notifier", "StatusListener", "Subscription", "cancel_all", "polling"]

POLL_SECONDS: Final = 1.0
SEND_SECONDS: Final = 15.0
"""The time limit of one notification."""
GROUP_WAIT_SECONDS: Final = 10.0
"""With several sources, how long a notification waits for the others: one cause often affects all of them."""
RETRY: Final = Backoff(60.0, 900.0)
KEY_DIGITS: Final = 4


class StatusListener(Protocol):
    """Something that reports the states of sources elsewhere."""

    def check(self, states: Mapping[str, WorkerState], now: datetime) -> None:
        """Begin to report what is due; must not wait."""

    async def close(self) -> None:
        """Stop."""


@asynccontextmanager
async def polling(
    states: Callable[[], Mapping[str, WorkerState]],
    listeners: Sequence[StatusListener],
    *,
    log: FilteringBoundLogger,
    every: float = POLL_SECONDS,
) -> AsyncIterator[None]:
    """While the block runs, show the states to the `listeners` every so often.

    Args:
        states: Returns the state of each source.
        listeners: Closed at the end.
        log: Gets the errors of listeners.
        every: The interval in seconds.
    """

    async def poll() -> None:
        while True:
            for listener in listeners:
                try:
                    listener.check(states(), datetime.now(UTC))
                except Exception as error:  # a bug here must not stop the daemon
                    name = type(listener).__name__
                    log.error("notifications.poll_failed", listener=name, error=repr(error), exc_info=error)
            await asyncio.sleep(every)

    task = asyncio.create_task(poll())
    try:
        yield
    finally:
        await cancel_all([task])
        for listener in listeners:
            await listener.close()


async def cancel_all(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel tasks, and wait until they have ended."""
    running = {task for task in tasks if task is not None}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A channel of the settings.

    Attributes:
        channel: Its position in the settings.
        url: Its address.
        rule: What it gets.
        send: Sends a notification to it.
    """

    channel: str
    url: Secret
    rule: Rule
    send: Send = field(compare=False)

    @property
    def key(self) -> str:
        """The name of the channel in the database: the kind of service, and digits that distinguish addresses.

        The digits are too few to guess an address, or a password in it.
        """
        url, about = self.url.reveal(), sorted(self.rule.sources or ())
        digest = sha256("\0".join([url, *sorted(self.rule.on), *about]).encode()).hexdigest()
        return f"{url.partition('://')[0].lower()}-{digest[:KEY_DIGITS]}"


@dataclass(slots=True)
class _Channel:
    """What one subscription has got, and what is being sent to it."""

    state: NotificationState = field(default_factory=NotificationState)
    task: asyncio.Task[None] | None = None
    thread: threading.Thread | None = None
    failures: int = 0
    not_before: float = 0.0
    due_since: float | None = None

    def is_free(self, clock: float) -> bool:
        """Return whether it can send: the thread of the last notification has ended."""
        is_busy = self.task is not None or (self.thread is not None and self.thread.is_alive())
        return not is_busy and clock >= self.not_before

    def back_off(self, clock: float) -> None:
        """Record a failure: the next attempt comes later each time."""
        self.failures += 1
        self.not_before = clock + RETRY.delay(self.failures)


class Notifier:
    """Checks the states of sources and sends what is due.

    Args:
        subscriptions: Returns the channels of the settings as they are now.
        log: The log.
        redact: Masks secrets in what is sent.
        store: Keeps what was sent over a restart.
        host: The name of this machine.
        clock: The monotonic clock.
        send_seconds: The time limit of one notification.
        gather_seconds: How long a notification waits for other sources.
    """

    def __init__(
        self,
        subscriptions: Callable[[], Sequence[Subscription]],
        *,
        log: FilteringBoundLogger,
        redact: Callable[[str], str],
        store: NotificationStore | None = None,
        host: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        send_seconds: float = SEND_SECONDS,
        gather_seconds: float = GROUP_WAIT_SECONDS,
    ) -> None:
        self._subscriptions = subscriptions
        self._log = log
        self._redact = redact
        self._store = store
        self._host = host or socket.gethostname()
        self._clock = clock
        self._send_seconds = send_seconds
        self._gather_seconds = gather_seconds
        self._channels: dict[Subscription, _Channel] = {}

    def check(self, states: Mapping[str, WorkerState], now: datetime) -> None:
        """Begin to send what is due; nothing here waits."""
        before = self._channels
        self._channels = {wanted: before.get(wanted) or self._new(wanted) for wanted in self._subscriptions()}
        reportable = list(states.values())
        if self._store is not None:
            channels = {wanted.key: channel.state for wanted, channel in self._channels.items()}
            ready = self._store.check(states, channels, now=now, clock=self._clock())
            reportable = [state for state in reportable if state.name in ready]
        for subscription, channel in self._channels.items():
            if channel.is_free(self._clock()):
                self._notify(subscription, channel, reportable, now, is_alone=len(states) == 1)

    def _new(self, subscription: Subscription) -> _Channel:
        channel = _Channel()
        if self._store is not None:
            self._store.remember(subscription.key, channel.state)
        return channel

    async def close(self) -> None:
        """Stop, without waiting for what is being sent."""
        await cancel_all(channel.task for channel in self._channels.values())
        if self._store is not None:
            await self._store.close()

    def _notify(
        self,
        subscription: Subscription,
        channel: _Channel,
        states: Collection[WorkerState],
        now: datetime,
        *,
        is_alone: bool,
    ) -> None:
        clock, due_for = self._clock(), channel.state.due
        kinds = [(due_for(state, subscription.rule, now=now, clock=clock), state) for state in states]
        due = [(kind, state) for kind, state in kinds if kind is not None]
        if not due:
            channel.due_since = None
            return
        channel.due_since = clock if channel.due_since is None else channel.due_since
        if not is_alone and clock - channel.due_since < self._gather_seconds:
            return
        channel.due_since = None
        is_last = channel.state.is_last_of_the_hour(clock)
        notification = notification_for(due, now=now, host=self._host, is_last=is_last)
        notification = replace(notification, body=self._redact(notification.body))
        sent = {state.name: kind for kind, state in due}
        channel.task = asyncio.create_task(self._send(subscription, channel, notification, sent))

    async def _send(
        self,
        subscription: Subscription,
        channel: _Channel,
        notification: Notification,
        kinds: Mapping[str, NotificationKind],
    ) -> None:
        about = ", ".join(f"{source}: {kind.value}" for source, kind in kinds.items())
        log = self._log.bind(to=subscription.channel, about=about)
        try:
            channel.thread, sent = _on_a_thread(subscription.send, notification)
            async with asyncio.timeout(self._send_seconds):
                await sent
        except (NotSent, TimeoutError) as error:
            channel.back_off(self._clock())
            reason = f"no answer within {self._send_seconds:g} s" if isinstance(error, TimeoutError) else str(error)
            report = log.warning if channel.failures == 1 else log.debug
            report("notification.failed", reason=self._redact(reason))
        else:
            channel.failures = 0
            channel.state.mark_sent(kinds, clock=self._clock())
            log.info("notification.sent")
        finally:
            channel.task = None


def _on_a_thread(send: Send, notification: Notification) -> tuple[threading.Thread, asyncio.Future[None]]:
    """Send on a daemon thread: neither a service that hangs nor the end of the process waits for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            send(notification)
        except NotSent as not_sent:
            error = not_sent
        except Exception as other:  # a bug here or in Apprise counts as any other failure
            error = NotSent(f"{type(other).__name__}: {other}")
        with suppress(RuntimeError):  # the loop may have ended
            loop.call_soon_threadsafe(finish, error)

    thread = threading.Thread(target=work, name="notification", daemon=True)
    thread.start()
    return thread, future
