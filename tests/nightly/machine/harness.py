"""A simulated project, a mirror of it, and the engine between them, whose runs a state machine disturbs."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from msgspec import Raw

from tests.nightly.machine.actions import do, hidden_models, show_everything
from versionsync import cma
from versionsync.cma import decode
from versionsync.ledger.records import SeenRecord
from versionsync.mirror.database import Mirror
from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, FaultKind, Faults, SimulatorOptions, SimulatorThread, World
from versionsync.simulator.api.request import encode
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.blocks import own_records
from versionsync.simulator.world.event_log import Change, RecordMade, SchemaChanged
from versionsync.simulator.world.expected_history import ExpectedHistory, expected_history
from versionsync.simulator.world.serialization import Serializer
from versionsync.sync import sync_source
from versionsync.sync.api_to_ledger import seen_record
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Progress, RunReport
from versionsync.sync.run_limits import Timings
from versionsync.sync.unexplained_changes import ReadLimit

__all__ = ["Disturbance", "Harness", "Meanwhile", "Planted"]

START = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
# A request that fails is given up at once: how often it is asked again has tests of its own, and real seconds.
REQUEST_TIMEOUT_SECONDS = 0.24
# The answers here do not get better with time, so a run does not wait before it asks again.
TIMINGS = Timings(retry=0.01)
# Changes that no list shows are looked for to the end at once: that this is limited has tests of its own.
UNLIMITED_READS = ReadLimit(at_once=10**6, per_hour=10**16)


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault at the nth request of a run whose path matches, and at as many in a row."""

    kind: FaultKind
    nth: int
    times: int = 1
    path: str = ""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """An act after the nth request of a run was answered."""

    act: str
    which: int
    nth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What happens to one run.

    `vanished`: the share of records that no listing shows. `cancelled_at`, `overtaken_at`: after which request; None:
    not at all.
    """

    faults: Sequence[Planted] = ()
    rates: Mapping[FaultKind, float] | None = None
    vanished: float = 0.0
    meanwhile: Sequence[Meanwhile] = ()
    cancelled_at: int | None = None
    overtaken_at: int | None = None


class _Client(cma.Client):
    """A client with the harness's clock: the real one is months away from the simulator's."""

    skew = timedelta(0)

    @property
    def clock_offset(self) -> timedelta | None:
        return -self.skew


class Harness:
    """One example's world and mirror. Upstream's clock stands still until a step lets time pass.

    Our clock is upstream's, wrong by `skew`, and never shows a moment twice. Pages are of `page` entries.
    """

    def __init__(self, mirror: Mirror, *, switches: SimulatorOptions, skew: timedelta, page: int | None) -> None:
        self.mirror = mirror
        self.world = World(seed=1, clock=Clock.stopped(START), options=switches)
        self.faults = Faults(seed=1, slow_seconds=(0.0, 0.02), stall_seconds=2 * REQUEST_TIMEOUT_SECONDS)
        self.simulator = SimulatorThread(self.world, faults=self.faults)
        self.spec: SourceSpec | None = None
        self.is_role_readable = True
        self.format_changes = 0
        """How often the time zone or the precision of times changed."""
        self._skew = skew
        self._page = page
        self._ticks = 0
        self._loop = asyncio.Runner()
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
        )

    def open(self) -> None:
        """Start the simulator."""
        self.simulator.__enter__()
        self.spec = SourceSpec(name="website", base_url=self.simulator.url, unexplained=UNLIMITED_READS)
        self._http = cma.open_http(self.simulator.url, connections=100)  # what takes the time of a short run otherwise
        self._settle_faults()

    def close(self) -> None:
        """Stop it."""
        self._loop.run(self._http.aclose())
        self._loop.close()
        self.simulator.__exit__(None, None, None)

    def now(self) -> datetime:
        """Our clock."""
        self._ticks += 1
        return self.world.clock.now() + self._skew + timedelta(microseconds=self._ticks)

    def act(self, name: str, which: int) -> bool:
        """Let somebody do something; returns whether upstream let it be done."""
        return self.simulator.act(lambda world: self._do(world, name, which))

    def _do(self, world: World, name: str, which: int) -> bool:
        before = _time_format(world)
        is_done = do(world, name, which)
        self.format_changes += _time_format(world) != before
        return is_done

    @property
    def time_format(self) -> tuple[int, str]:
        """How many decimals the project's times have, and its time zone."""
        return self.simulator.act(_time_format)

    def remember(self) -> None:
        """Keep the records as they are now, for answers that lag behind; what comes after is a second later at least.

        Within one second, a publication that ended and one that had not begun again look the same.
        """
        self.simulator.act(lambda world: world.environment(None).remember())
        self.wait(1)

    def wait(self, seconds: float) -> None:
        """Let time pass at upstream."""

        def pass_by(world: World) -> None:
            world.clock.advance(timedelta(seconds=seconds))
            world.tick()  # what was planned is done in its time, whether anybody asks or not

        self.simulator.act(pass_by)

    def move_our_clock(self, seconds: float) -> None:
        """Our clock jumps, forward or back."""
        self._skew += timedelta(seconds=seconds)

    def truth(self, environment: str) -> ExpectedHistory:
        """What a perfect mirror of this environment would hold."""
        return self.simulator.act(lambda world: expected_history(world.event_log, environment))

    def listed(self) -> dict[str, SeenRecord]:
        """The primary environment's records, as a listing shows them now to a role that may read all of them."""

        def read(world: World) -> dict[str, SeenRecord]:
            where = world.environment(None)
            writer = Serializer(where, world.options, world.time_format, world.clock.now())
            items = (decode.item(Raw(encode(writer.item(record)))) for record in own_records(where))
            return {item.id: seen_record(item) for item in items}

        return self.simulator.act(read)

    def ever_made(self) -> frozenset[str]:
        """The ids of all records that there ever were, in any environment."""
        return self.simulator.act(
            lambda world: frozenset(fact.record_id for fact in world.event_log if isinstance(fact, RecordMade))
        )

    def schema(self) -> tuple[dict[str, tuple[object, ...]], dict[str, tuple[object, ...]]]:
        """What a mirror must hold of the models and fields of the primary environment, by their ids."""

        def read(world: World) -> tuple[dict[str, tuple[object, ...]], dict[str, tuple[object, ...]]]:
            models = world.environment(None).models.values()
            return {model.id: (model.api_key, model.name, model.is_block, model.draft_mode) for model in models}, {
                field.id: (model.id, field.api_key, field.field_type, field.localized)
                for model in models
                for field in model.ordered_fields
            }

        return self.simulator.act(read)

    def schema_changes(self) -> Counter[str]:
        """How often models and fields were made and removed, by the types of events; a model takes its fields along."""

        def read(world: World) -> Counter[str]:
            seen: Counter[str] = Counter()
            fields: dict[str, set[str]] = defaultdict(set)
            for fact in world.event_log:
                if not isinstance(fact, SchemaChanged) or fact.change is Change.CHANGED:
                    continue
                is_made = fact.change is Change.MADE
                kind = "model" if fact.field_id is None else "field"
                seen[f"{kind}.{'created' if is_made else 'deleted'}"] += 1
                if fact.field_id is not None:
                    (fields[fact.model_id].add if is_made else fields[fact.model_id].discard)(fact.field_id)
                elif not is_made:
                    seen["field.deleted"] += len(fields.pop(fact.model_id, ()))
            return seen

        return self.simulator.act(read)

    def block_models(self) -> frozenset[str]:
        """The block models of the primary environment."""
        return self.simulator.act(
            lambda world: frozenset(model.id for model in world.environment(None).models.values() if model.is_block)
        )

    def blocks(self) -> list[str]:
        """The ids of the blocks in the current content of the primary environment's records."""

        def read(world: World) -> list[str]:
            records = own_records(world.environment(None))
            return [id for record in records for id in contents.blocks_by_id(record.head.read())]

        return self.simulator.act(read)

    @property
    def hidden_models(self) -> frozenset[str]:
        """The models whose records the token's role does not show."""
        return self.simulator.act(hidden_models)

    def show_everything(self) -> None:
        """The token's role shows all records, and upstream says so."""
        self.simulator.act(show_everything)
        self.is_role_readable = True

    @property
    def requests(self) -> int:
        """How many requests there were so far."""
        return self.simulator.simulator.requests.total

    def run(
        self,
        options: SyncOptions,
        disturbance: Disturbance | None = None,
        *,
        overtake: Callable[[], None] | None = None,
    ) -> RunReport | None:
        """One run; None: it was cancelled. `overtake` is called where the disturbance says that the lease is taken."""
        return self._loop.run(self._run(options, disturbance or Disturbance(), overtake))

    def run_two(self, options: SyncOptions, *, second_after: int) -> tuple[RunReport, RunReport]:
        """Two runs on one database at once; the second begins after the nth request of the first, at the latest."""
        return self._loop.run(self._run_two(options, second_after))

    async def _run(
        self, options: SyncOptions, disturbance: Disturbance, overtake: Callable[[], None] | None
    ) -> RunReport | None:
        is_disturbed = bool(disturbance.faults or disturbance.rates)
        task = asyncio.ensure_future(self._sync(options, is_disturbed=is_disturbed))
        loop = asyncio.get_running_loop()
        self._hide_role()
        for fault in disturbance.faults:
            self.faults.plant(fault.kind, path=fault.path, nth=fault.nth, times=fault.times)
        for one in disturbance.meanwhile:
            self.faults.run_after(lambda world, one=one: self._do(world, one.act, one.which), nth=one.nth)  # type: ignore[misc]
        if disturbance.cancelled_at:
            self.faults.run_after(lambda _: loop.call_soon_threadsafe(task.cancel), nth=disturbance.cancelled_at)
        if disturbance.overtaken_at and overtake:
            self.faults.run_after(lambda _: overtake(), nth=disturbance.overtaken_at)
        self.faults.rates.update(disturbance.rates or {})
        self.faults.vanished_share = disturbance.vanished
        try:
            return await task
        except asyncio.CancelledError:
            return None
        finally:
            self._settle_faults()

    async def _run_two(self, options: SyncOptions, second_after: int) -> tuple[RunReport, RunReport]:
        loop, go = asyncio.get_running_loop(), asyncio.Event()
        self._hide_role()
        self.faults.run_after(lambda _: loop.call_soon_threadsafe(go.set), nth=second_after)
        first = asyncio.ensure_future(self._sync(options))
        first.add_done_callback(lambda _: go.set())
        await go.wait()
        second = await self._sync(options)
        try:
            return await first, second
        finally:
            self._settle_faults()

    async def _sync(self, options: SyncOptions, *, is_disturbed: bool = False) -> RunReport:
        assert self.spec is not None
        async with _Client(
            self.spec.base_url,
            FULL_ACCESS_TOKEN,
            environment=self.spec.environment,
            rate_limiter=cma.RateLimiter(cma.UNLIMITED),
            http=self._http,
            deadline=REQUEST_TIMEOUT_SECONDS if is_disturbed else 60.0,
        ) as client:
            client.skew = self._skew
            if self._page is not None:
                client.page_limits.update(items=self._page, versions=self._page)
            return await sync_source(
                self.mirror,
                client,
                self.spec,
                options,
                progress=Progress(source=self.spec.name),
                log=self._log,
                now=self.now,
                timings=TIMINGS,
            )

    def _hide_role(self) -> None:
        if not self.is_role_readable:
            self.faults.plant(FaultKind.NOT_FOUND, path="^/users/me", times=10**9)

    def _settle_faults(self) -> None:
        self.faults.clear()
        self.faults.rates[FaultKind.STALE] = 0.0  # so that the simulator remembers answers for a stale one later


def _time_format(world: World) -> tuple[int, str]:
    return 3 if world.options.milliseconds else 0, world.timezone
