"""What a worker asks the engine for, and when: queued records are checked once each, until they are mirrored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast

import pytest
import structlog

from benchmarks.daemon.memory_store import MemoryStore
from versionsync import cma
from versionsync.budget import Budget
from versionsync.config import Secret
from versionsync.daemon.budget_schedule import Schedule
from versionsync.daemon.run_queue import RunQueue
from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.source_worker import SourceWorker
from versionsync.daemon.worker_state import SourceConfig, WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.runs import Counts
from versionsync.mirror.tables.webhooks import QueuedRecords
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Outcome, RecordFailure, RunKind, RunReport
from versionsync.webhooks.payload import BasicAuth, WebhookPayload, WebhookResult, parse_payload

Work = Callable[[], Awaitable[None]]


@dataclass
class Jobs:
    """A scheduler that does nothing by itself. `waits` has the seconds until each job, as last set."""

    work: dict[str, Work] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    ended_by_themselves: set[str] = field(default_factory=set)

    def add(self, name: str, work: Work, *, every: float, first_in: float) -> None:
        """Store it."""
        self.work[name], self.waits[name] = work, first_in

    def next_in(self, name: str, seconds: float) -> None:
        """Store it."""
        self.waits[name] = seconds

    async def remove(self, name: str, *, let_it_end: bool = False) -> None:
        """Forget it."""
        self.work.pop(name, None)
        if let_it_end:
            self.ended_by_themselves.add(name)


class SharedStore(MemoryStore):
    """A store in which another daemon may have checked the source, and something may happen during a check."""

    def __init__(self) -> None:
        super().__init__()
        self.complete: datetime | None = None
        self.needs_check = False
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def queued_records(self) -> QueuedRecords | None:
        """Return the records, after what happens meanwhile."""
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            await act()
        queued = await super().queued_records()
        return None if queued is None else replace(queued, needs_check=self.needs_check)

    async def complete_as_of(self) -> datetime | None:
        """Return what the test has set."""
        return self.complete


class WorkerTest:
    """One worker, and what it asks the engine for. Records in `failing` are not mirrored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, budget: str | None = None) -> None:
        self.store, self.jobs, self.runs = SharedStore(), Jobs(), list[SyncOptions]()
        self.failing: Sequence[str] = ()
        self.upstream_changed_at: datetime | None = None
        monkeypatch.setattr("versionsync.daemon.runner.sync_source", self._sync)
        monkeypatch.setattr("versionsync.daemon.source_worker.WorkerDatabase", lambda _mirror, _name: self.store)
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
        self.worker = SourceWorker(
            cast(Mirror, None), source, cast(SourceScheduler, self.jobs), queue=RunQueue(1), log=log, random=Random(1)
        )
        self.worker.begin(1, complete_as_of=None)

    @property
    def state(self) -> Any:
        """The state of the source."""
        return self.worker.state

    @property
    def wait(self) -> float:
        """The seconds until the next check."""
        return self.jobs.waits["website:check"]

    async def check(self) -> SyncOptions:
        """Run a check, and return what it asks the engine for."""
        before = len(self.runs)
        await self.jobs.work["website:check"]()
        (options,) = self.runs[before:]
        return options

    async def call(self, record: str) -> None:
        """Receive a call about a record."""
        self.worker.state.webhook_results[await self.worker.on_webhook(call_about(record))] += 1

    async def _sync(self, _: object, __: object, spec: SourceSpec, options: SyncOptions, **___: Any) -> RunReport:
        self.runs.append(options)
        wanted = options.record_ids or self.failing
        failures = [RecordFailure(id, "unreadable") for id in self.failing if id in wanted]
        return RunReport(
            source=spec.name,
            kind=RunKind.RECORDS if options.record_ids else RunKind.INCREMENTAL,
            outcome=Outcome.PARTIAL if failures else Outcome.SUCCEEDED,
            counts=Counts(requests=1),
            failures=failures,
            upstream_changed_at=self.upstream_changed_at,
        )


def call_about(record: str) -> WebhookPayload:
    """Return a call about a record."""
    call = parse_payload(b'{"entity_type": "item", "event_type": "update", "entity": {"id": "%s"}}' % record.encode())
    assert isinstance(call, WebhookPayload)
    return call


@asynccontextmanager
async def _client() -> Any:
    yield type("Client", (), {"usage": cma.Usage()})()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> WorkerTest:
    """Return a source with a webhook receiver that is checked every ten minutes."""
    return WorkerTest(monkeypatch)


async def test_a_queued_record_is_checked_alone_and_once(worker: WorkerTest) -> None:
    """The source itself is fresh enough."""
    await worker.check()
    await worker.call("one")
    assert worker.wait == 0
    assert (await worker.check()).record_ids == ("one",)
    assert worker.wait > 500
    assert await worker.store.queued_records() is None


async def test_a_call_at_the_start_of_a_check_costs_no_further_check(worker: WorkerTest) -> None:
    """That check includes its record."""
    await worker.check()
    await worker.call("one")
    worker.store.meanwhile = lambda: worker.call("two")
    assert (await worker.check()).record_ids == ("one", "two")
    assert worker.wait > 500


async def test_a_call_during_a_check_is_checked_after_it(worker: WorkerTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be too late for that one."""
    await worker.check()
    await worker.call("one")
    sync = worker._sync

    async def slow(*arguments: Any, **more: Any) -> RunReport:
        await worker.call("two")
        return await sync(*arguments, **more)

    monkeypatch.setattr("versionsync.daemon.runner.sync_source", slow)
    assert (await worker.check()).record_ids == ("one",)
    assert worker.wait == 0
    monkeypatch.setattr("versionsync.daemon.runner.sync_source", sync)
    assert (await worker.check()).record_ids == ("two",)


async def test_a_call_without_a_record_leads_to_a_complete_check(
    worker: WorkerTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if another call at the same time names one."""
    await worker.check()
    await worker.call("one")
    save = worker.store.save_webhook_call

    async def without_record(call: WebhookPayload, *, is_held: bool) -> Any:
        return type(await save(call, is_held=is_held)).ACCEPTED_NO_RECORD

    monkeypatch.setattr(worker.store, "save_webhook_call", without_record)
    worker.store.meanwhile = lambda: worker.call("elsewhere")
    assert (await worker.check()).record_ids == ()


async def test_a_call_without_a_record_during_a_check_is_checked_after_it(
    worker: WorkerTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completely, even if another call names a record meanwhile."""
    sync, save = worker._sync, worker.store.save_webhook_call

    async def without_record(call: WebhookPayload, *, is_held: bool) -> WebhookResult:
        return WebhookResult.ACCEPTED_NO_RECORD

    async def slow(*arguments: Any, **more: Any) -> RunReport:
        monkeypatch.setattr(worker.store, "save_webhook_call", without_record)
        await worker.call("elsewhere")
        monkeypatch.setattr(worker.store, "save_webhook_call", save)
        await worker.call("one")
        return await sync(*arguments, **more)

    monkeypatch.setattr("versionsync.daemon.runner.sync_source", slow)
    await worker.check()
    monkeypatch.setattr("versionsync.daemon.runner.sync_source", sync)
    assert worker.wait == 0
    assert (await worker.check()).record_ids == ()
    await worker.call("two")
    assert (await worker.check()).record_ids == ("two",)


async def test_a_record_that_could_not_be_mirrored_stays_queued(worker: WorkerTest) -> None:
    """And is tried again, alone, a few seconds later at first."""
    await worker.check()
    for record in ("one", "two"):
        await worker.call(record)
    worker.failing = ("two",)
    waits = []
    assert (await worker.check()).record_ids == ("one", "two")
    for _ in range(4):
        waits.append(worker.wait)
        assert (await worker.check()).record_ids == ("two",)
    assert 1 <= waits[0] <= 3
    assert sorted(waits) == waits
    assert worker.state.queued_records == 1
    worker.failing = ()
    await worker.check()
    assert await worker.store.queued_records() is None
    assert worker.state.queued_records == 0
    assert worker.wait > 500


async def test_a_partial_check_is_retried_after_seconds(worker: WorkerTest) -> None:
    """Then less and less often."""
    worker.failing = ("one",)
    waits = []
    for _ in range(10):
        await worker.check()
        waits.append(worker.wait)
    assert worker.state.error_kind is ErrorKind.PARTIAL
    assert waits[0] <= 3
    assert 150 <= waits[-1] <= 300


async def test_a_record_that_can_never_be_mirrored_delays_no_other(
    worker: WorkerTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that webhooks name are checked alone and at once, until the next complete check."""
    worker.failing, now = ("broken",), 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for _ in range(10):
        await worker.check()
    retry_in = worker.wait
    assert retry_in >= 150
    now += 100
    await worker.call("one")
    assert worker.wait == 0
    assert (await worker.check()).record_ids == ("one",)
    assert await worker.store.queued_records() is None
    assert worker.state.error_kind is ErrorKind.PARTIAL
    assert worker.wait == pytest.approx(retry_in - 100)
    now += worker.wait
    await worker.call("two")
    assert (await worker.check()).record_ids == ()


async def test_scrubs_go_on_beside_a_record_that_cannot_be_mirrored(worker: WorkerTest) -> None:
    await worker.check()
    worker.failing = ("broken",)
    await worker.check()
    worker.worker.source = replace(worker.worker.source, scrub=24)
    await worker.jobs.work["website:scrub"]()
    assert worker.runs[-1].scrub == 1


async def test_staleness_is_counted_over_a_restart(worker: WorkerTest) -> None:
    """From the last successful check of any process."""
    now = datetime.now(UTC)
    worker.store.complete, worker.failing = now - timedelta(hours=3), ("one",)
    await worker.check()
    assert worker.state.status is WorkerStatus.FAILING
    assert worker.state.staleness(now) == pytest.approx(3 * 3600, abs=1)
    worker.failing = ()
    await worker.check()
    assert worker.state.staleness(datetime.now(UTC)) < 60


async def test_a_standby_shows_what_the_active_daemon_has_done(worker: WorkerTest) -> None:
    """How fresh the source is; it has no job."""
    await worker.worker.hand_over()
    assert worker.jobs.work == {}
    complete = datetime.now(UTC)
    worker.worker.stand_by("process 7 on elsewhere", complete_as_of=complete)
    assert (worker.state.status, worker.state.other_holder) == (WorkerStatus.STANDBY, "process 7 on elsewhere")
    assert worker.state.last_success_at == complete
    assert worker.runs == []


async def test_a_source_that_comes_back_is_checked_completely(worker: WorkerTest) -> None:
    """Another daemon had it meanwhile, and heard its webhook. Until then it is as healthy as its last check is new."""
    await worker.check()
    await worker.worker.hand_over()
    await worker.call("one")
    complete = datetime.now(UTC)
    worker.worker.begin(2, complete_as_of=complete)
    assert (worker.state.status, worker.state.last_success_at) == (WorkerStatus.ACTIVE, complete)
    assert worker.wait == 0
    assert (await worker.check()).record_ids == ()


async def test_a_run_that_is_in_progress_ends_before_the_source_is_handed_over(
    worker: WorkerTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else begins meanwhile."""
    await worker.check()
    sync = worker._sync

    async def sync_and_hand_over(*arguments: Any, **more: Any) -> RunReport:
        await worker.worker.hand_over()
        return await sync(*arguments, **more)

    monkeypatch.setattr("versionsync.daemon.runner.sync_source", sync_and_hand_over)
    await worker.check()
    assert worker.jobs.ended_by_themselves == {"website:check"}
    assert worker.state.runs["succeeded"] == 2


async def test_a_call_that_another_daemon_received_is_checked_once(worker: WorkerTest) -> None:
    """The message comes at once, and the next heartbeat says the same again."""
    await worker.check()
    await worker.store.save_webhook_call(call_about("one"), is_held=False)
    worker.worker.heard(None)
    assert worker.wait == 0
    assert (await worker.check()).record_ids == ("one",)
    worker.worker.heard(1)
    assert worker.wait > 500


async def test_a_call_of_another_daemon_that_names_no_record_leads_to_a_complete_check(worker: WorkerTest) -> None:
    await worker.check()
    await worker.store.save_webhook_call(call_about("one"), is_held=False)
    worker.store.needs_check = True
    worker.worker.heard(2)
    assert (await worker.check()).record_ids == ()


async def test_checks_do_not_put_off_a_poll_of_the_log(worker: WorkerTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often calls are received: the log shows which ones were not."""
    reader, now = worker.worker._log_reader, 1000.0
    source = replace(worker.worker.source, polls_webhook_log=True)
    await worker.check()
    worker.state.webhook_results[WebhookResult.ACCEPTED] = 1
    monkeypatch.setattr(reader, "_webhook_id", "1")
    monkeypatch.setattr("time.monotonic", lambda: now)
    schedule = Schedule(check_seconds=600, after_change_seconds=0, sweep_days=1, scrubs_per_day=0)
    reader._polled_at, waits = now, []
    for now in (1000.0, 1003.0, 1006.0, 1009.0, 1012.0):
        reader.plan(source, schedule, changed_at=now)
        waits.append(worker.jobs.waits["website:log"])
    assert waits == [10.0, 7.0, 4.0, 1.0, 0.0]


async def test_a_bug_outside_the_run_is_shown_as_a_failure(worker: WorkerTest) -> None:
    """Otherwise the source would be starting for ever, and only the log would show why."""

    async def fail() -> None:
        raise ZeroDivisionError("a number of records")

    worker.store.meanwhile = fail
    with pytest.raises(ZeroDivisionError):
        await worker.check()
    assert (worker.state.status, worker.state.error_kind) == (WorkerStatus.FAILING, ErrorKind.UNEXPECTED)
    assert worker.state.error == "a number of records"
    assert 1 <= worker.wait <= 5
    await worker.check()
    assert worker.state.status is WorkerStatus.ACTIVE


@pytest.mark.parametrize(("quiet", "wait"), [(timedelta(days=3), 600), (timedelta(minutes=30), 180), (None, 10)])
async def test_a_daemon_that_takes_over_knows_how_quiet_a_source_is(
    worker: WorkerTest, quiet: timedelta | None, wait: float
) -> None:
    """From DatoCMS's last change: otherwise it would check every quiet source often at first."""
    worker.worker.begin(2, complete_as_of=datetime.now(UTC))
    worker.upstream_changed_at = None if quiet is None else datetime.now(UTC) - quiet
    await worker.check()
    assert worker.wait == pytest.approx(wait, abs=1)
    worker.upstream_changed_at = datetime.now(UTC)
    await worker.check()
    assert worker.wait == 10


async def test_a_new_source_is_checked_often_at_first(worker: WorkerTest) -> None:
    worker.upstream_changed_at = datetime.now(UTC) - timedelta(days=3)
    await worker.check()
    assert worker.wait == 10
