"""Numbers in the prose of the documentation are those of `docs/performance.md`, which the benchmarks write."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.pages import ROOT
from tests.integration.cli.processes import ran
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World
from versionsync.simulator.scenarios.bulk import build_bulk

DOCS = ROOT / "docs"
RECORDS = 2_000
SETTLED_SECONDS = 3.0


@dataclass(frozen=True)
class Said:
    """What a page says in words, with `N` for each number, and the cells of the measurements that it stands for.

    `within`: by what share it may differ, for what was rounded.
    """

    page: str
    words: str
    cells: tuple[tuple[str, int], ...]
    within: float = 0.02


SAID = [
    Said("webhooks.md", "half of the edits are seen within N seconds", (("3000/day, webhook log", 5),)),
    Said(
        "webhooks.md",
        "N give N seconds instead of N, and N less than one",
        (("10000/day", 0), ("10000/day, webhook log", 5), ("10000/day, checks alone", 5), ("30000/day", 0)),
        within=0.12,
    ),
    Said("webhooks.md", "every two minutes for eight hours takes about N requests", (("no budget, webhook log", 1),)),
    Said(
        "budgets.md",
        "takes about N requests a day; N a month",
        (("60", 2),),
    ),
    Said(
        "budgets.md",
        "every two minutes come to about N in all, N with a webhook receiver, and N if",
        (("no budget, checks alone", 1), ("no budget, receiver", 1), ("no budget, webhook log", 1)),
    ),
    Said(
        "simulator.md",
        "1,000 projects take N MB of memory, N KB each, and are up after N s of CPU time",
        (("1,000", 2), ("1,000", 3), ("1,000", 1)),
    ),
    Said(
        "many-sources.md",
        "with ten records each were complete after N seconds",
        (("1,000 of 1,000", 1),),
    ),
    Said(
        "guarantees.md",
        "versionsync uses N to N % of the limit",
        (("fixed windows, time before the count", 2), ("fixed windows, time after the count", 2)),
    ),
    Said(
        "guarantees.md",
        "it would use N to N %, still without a 429",
        (("sliding windows, time before the count", 2), ("sliding windows, time after the count", 2)),
    ),
    Said(
        "sizing.md",
        "N KB a version on SQLite and N KB on PostgreSQL",
        (("SQLite, 1,000,000 versions", 3), ("PostgreSQL, 1,000,000 versions", 3)),
    ),
]


@pytest.mark.parametrize("said", SAID, ids=[said.words[:40] for said in SAID])
def test_what_is_said_was_measured(said: Said) -> None:
    """As many numbers as cells; a page that says it in other words has to say so here."""
    numbers = _numbers_said(said)
    for number, cell in zip(numbers, said.cells, strict=False):
        measured = _measured(*cell)
        assert number == pytest.approx(measured, rel=said.within), cell


def test_no_peak_of_memory_is_higher_than_what_is_said() -> None:
    """As `docs/sizing.md` has it."""
    (most,) = _numbers_said(Said("sizing.md", "| Memory | Up to N MB", ()))
    peaks = [float(cell.split()[0]) for row in _rows() if row[1:2] and row[1].endswith(" MB") for cell in row[1:3]]
    assert len(peaks) >= 20
    assert most * 0.9 < max(peaks) <= most


@pytest.mark.nightly
def test_as_many_bytes_come_as_is_said(tmp_path: Path) -> None:
    """As `docs/sizing.md` has it."""
    idle, a_record, a_version, ten_edits, a_list = _numbers_said(
        Said(
            "sizing.md",
            "| an idle check | N KB | | the first sync, for each record | N KB | "
            "| the first sync, for each version | N KB | "
            "| a check that finds ten edits of records with ten versions | N KB | "
            "| a list of all records, for 500 | N KB |",
            (),
        )
    )
    world = World(seed=1)
    build_bulk(world, records=RECORDS, versions=10)
    with SimulatorThread(world) as simulator:
        first = _kilobytes(tmp_path, simulator)
        assert first == pytest.approx(RECORDS * (a_record + 10 * a_version), rel=0.15)
        time.sleep(SETTLED_SECONDS)
        assert _kilobytes(tmp_path, simulator) == pytest.approx(idle, rel=0.15)
        for record in list(world.primary.records)[:10]:
            simulator.act(lambda world, record=record: world.update(world.user, record, {"title": "new"}))  # type: ignore[misc]
        time.sleep(SETTLED_SECONDS)
        assert _kilobytes(tmp_path, simulator) == pytest.approx(ten_edits, rel=0.25)
        sweep = _kilobytes(tmp_path, simulator, is_due=True)
        assert sweep * 500 / RECORDS == pytest.approx(a_list, rel=0.25)


def _kilobytes(folder: Path, simulator: SimulatorThread, *, is_due: bool = False) -> float:
    """What one sync received. `is_due`: the list of all records that is read once a day is."""
    if is_due:
        with sqlite3.connect(folder / "versionsync.db") as database:
            database.execute("UPDATE sources SET last_complete_sweep_at = ?", ("2026-01-01T00:00:00.000000Z",))
    environ = {
        "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        "VERSIONSYNC_BASE_URL": simulator.url,
        "VERSIONSYNC_RATE_LIMIT": "none",
    }
    counts = json.loads(ran("sync", "--json", cwd=folder, **environ).stdout)["sources"][0]["counts"]
    return float(counts["bytes_received"]) / 1000


def _numbers_said(said: Said) -> list[float]:
    text = re.sub(r"\]\([^)]*\)|\[", "", " ".join((DOCS / said.page).read_text().split()))
    pattern = re.sub(r"\bN\b", lambda _: r"([\d.,]*\d)", re.escape(said.words))
    found = re.search(pattern, text)
    assert found, f"{said.page} does not say: {said.words}"
    return [float(number.replace(",", "")) for number in found.groups()]


def _measured(row: str, column: int) -> float:
    if column == 0:  # the number in the name of the row
        return float(re.findall(r"\d+", row)[0])
    (cells,) = [cells for cells in _rows() if cells[0] == row]
    number = float(cells[column].replace(",", "").split()[0])
    return number / 1000 if row.endswith(" versions") else number  # bytes, which are told in KB


def _rows() -> list[list[str]]:
    page = (DOCS / "performance.md").read_text()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
