"""What other daemons tell this one: that daemons or claims have changed, or that a webhook named a held source.

PostgreSQL passes messages on at once. Where it cannot (SQLite, a pooler, a connection that is lost), the tables are
read every two seconds instead, as long as other daemons live. A message that is lost is made up for by the next
heartbeat, which reads the same.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from random import Random
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.backoff import Backoff
from versionsync.daemon.held_sources import HeldSources
from versionsync.daemon.membership import Membership
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError

__all__ = ["MessageReader"]

RECONNECT: Final = Backoff(1.0, 30.0)


class MessageReader:
    """Hears other daemons. `is_connected` is whether messages arrive now."""

    def __init__(
        self,
        mirror: Mirror,
        membership: Membership,
        held: HeldSources,
        *,
        log: FilteringBoundLogger,
        random: Random,
        look_seconds: float,
    ) -> None:
        self._mirror = mirror
        self._membership = membership
        self._held = held
        self._log = log
        self._random = random
        self._look_seconds = look_seconds
        self.is_connected = False

    async def listen(self) -> None:
        """Listen until cancelled, and connect again whenever the connection is lost."""
        failures = 0
        while True:
            last = self._membership.last
            if last is None or not last.can_listen:
                await asyncio.sleep(self._look_seconds)
                continue
            try:
                async with aclosing(self._mirror.messages()) as messages:
                    async for message in messages:
                        self.is_connected, failures = True, 0
                        self._hear(message)
            except MirrorError as error:
                failures += 1
                self._log.debug("messages.lost", reason=str(error))
            finally:
                self.is_connected = False
            await asyncio.sleep(RECONNECT.delay(failures, self._random))

    async def look(self) -> None:
        """Read the tables every `look_seconds` while messages do not arrive and others may send some."""
        while True:
            await asyncio.sleep(self._look_seconds)
            last = self._membership.last
            if self.is_connected or last is None or last.daemons == 1:
                continue
            try:
                self._held.heard(await self._membership.look())
            except MirrorError as error:
                self._log.debug("database.unavailable", error=str(error))

    def _hear(self, message: str) -> None:
        """Act on a message. An empty one: the connection was made, and messages before it were not heard."""
        match message.split():
            case []:
                self._membership.soon()
            case ["daemons", id] if id != str(self._membership.id):
                self._membership.soon()
            case ["webhook", source_id] if source_id.isdigit():
                self._held.message(int(source_id))
