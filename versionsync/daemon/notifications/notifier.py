"""Tells people what is wrong with a source, and when it has passed. A sync never waits for that.

One notice at a time goes to each place, from a thread of its own. One that did not arrive is no notice: as long as
there still is something to tell, it is tried again, less and less often.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.config import Secret
from versionsync.daemon.notifications.apprise import NotSent, Send
from versionsync.daemon.notifications.persistence import NotificationStore
from versionsync.daemon.notifications.rules import NotificationKind, NotificationState, Rule
from versionsync.daemon.notifications.text import Notification, notification_for
from versionsync.daemon.state import WorkerState

__all__ = ["Notifier", "Subscription"]

SEND_SECONDS: Final = 15.0
"""Who has not taken a notice by then has not got it."""
GROUP_WAIT_SECONDS: Final = 10.0
"""Where there are several sources, so long is waited for the others: what ails one often ails all, and one notice is
enough for that."""
RETRY_SECONDS: Final = 60.0
MAX_RETRY_SECONDS: Final = 900.0
DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A place that is told, `where` in the settings it stands, and what it wants to be told."""

    channel: str
    url: Secret
    rule: Rule
    send: Send = field(compare=False)

    @property
    def key(self) -> str:
        """What it is called where others read it: the kind of service, and digits that tell addresses apart.

        They are too few to find an address by, or a password in it.
        """
        url, about = self.url.reveal(), sorted(self.rule.sources or ())
        digest = sha256("\0".join([url, *sorted(self.rule.on), *about]).encode()).hexdigest()
        return f"{url.partition('://')[0].lower()}-{digest[:DIGITS]}"


@dataclass(slots=True)
class _Channel:
    """What one subscription was told, and what it is being told."""

    memory: NotificationState = field(default_factory=NotificationState)
    task: asyncio.Task[None] | None = None
    thread: threading.Thread | None = None
    failures: int = 0
    not_before: float = 0.0
    due_since: float | None = None

    def is_free(self, clock: float) -> bool:
        """Whether something can be sent: no thread of the last time still hangs in it."""
        is_busy = self.task is not None or (self.thread is not None and self.thread.is_alive())
        return not is_busy and clock >= self.not_before

    def back_off(self, clock: float) -> None:
        """It did not arrive: try again later, and later still each time."""
        self.failures += 1
        doublings = min(self.failures - 1, 16)  # a float has an end
        self.not_before = clock + min(RETRY_SECONDS * 2.0**doublings, MAX_RETRY_SECONDS)


class Notifier:
    """Looks at how the sources stand, and tells those whom `subscriptions` returns; it is asked at every look.

    `redact` masks secrets in what is told; `recall` keeps it over a new start.
    """

    def __init__(
        self,
        subscriptions: Callable[[], Sequence[Subscription]],
        *,
        log: FilteringBoundLogger,
        redact: Callable[[str], str],
        recall: NotificationStore | None = None,
        host: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        send_seconds: float = SEND_SECONDS,
        gather_seconds: float = GROUP_WAIT_SECONDS,
    ) -> None:
        self._subscriptions = subscriptions
        self._log = log
        self._redact = redact
        self._recall = recall
        self._host = host or socket.gethostname()
        self._clock = clock
        self._send_seconds = send_seconds
        self._gather_seconds = gather_seconds
        self._places: dict[Subscription, _Channel] = {}

    def check(self, states: Mapping[str, WorkerState], now: datetime) -> None:
        """Begin to send what is to be told; nothing here waits."""
        before = self._places
        self._places = {wanted: before.get(wanted) or self._new(wanted) for wanted in self._subscriptions()}
        told_of = list(states.values())
        if self._recall is not None:
            memories = {wanted.key: place.memory for wanted, place in self._places.items()}
            ready = self._recall.check(states, memories, now=now, clock=self._clock())
            told_of = [state for state in told_of if state.name in ready]
        for subscription, place in self._places.items():
            if place.is_free(self._clock()):
                self._notify(subscription, place, told_of, now, is_alone=len(states) == 1)

    def _new(self, subscription: Subscription) -> _Channel:
        place = _Channel()
        if self._recall is not None:
            self._recall.remember(subscription.key, place.memory)
        return place

    async def close(self) -> None:
        """Wait for nothing any more."""
        tasks = {each.task for each in self._places.values() if each.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._recall is not None:
            await self._recall.close()

    def _notify(
        self,
        subscription: Subscription,
        place: _Channel,
        states: Collection[WorkerState],
        now: datetime,
        *,
        is_alone: bool,
    ) -> None:
        clock, next_of = self._clock(), place.memory.due
        kinds = [(next_of(state, subscription.rule, now=now, clock=clock), state) for state in states]
        due = [(kind, state) for kind, state in kinds if kind is not None]
        if not due:
            place.due_since = None
            return
        place.due_since = clock if place.due_since is None else place.due_since
        if not is_alone and clock - place.due_since < self._gather_seconds:
            return
        place.due_since = None
        is_last = place.memory.is_last_of_the_hour(clock)
        notice = notification_for(due, now=now, host=self._host, is_last=is_last)
        told = {state.name: kind for kind, state in due}
        notice = replace(notice, body=self._redact(notice.body))
        place.task = asyncio.create_task(self._send(subscription, place, notice, told))

    async def _send(
        self, subscription: Subscription, place: _Channel, notice: Notification, told: Mapping[str, NotificationKind]
    ) -> None:
        about = ", ".join(f"{source}: {kind.value}" for source, kind in told.items())
        log = self._log.bind(to=subscription.channel, about=about)
        try:
            place.thread, sent = _on_a_thread(subscription.send, notice)
            async with asyncio.timeout(self._send_seconds):
                await sent
        except (NotSent, TimeoutError) as error:
            place.back_off(self._clock())
            reason = f"no answer within {self._send_seconds:g} s" if isinstance(error, TimeoutError) else str(error)
            tell = log.warning if place.failures == 1 else log.debug
            tell("notification.failed", reason=self._redact(reason))
        else:
            place.failures = 0
            place.memory.mark_sent(told, clock=self._clock())
            log.info("notification.sent")
        finally:
            place.task = None


def _on_a_thread(send: Send, notice: Notification) -> tuple[threading.Thread, asyncio.Future[None]]:
    """Send on a thread that nobody has to wait for: not when it hangs, and not at the end of the process."""
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
            send(notice)
        except NotSent as not_sent:
            error = not_sent
        except Exception as other:  # a fault of ours or Apprise's: told as any other notice that did not arrive
            error = NotSent(f"{type(other).__name__}: {other}")
        with suppress(RuntimeError):  # the loop may be gone by now
            loop.call_soon_threadsafe(finish, error)

    thread = threading.Thread(target=work, name="notice", daemon=True)
    thread.start()
    return thread, future
