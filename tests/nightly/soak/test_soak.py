"""Whatever happens to two daemons and their database, mirror and events end as the truth, and nothing leaks."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import pytest

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.daemon_process import Program, Sample
from tests.fixtures.disk import disk
from tests.fixtures.fake_upstreams import unused_port
from tests.nightly.soak.database import Database, database
from tests.nightly.soak.disturbances import Mischief
from tests.nightly.soak.plan import QUIET_SECONDS, SECONDS, SEED
from tests.nightly.soak.upstream import Upstream, upstream
from versionsync.mirror.database import Mirror
from versionsync.simulator import FULL_ACCESS_TOKEN

PASSWORD = "of a webhook, and long"
LOOK_SECONDS = 1.0
WARM_SECONDS = 45.0
"""A process that is younger has not done everything once."""
MOST_GROWTH = 1.15
MOST_FILES = 4
STOP_SECONDS = 2.0
MEGABYTES = 700
"""Of the disk that is filled once."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are watched through /proc")
@pytest.mark.skipif(not SECONDS, reason="takes as long as VERSIONSYNC_SOAK_SECONDS says, and some minutes more")
@pytest.mark.timeout(SECONDS + QUIET_SECONDS + 300)
def test_mirror_and_events_are_the_truth_whatever_happened(tmp_path: Path) -> None:
    """Two daemons, killed and suspended at random; PostgreSQL restarted, the disk filled, one request in 20 a fault."""
    print(f"VERSIONSYNC_TEST_SEED={SEED}")
    with (
        upstream(SEED) as project,
        disk(Path(gettempdir()) / f"versionsync-soak-{uuid4().hex[:8]}", megabytes=MEGABYTES) as small,
        database(small) as postgres,
    ):
        mortal, lasting = (_program(name, tmp_path, project, postgres) for name in ("mortal", "lasting"))
        project.call(_webhook(mortal), "versionsync", PASSWORD)
        mischief = Mischief(SEED, mortal, lasting, postgres, small)
        begun = time.monotonic()
        with _alive(mortal, lasting):
            try:
                time.sleep(WARM_SECONDS / 3)
                mischief.until(begun + SECONDS, full_at=begun + SECONDS / 2)
                project.rest()
                quiet = _until_mirrored(project, postgres)
            finally:
                _show(project, postgres, mischief, mortal, lasting)
            mischief.stops += [mortal.end(), lasting.end()]
        print(f"all mirrored {quiet:.0f} s after the last edit; SIGTERM took {max(mischief.stops):.2f} s at the most")
        assert max(mischief.stops) < STOP_SECONDS
        assert _untold(mortal) + _untold(lasting) == []
        _assert_flat(lasting)


def _program(name: str, folder: Path, project: Upstream, postgres: Database) -> Program:
    port = unused_port()
    own = folder / name
    own.mkdir()
    (own / "versionsync.toml").write_text(
        f"""
        [[sources]]
        name = "website"
        base_url = "{project.url}"
        max_staleness = 5
        scrub = 2400
        webhook_password_env = "PASSWORD"
        [http]
        port = {port}
        """
    )
    environment = {
        "VERSIONSYNC_DATABASE_URL": postgres.url,
        "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        "PASSWORD": PASSWORD,
    }
    return Program(name, own, environment, port=port)


def _webhook(program: Program) -> str:
    return f"http://127.0.0.1:{program.port}/webhooks/website"


@contextmanager
def _alive(*programs: Program) -> Iterator[None]:
    """Both run while the block does, and are looked at each second. One that ends by itself ends the test."""
    over = threading.Event()
    failed: list[BaseException] = []

    def watch() -> None:
        try:
            while not over.wait(LOOK_SECONDS):
                for program in programs:
                    program.look()
        except BaseException as error:  # told by the thread that waits
            failed.append(error)

    watching = threading.Thread(target=watch, daemon=True)
    for program in programs:
        program.start()
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        for program in programs:
            program.bury()
    assert not failed, failed


def _until_mirrored(project: Upstream, postgres: Database) -> float:
    """Seconds until there is no difference any more."""
    begun, truth = time.monotonic(), project.truth()
    with Mirror.open(postgres.url) as mirror:
        while found := differences(mirror, truth):
            assert time.monotonic() - begun < QUIET_SECONDS, f"{len(found)} differences, such as: {found[:5]}"
            time.sleep(2)
    return time.monotonic() - begun


def _untold(program: Program) -> list[str]:
    """Lines of the log that tell of a fault of our own."""
    lines = program.log.read_text().splitlines()
    faults = [line for line in lines if "Traceback" in line or "Exception" in line or not line.startswith("{")]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return faults + [str(line) for line in told if line.get("trouble") == "unexpected" or line["event"] == "job.failed"]


def _windows(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The second quarter of what was seen of a process that had done everything once, and the last one."""
    warm = [sample for sample in samples if sample.age > WARM_SECONDS]
    quarter = len(warm) // 4
    return warm[quarter : 2 * quarter], warm[-quarter:]


def _assert_flat(program: Program) -> None:
    early, late = _windows(program.samples)
    memory = [statistics.median(sample.memory for sample in window) for window in (early, late)]
    files = [max(sample.files for sample in window) for window in (early, late)]
    assert memory[1] < memory[0] * MOST_GROWTH, f"memory grew from {memory[0]:,} to {memory[1]:,} bytes"
    assert files[1] <= files[0] + MOST_FILES, f"open files rose from {files[0]} to {files[1]}"


def _show(project: Upstream, postgres: Database, mischief: Mischief, *programs: Program) -> None:
    tally = project.tally()
    rows: list[tuple[str, str]] = [
        ("acts of editors", f"{sum(tally.acts.values()):,}: {_counted(tally.acts)}"),
        ("requests", f"{tally.requests:,}, of which {sum(tally.faults.values()):,} went wrong"),
        ("kinds of faults", _counted(tally.faults)),
        ("mischief", _counted(mischief.done)),
        ("runs", _counted(postgres.outcomes())),
        ("mirrored", ", ".join(f"{postgres.count(table):,} {table}" for table in ("records", "versions", "events"))),
    ]
    for why, seconds in mischief.takeovers.items():
        if seconds:
            middle, most = statistics.median(seconds), max(seconds)
            rows.append(
                (f"takeover, {why}", f"{middle:.1f} s in the middle, {most:.1f} s at the most ({len(seconds)})")
            )
    for program in programs:
        for what, window in zip(("early", "late"), _windows(program.samples), strict=True):
            if window:
                memory = statistics.median(sample.memory for sample in window) / 1e6
                files = [sample.files for sample in window]
                threads = max(sample.threads for sample in window)
                rows.append(
                    (
                        f"{program.name}, {what}",
                        f"{memory:.1f} MB, {min(files)} to {max(files)} files, {threads} threads at the most",
                    )
                )
    width = max(len(name) for name, _ in rows)
    print("\n" + "\n".join(f"{name:<{width}}  {value}" for name, value in rows))


def _counted(counted: dict[str, int]) -> str:
    return ", ".join(f"{times:,} {name}" for name, times in sorted(counted.items(), key=lambda one: -one[1]))
