"""The page about metrics names every metric that there is, with what the daemon itself says of it, and no other."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.pages import ROOT
from versionsync.daemon.budget import Budget, BudgetStatus
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.state import WorkerState
from versionsync.sync.report import Counts, Outcome, RunKind, RunReport

PAGE = ROOT / "docs" / "metrics.md"


def test_the_page_has_every_metric_with_its_meaning() -> None:
    """And its labels."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    purse = BudgetStatus(budget=Budget.parse("3000/day"), spent=1, shared_by=1, now=now)
    states = {"website": WorkerState(name="website", max_staleness=60, since=now, budget=purse)}
    metrics = Metrics(lambda: states, now=lambda: now)
    states["website"].run_seconds.observe(1.0)
    there = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        if family.name.startswith("versionsync_") and not family.name.endswith(("_build_info", "_created")):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            there[name] = (labels, family.documentation.rstrip("."))
    row = re.compile(r"^\| `(versionsync_\w+)` \| (?:gauge|counter|histogram) \|(.*?)\| (.*) \|$", re.MULTILINE)
    documented = {
        name: (set(re.findall(r"`(\w+)`", labels)), meaning) for name, labels, meaning in row.findall(PAGE.read_text())
    }
    assert documented.keys() == there.keys()
    for name, (labels, meaning) in there.items():
        assert documented[name][0] == labels, name
        assert documented[name][1].startswith(meaning), name


def test_views_that_cannot_follow_the_schema_are_counted() -> None:
    """As of the last run that tried; one that ended before that says nothing about them."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    state = WorkerState(name="website", max_staleness=60, since=now)
    for blocked, told in (({"a": "in use", "b": "in use"}, 2), (None, 2), ({}, 0)):
        state.ended(
            RunReport(
                source="website",
                kind=RunKind.INCREMENTAL,
                outcome=Outcome.SUCCEEDED,
                counts=Counts(),
                blocked_views=blocked,
            )
        )
        page = Metrics(lambda: {"website": state}, now=lambda: now).text().decode()
        assert f'versionsync_views_blocked{{source="website"}} {told:.1f}\n' in page
