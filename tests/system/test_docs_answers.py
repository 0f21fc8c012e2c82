"""Every query that the documentation shows runs, and answers what is shown. So do its numbers.

    VERSIONSYNC_TEST_WRITE=1 pytest tests/system/test_docs_answers.py

writes the answers into the pages instead of comparing them.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from math import ceil

import pytest

from tests.fixtures.news_site import NOON, MakeNewsSite, news_site
from tests.fixtures.pages import ANSWER, MEASURED, PAGES, ROOT, Block, answer_table, blocks, put_under, shown_under
from tests.fixtures.sync_env import START, MakeSyncEnv
from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.bulk import build_bulk

__all__ = ["news_site"]

WRITE = bool(os.environ.get("VERSIONSYNC_TEST_WRITE"))
BUDGETS = ROOT / "docs" / "budgets.md"
QUERIES = [block for page in PAGES for block in blocks(page, "sql")]
ASKED = [
    pytest.param(number, dialect, id=f"{block}-{dialect}", marks=[pytest.mark.postgres] * (dialect == "postgresql"))
    for dialect in ("sqlite", "postgresql")
    for number, block in enumerate(QUERIES)
    if dialect in (block.info[1:] or [dialect])
]
NOW = NOON + timedelta(hours=1, minutes=5)
"""The site's time when it was mirrored for the last time."""
RECORDS = 1200
VERSIONS = 3


@pytest.mark.parametrize(("number", "dialect"), ASKED)
def test_every_query_runs_and_answers_what_is_shown(number: int, dialect: str, news_site: MakeNewsSite) -> None:
    """On both databases, but for those that name one."""
    block = QUERIES[number]
    names, rows = news_site(dialect).ask(_at(NOW, block.text))
    table = answer_table(names, rows)
    if WRITE:
        block = _as_it_is_now(number)
        if shown_under(block.page, ANSWER, after=block.end) is not None and dialect == "sqlite":
            put_under(block.page, ANSWER, table, after=block.end)
    shown = shown_under(block.page, ANSWER, after=_as_it_is_now(number).end)
    assert shown in (None, table)
    assert rows or not _must_answer(block), "an example without an answer shows nothing"


def test_a_sync_costs_as_many_requests_as_is_documented(make_sync_env: MakeSyncEnv) -> None:
    """Invariant 12: the formula, and the numbers under it."""
    world = World(seed=1, clock=Clock.stopped(START))
    build_bulk(world, records=RECORDS, versions=VERSIONS)
    sync_env = make_sync_env(world)
    long = min(world.environment(None).records)
    for number in range(118 - VERSIONS):
        sync_env.act(lambda world, number=number: world.update(world.user, long, {"title": str(number)}))
    records, pages = len(world.environment(None).records), ceil((RECORDS - 1) / 499)
    kinds = len({version.editor.kind for version in world.environment(None).versions.values()} - {"organization"})
    assert records == RECORDS

    measured = [("first sync", sync_env.requests(sync_env.sync))]
    assert measured[-1][1] == 4 + pages + (records - 1) + ceil(118 / 50) + kinds

    measured.append(("nothing new", sync_env.requests(lambda: sync_env.sync(settled=False))))
    assert measured[-1][1] == 1

    some = sorted(world.environment(None).records)[10:20]
    models = len({world.environment(None).records[record].model for record in some[7:]})
    for record in some[:7]:
        sync_env.act(lambda world, record=record: world.update(world.user, record, {"title": "new"}))
    for record in some[7:]:
        sync_env.act(lambda world, record=record: world.delete(world.user, record))
    sync_env.wait(60)
    measured.append(("7 records changed, 3 deleted", sync_env.requests(sync_env.sync)))
    again = pages  # the last change was a deletion: the list has nothing as young, and is read once more
    assert measured[-1][1] == 2 + pages + 7 + 2 + models + 2 * 3 + again

    what = f"{RECORDS:,} records, {RECORDS * VERSIONS + 118 - VERSIONS:,} versions, one record with 118 of them"
    table = answer_table([what, "requests"], [(name, f"{requests:,}") for name, requests in measured])
    if WRITE:
        put_under(BUDGETS, MEASURED, table)
    assert shown_under(BUDGETS, MEASURED) == table


def _at(now: datetime, sql: str) -> str:
    """Return the query with its relative times counted from `now`, not from the day on which the tests run."""
    return sql.replace("'now'", f"'{now:%Y-%m-%d %H:%M:%S}'").replace("now()", f"timestamptz '{now.isoformat()}'")


def _as_it_is_now(number: int) -> Block:
    """Where the block is, after others have been written above it."""
    return [block for page in PAGES for block in blocks(page, "sql")][number]


def _must_answer(block: Block) -> bool:
    return not any(name in block.text for name in ("version_rewrites", "missing_since IS NOT NULL"))
