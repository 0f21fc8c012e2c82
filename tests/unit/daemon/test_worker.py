"""What a follower asks the engine for, and when: hints are looked at once each, until what they name is mirrored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast

import pytest
import structlog

from benchmarks.daemon.memory_store import Books
from versionsync import cma
from versionsync.config import Secret
from versionsync.daemon.budget import Budget, Schedule
from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.state import SourceConfig, WorkerStatus
from versionsync.daemon.worker import SourceWorker
from versionsync.errors import ErrorKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.webhooks import WebhookUpdate
from versionsync.sync.report import (
    Counts,
    Outcome,
    RecordFailure,
    RunKind,
    RunReport,
    SourceSpec,
    SyncOptions,
)
from versionsync.webhooks.payload import BasicAuth, WebhookPayload, WebhookResult, parse_payload

Work = Callable[[], Awaitable[None]]


@dataclass
class Jobs:
    """A timetable that does nothing by itself. `waits`: in how many seconds each job is due, as was said last."""

    work: dict[str, Work] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, work: Work, *, every: float, first_in: float) -> None:
        """Keep it."""
        self.work[name], self.waits[name] = work, first_in

    def next_in(self, name: str, seconds: float) -> None:
        """Keep what was said."""
        self.waits[name] = seconds


class Shelf(Books):
    """Books in which another daemon may be found, and an act of somebody else at the beginning of a look."""

    def __init__(self) -> None:
        super().__init__()
        self.other: str | None = None
        self.whole: datetime | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def follow(self, webhook: WebhookUpdate) -> str | None:
        """Who else follows; and what happens meanwhile."""
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            await act()
        return self.other

    async def complete_as_of(self) -> datetime | None:
        """As it was set."""
        return self.whole


class Desk:
    """One follower, what it asks the engine for, and what comes of that: `failing` records are not mirrored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, budget: str | None = None) -> None:
        self.books, self.jobs, self.runs = Shelf(), Jobs(), list[SyncOptions]()
        self.failing: Sequence[str] = ()
        monkeypatch.setattr("versionsync.daemon.runner.sync_source", self._sync)
        monkeypatch.setattr("versionsync.daemon.worker.Bookkeeping", lambda _mirror, _name: self.books)
        source = SourceConfig(
            spec=SourceSpec(name="website", base_url="https://example.com"),
            max_staleness=600.0,
            scrub=0,
            budget=None if budget is None else Budget.parse(budget),
            webhook=BasicAuth("versionsync", Secret("unused")),
            polls_webhook_log=False,
            open_client=cast(Any, _client),
        )
        log = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
        self.follower = SourceWorker(
            cast(Mirror, None), source, cast(SourceScheduler, self.jobs), log=log, random=Random(1)
        )
        self.follower.begin()

    @property
    def state(self) -> Any:
        """How it stands."""
        return self.follower.state

    @property
    def wait(self) -> float:
        """Seconds until the next look."""
        return self.jobs.waits["website:look"]

    async def look(self) -> SyncOptions:
        """Let it look, and see what it asks for."""
        before = len(self.runs)
        await self.jobs.work["website:look"]()
        (options,) = self.runs[before:]
        return options

    async def call(self, record: str | None) -> None:
        """A webhook tells of a record, or of something else."""
        entity = b"" if record is None else b', "entity": {"id": "%s"}' % record.encode()
        call = parse_payload(b'{"entity_type": "item", "event_type": "update"%s}' % entity)
        assert isinstance(call, WebhookPayload)
        self.follower.state.webhook_results[await self.follower.on_webhook(call)] += 1

    async def _sync(self, _: object, __: object, spec: SourceSpec, options: SyncOptions, **___: Any) -> RunReport:
        self.runs.append(options)
        wanted = options.record_ids or self.failing
        failures = [RecordFailure(id, "no sense in it") for id in self.failing if id in wanted]
        return RunReport(
            source=spec.name,
            kind=RunKind.RECORDS if options.record_ids else RunKind.INCREMENTAL,
            outcome=Outcome.PARTIAL if failures else Outcome.SUCCEEDED,
            counts=Counts(requests=1),
            failures=failures,
        )


@asynccontextmanager
async def _client() -> Any:
    yield type("Client", (), {"usage": cma.Usage()})()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A source that hears webhooks and looks by itself every ten minutes."""
    return Desk(monkeypatch)


async def test_a_hint_is_looked_at_alone_and_once(desk: Desk) -> None:
    """The whole source is fresh enough."""
    await desk.look()
    await desk.call("one")
    assert desk.wait == 0
    assert (await desk.look()).record_ids == ("one",)
    assert desk.wait > 500
    assert await desk.books.hints() is None


async def test_a_hint_that_comes_while_a_look_begins_costs_no_further_look(desk: Desk) -> None:
    """That look sees it."""
    await desk.look()
    await desk.call("one")
    desk.books.meanwhile = lambda: desk.call("two")
    assert (await desk.look()).record_ids == ("one", "two")
    assert desk.wait > 500


async def test_a_hint_that_comes_during_a_look_is_looked_at_after_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have come too late for that one."""
    await desk.look()
    await desk.call("one")
    sync = desk._sync

    async def slow(*arguments: Any, **more: Any) -> RunReport:
        await desk.call("two")
        return await sync(*arguments, **more)

    monkeypatch.setattr("versionsync.daemon.runner.sync_source", slow)
    assert (await desk.look()).record_ids == ("one",)
    assert desk.wait == 0
    monkeypatch.setattr("versionsync.daemon.runner.sync_source", sync)
    assert (await desk.look()).record_ids == ("two",)


async def test_what_names_no_record_is_followed_by_a_whole_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another call at the same time names one."""
    await desk.look()
    await desk.call("one")
    hear = desk.books.hear

    async def noted(call: WebhookPayload) -> Any:
        return type(await hear(call)).ACCEPTED_NO_RECORD

    monkeypatch.setattr(desk.books, "hear", noted)
    desk.books.meanwhile = lambda: desk.call("elsewhere")
    assert (await desk.look()).record_ids == ()


async def test_what_could_not_be_mirrored_is_still_hinted_at(desk: Desk) -> None:
    """And asked for again, alone, a few seconds later at first."""
    await desk.look()
    for record in ("one", "two"):
        await desk.call(record)
    desk.failing = ("two",)
    waits = []
    assert (await desk.look()).record_ids == ("one", "two")
    for _ in range(4):
        waits.append(desk.wait)
        assert (await desk.look()).record_ids == ("two",)
    assert 1 <= waits[0] <= 3
    assert sorted(waits) == waits
    assert desk.state.hints_waiting == 1
    desk.failing = ()
    await desk.look()
    assert await desk.books.hints() is None
    assert desk.state.hints_waiting == 0
    assert desk.wait > 500


async def test_a_partial_look_is_tried_again_after_seconds(desk: Desk) -> None:
    """Then less and less often; nobody is called before it has happened twice."""
    desk.failing = ("one",)
    waits = []
    for _ in range(10):
        await desk.look()
        waits.append(desk.wait)
    assert desk.state.trouble is ErrorKind.PARTIAL
    assert waits[0] <= 3
    assert 150 <= waits[-1] <= 300


async def test_a_record_that_can_never_be_mirrored_delays_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What webhooks name is looked at alone and at once, until the whole is tried again."""
    desk.failing, now = ("broken",), 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for _ in range(10):
        await desk.look()
    tried_in = desk.wait
    assert tried_in >= 150
    now += 100
    await desk.call("one")
    assert desk.wait == 0
    assert (await desk.look()).record_ids == ("one",)
    assert await desk.books.hints() is None
    assert desk.state.trouble is ErrorKind.PARTIAL
    assert desk.wait == pytest.approx(tried_in - 100)
    now += desk.wait
    await desk.call("two")
    assert (await desk.look()).record_ids == ()


async def test_old_histories_are_read_again_beside_a_record_that_cannot_be_mirrored(desk: Desk) -> None:
    """As ever."""
    await desk.look()
    desk.failing = ("broken",)
    await desk.look()
    desk.follower.source = replace(desk.follower.source, scrub=24)
    await desk.jobs.work["website:scrub"]()
    assert desk.runs[-1].scrub == 1


async def test_staleness_is_counted_over_a_restart(desk: Desk) -> None:
    """From the last look that succeeded, whoever looked."""
    now = datetime.now(UTC)
    desk.books.whole, desk.failing = now - timedelta(hours=3), ("one",)
    await desk.look()
    assert desk.state.stance is WorkerStatus.FAILING
    assert desk.state.staleness(now) == pytest.approx(3 * 3600, abs=1)
    desk.failing = ()
    await desk.look()
    assert desk.state.staleness(datetime.now(UTC)) < 60


async def test_who_stands_by_tells_what_the_other_one_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """How fresh the source is, and what was spent of its budget."""
    desk = Desk(monkeypatch, budget="3000/day")
    desk.books.other = "process 7 on elsewhere"
    for spent in (100, 200):
        await desk.books.add_requests(datetime.now(UTC).date(), 100)
        desk.books.whole = datetime.now(UTC)
        await desk.jobs.work["website:look"]()
        assert desk.runs == []
        assert desk.state.stance is WorkerStatus.STANDBY
        assert desk.state.last_success_at == desk.books.whole
        assert desk.state.purse.spent == spent


async def test_looks_do_not_put_off_a_reading_of_the_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a webhook is received: the log tells which calls were not."""
    reader, now = desk.follower._log_reader, 1000.0
    source = replace(desk.follower.source, reads_webhook_log=True)
    await desk.look()
    desk.state.heard[WebhookResult.ACCEPTED] = 1
    monkeypatch.setattr(reader._feed, "_webhook_id", "1")
    monkeypatch.setattr("time.monotonic", lambda: now)
    pace = Schedule(check_seconds=600, after_change_seconds=0, sweep_days=1, scrubs_per_day=0)
    reader._read_at, waits = now, []
    for now in (1000.0, 1003.0, 1006.0, 1009.0, 1012.0):
        reader.plan(source, pace, changed_at=now)
        waits.append(desk.jobs.waits["website:log"])
    assert waits == [10.0, 7.0, 4.0, 1.0, 0.0]


async def test_a_fault_of_ours_beside_the_run_is_told_as_a_failure(desk: Desk) -> None:
    """Without this it would be starting for ever, and nobody but the log would know."""

    async def fail() -> None:
        raise ZeroDivisionError("a number of records")

    desk.books.meanwhile = fail
    with pytest.raises(ZeroDivisionError):
        await desk.look()
    assert (desk.state.stance, desk.state.trouble) == (WorkerStatus.FAILING, ErrorKind.UNEXPECTED)
    assert desk.state.error == "a number of records"
    assert 1 <= desk.wait <= 5
    await desk.look()
    assert desk.state.stance is WorkerStatus.ACTIVE
