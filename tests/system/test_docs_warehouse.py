"""The program of docs/events.md that fills a warehouse: killed again and again, it loses no event and doubles none.

More of the same by one command: VERSIONSYNC_TEST_CONSUMER_KILLS=500 pytest -s tests/system/test_docs_warehouse.py
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.fixtures.forked_program import environment
from tests.fixtures.pages import ROOT, blocks
from tests.fixtures.sync_env import START, SyncEnv
from versionsync.erasure.carry_out import erase, plan_erasure
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import events, sources
from versionsync.simulator import Clock, SimulatorOptions, SimulatorThread, World
from versionsync.sync.options import SourceSpec
from versionsync.sync.report import Outcome

KILLS = int(os.environ.get("VERSIONSYNC_TEST_CONSUMER_KILLS", "5"))
SEED = int(os.environ.get("VERSIONSYNC_TEST_SEED", "1"))
RECORDS = 40
EDITS = 10
PATIENCE_SECONDS = 120 + 2 * KILLS  # the more kills, the more is written meanwhile
FASTER = {"EVENTS_AT_ONCE = 500": "EVENTS_AT_ONCE = 7", "PAUSE_SECONDS = 1.0": "PAUSE_SECONDS = 0.05"}
"""More transactions, so that more kills come within one."""

Row = tuple[Any, ...]


class Editing:
    """A project whose editors do not stop, and a run after a run that mirrors it."""

    def __init__(self, name: str, simulator: SimulatorThread, mirror: Mirror) -> None:
        self.env = SyncEnv(simulator, mirror)
        self.env.spec = SourceSpec(name=name, base_url=simulator.url)
        self.runs = 0
        self._chance = random.Random(f"{SEED} {name}")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name=name)
        self._problem: BaseException | None = None
        self.env.act(_project)

    def start(self) -> None:
        """Begin to edit and to sync."""
        self._thread.start()

    def stop(self) -> None:
        """Wait until the last run has ended. All of them must have succeeded."""
        self._stopping.set()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def sync(self) -> None:
        """One run."""
        report = self.env.sync()
        assert report.outcome is Outcome.SUCCEEDED, report.error
        self.runs += 1

    def _write(self) -> None:
        try:
            while not self._stopping.is_set():
                self.env.act(self._edit)
                self.sync()
        except BaseException as problem:
            self._problem = problem

    def _edit(self, world: World) -> None:
        for id in self._chance.sample(sorted(world.environment(None).records), EDITS):
            world.update(world.user, id, {"title": str(self._chance.random())})
            if self._chance.random() < 0.3:
                world.publish(world.user, id)
        world.create(world.user, "post", {"title": "new"})


def _project(world: World) -> None:
    model = world.create_model(world.account, "post")
    world.create_field(world.account, model, "title")
    for number in range(RECORDS):
        world.create(world.user, "post", {"title": f"{number}"})


@contextmanager
def editing(name: str, database_url: str) -> Iterator[Editing]:
    """A project of its own that is mirrored under this name."""
    options = SimulatorOptions(history_resolution=timedelta(minutes=10))
    world = World(seed=SEED, clock=Clock.stopped(START), options=options)
    with SimulatorThread(world, limits=None) as simulator, Mirror.open(database_url) as mirror:
        yield Editing(name, simulator, mirror)


class Consumer:
    """The program of the page, again and again."""

    def __init__(self, database_url: str, folder: Path) -> None:
        (block,) = (each for each in blocks(ROOT / "docs" / "events.md", "python") if each.info[1:] == ("warehouse",))
        text = block.text
        for shown, real in FASTER.items():
            assert shown in text
            text = text.replace(shown, real)
        self._shown, self._faster = folder / "shown.py", folder / "faster.py"
        self._shown.write_text(block.text)
        self._faster.write_text(text)
        self.file = folder / "warehouse.db"
        self._database_url, self._folder = database_url, folder

    @contextmanager
    def running(self, program: Path) -> Iterator[subprocess.Popen[str]]:
        """One life, which ends with SIGKILL."""
        argv = [sys.executable, str(program), self._database_url, str(self.file)]
        with (self._folder / "consumer.log").open("w") as log:
            process = subprocess.Popen(
                argv, cwd=self._folder, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True
            )
            with process:
                try:
                    yield process
                finally:
                    process.kill()
        assert process.returncode == -9, (self._folder / "consumer.log").read_text()

    def live_for(self, batches: int, seconds: float) -> None:
        """Kill it so many seconds after that many batches."""
        with self.running(self._faster) as process:
            assert process.stdout is not None
            for _ in range(batches):
                assert process.stdout.readline().endswith(" events\n"), (self._folder / "consumer.log").read_text()
            time.sleep(seconds)

    def catch_up(self, last: dict[str, int]) -> None:
        """Let the program as it is shown live until it has everything."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self.running(self._shown) as process:
            while self.positions() != last:
                assert process.poll() is None
                assert time.monotonic() < deadline, (self.positions(), last)
                time.sleep(0.05)

    def ask(self, query: str) -> list[Row]:
        """Rows of the warehouse."""
        with closing(sqlite3.connect(self.file, timeout=60)) as connection:
            return connection.execute(query).fetchall()

    def positions(self) -> dict[str, int]:
        """The position in each source; a life that was very short has made no table."""
        if not self.ask("SELECT 1 FROM sqlite_master WHERE name = 'positions'"):
            return {}
        return dict(self.ask("SELECT source, last_id FROM positions"))


def mirrored(mirror: Mirror) -> list[Row]:
    """The events of the mirror, as the warehouse has them."""
    query = select(sources.c.name, events).join_from(events, sources, sources.c.id == events.c.source_id)
    with mirror.read() as connection:
        return sorted(
            (
                row.name,
                row.key,
                row.id,
                row.type,
                row.record_id or "",
                row.version_id or "",
                row.occurred_at.isoformat(),
                row.data,
            )
            for row in connection.execute(query)
        )


def last_ids(mirror: Mirror) -> dict[str, int]:
    """The last event of each source."""
    query = select(sources.c.name, func.max(events.c.id)).join_from(events, sources, sources.c.id == events.c.source_id)
    with mirror.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query.group_by(sources.c.name))}


@pytest.mark.both_databases
@pytest.mark.timeout(300 + 20 * KILLS)
def test_a_consumer_that_is_killed_again_and_again_has_each_event_once(database_url: str, tmp_path: Path) -> None:
    """SIGKILL at random instants, while two sources are written at the same time."""
    print(f"VERSIONSYNC_TEST_SEED={SEED}")
    chance, unfinished = random.Random(SEED), 0
    consumer = Consumer(database_url, tmp_path)
    with editing("website", database_url) as website, editing("shop", database_url) as shop:
        for each in (website, shop):
            each.sync()
        for each in (website, shop):
            each.start()
        try:
            for _ in range(KILLS):
                consumer.live_for(chance.randint(0, 4), chance.choice([0.0, 0.002, 0.01, 0.05]))
                unfinished += consumer.positions() != last_ids(website.env.mirror)
        finally:
            for each in (website, shop):
                each.stop()
        mirror = website.env.mirror
        # Of such an event the erasure removes the hashes, so the row in the warehouse has to follow.
        victim = next(row[4] for row in mirrored(mirror) if row[0] == "website" and row[3] == "version.rewritten")
        target = plan_erasure(mirror, ("website",), victim).target
        erase(mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)
        consumer.catch_up(last_ids(mirror))
        wanted = mirrored(mirror)
    assert unfinished > KILLS / 2, "the kills came when there was nothing left to do"
    assert min(website.runs, shop.runs) > 2, "nothing was written meanwhile"
    copied = consumer.ask(
        "SELECT source, key, id, type, ifnull(record_id, ''), ifnull(version_id, ''), occurred_at, data FROM events"
    )
    assert sorted(copied) == wanted
    assert len({row[2] for row in copied}) == len(copied)
    print(f"{KILLS} kills, {website.runs + shop.runs} runs, {len(copied)} events")
