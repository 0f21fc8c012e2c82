"""Numbers in the prose of the documentation are those of `docs/performance.md`, which the benchmarks write."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.fixtures.pages import ROOT

DOCS = ROOT / "docs"


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
    Said("daemon.md", "half of the edits are seen within N seconds", (("3000/day, log of calls", 5),)),
    Said(
        "daemon.md",
        "N give N seconds instead of N, and N less than one",
        (("10000/day", 0), ("10000/day, log of calls", 5), ("10000/day, looks alone", 5), ("30000/day", 0)),
        within=0.12,
    ),
    Said("daemon.md", "every two minutes for eight hours takes about N requests", (("no budget, log of calls", 1),)),
    Said(
        "daemon.md",
        "takes about N requests a day; N a month",
        (("60", 2),),
    ),
    Said(
        "operations.md",
        "every two minutes come to about N in all, N where webhooks tell of edits, and N where",
        (("no budget, looks alone", 1), ("no budget, receiver", 1), ("no budget, log of calls", 1)),
    ),
    Said("guarantees.md", "The pace uses N %", (("alone", 2),)),
    Said(
        "operations.md",
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
    """`docs/operations.md`, where it sizes a machine."""
    (most,) = _numbers_said(Said("operations.md", "*Memory*: up to N MB", ()))
    peaks = [float(cell.split()[0]) for row in _rows() if row[1:2] and row[1].endswith(" MB") for cell in row[1:3]]
    assert len(peaks) >= 20
    assert most * 0.9 < max(peaks) <= most


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
