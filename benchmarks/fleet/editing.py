"""Editors at work in many projects, a webhook call for each edit to a daemon at random, and when it was mirrored."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import aiohttp

from benchmarks.fleet.daemons import PASSWORD
from benchmarks.fleet.database import FleetDatabase

__all__ = ["Edits", "Place"]

POLL_SECONDS = 0.05
CALL_SECONDS = 8.0
ATTEMPTS = 3
CREATED_SHARE = DELETED_SHARE = 0.1
FEWEST_RECORDS = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source comes from and is called: its id and name in the database, and the id of its project."""

    source_id: int
    name: str
    project_id: str


@dataclass(slots=True)
class _Pending:
    after: int
    called_at: float


class Edits:
    """Makes edits at random, calls daemons, and watches the database for what became of them.

    Attributes:
        seconds: From each call to the first sight of its event in the database.
        results: How the calls were answered: a status, or the error.
        made: How many edits there were.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        database: FleetDatabase,
        *,
        upstream: str,
        places: Sequence[Place],
        receivers: Callable[[], Mapping[int, int]],
        random: Random,
    ) -> None:
        """Edit nothing yet. `receivers`: the ports of the daemons that can be called now, by their numbers."""
        self._http = http
        self._database = database
        self._upstream = upstream
        self._places = places
        self._receivers = receivers
        self._random = random
        self._records = {source_id: list(ids) for source_id, ids in database.record_ids().items()}
        self._pending: dict[tuple[int, str], _Pending] = {}
        self.seconds: list[float] = []
        self.results: Counter[str] = Counter()
        self.made = 0

    @property
    def unseen(self) -> int:
        """How many edits the database has no event of."""
        return len(self._pending)

    def start_again(self) -> None:
        """Forget the figures, not what is pending."""
        self.seconds, self.results, self.made = [], Counter(), 0

    async def edit(self, until: asyncio.Event, *, every: float) -> None:
        """Edit every so many seconds on average; each edit calls a daemon at once. Calls in progress end at last."""
        async with asyncio.TaskGroup() as calls:
            while not until.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._random.expovariate(1 / every)):
                        await until.wait()
                        return
                calls.create_task(self._edit_and_call())

    async def watch(self) -> None:
        """Note when edits are mirrored, without an end."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            called = {key: edit for key, edit in self._pending.items() if edit.called_at}
            if called:
                seen = self._database.seen([(*key, edit.after) for key, edit in called.items()])
                now = time.monotonic()
                self.seconds += [now - self._pending.pop(key).called_at for key in seen]

    async def until_seen(self, patience: float) -> None:
        """Wait until all edits are mirrored, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._pending:  # noqa: ASYNC110 - `watch` polls too
                    await asyncio.sleep(POLL_SECONDS)

    async def _edit_and_call(self) -> None:
        place = self._random.choice(self._places)
        records = self._records.get(place.source_id, [])
        free = [id for id in records if (place.source_id, id) not in self._pending]
        if not free:
            return
        record_id, after, chance = self._random.choice(free), self._database.last_event_id(), self._random.random()
        if chance < CREATED_SHARE:
            made = await self._act(place, "create", model="product", attributes={"title": "New"})
            record_id, event = str(made["id"]), "create"
            records.append(record_id)
        elif chance < CREATED_SHARE + DELETED_SHARE and len(free) >= FEWEST_RECORDS:
            records.remove(record_id)
            await self._act(place, "delete", record_id=record_id)
            event = "delete"
        else:
            title = f"Edit {self.made}"
            await self._act(place, "update", record_id=record_id, attributes={"title": title})
            event = "update"
        self.made += 1
        edit = self._pending[place.source_id, record_id] = _Pending(after, time.monotonic())
        await self._call(place, event, record_id, edit)

    async def _act(self, place: Place, act: str, **arguments: object) -> dict[str, object]:
        url = f"{self._upstream}/_simulator/act?project={place.project_id}"
        async with self._http.post(url, json={"act": act, "arguments": arguments}) as answer:
            body: dict[str, object] = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"the simulator refused to {act} a record of {place.name}: {body}")
            return body

    async def _call(self, place: Place, event: str, record_id: str, edit: _Pending) -> None:
        """Call one of the daemons, and another one if it does not answer, as a balancer of load does."""
        body = {
            "environment": "main",
            "entity_type": "item",
            "event_type": event,
            "entity": {"id": record_id, "type": "item"},
            "site_id": place.project_id,
        }
        login = aiohttp.BasicAuth("versionsync", PASSWORD)
        tried: set[int] = set()
        for _ in range(ATTEMPTS):
            ports = {number: port for number, port in self._receivers().items() if number not in tried}
            if not ports:
                break
            number = self._random.choice(sorted(ports))
            tried.add(number)
            url = f"http://127.0.0.1:{ports[number]}/webhooks/{place.name}"
            edit.called_at = time.monotonic()
            try:
                timeout = aiohttp.ClientTimeout(CALL_SECONDS)
                async with self._http.post(url, json=body, auth=login, timeout=timeout) as answer:
                    self.results[str(answer.status)] += 1
                    if answer.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                self.results[type(error).__name__] += 1
