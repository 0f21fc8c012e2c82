"""The dashboard and the alerts use only metrics that a daemon serves, and alerts fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import structlog
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.pages import ROOT
from tests.fixtures.running_daemon import eventually, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from versionsync.budget import Budget
from versionsync.daemon.http.app import App, serving
from versionsync.daemon.http.metrics import Metrics

ALERTS: Final = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "versionsync.json"
CASES: Final = Path(__file__).with_name("alerts_test.yml")
PICTURE: Final = ROOT / "docs" / "images" / "dashboard.svg"
PAGE: Final = ROOT / "docs" / "alerts.md"

QUIET: Final = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
SCRAPED: Final = {"job", "instance"}
"""The labels that Prometheus adds."""

METRIC: Final = re.compile(r"\b(?:versionsync|process)_\w+")
SELECTOR: Final = re.compile(r"(\w+)\{([^}]*)\}")
MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPED: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")

Samples = dict[str, list[dict[str, str]]]
"""The labels of each sample of /metrics, by the sample's name."""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt prometheus"
)


def rules() -> list[dict[str, Any]]:
    """The alerts."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def questions() -> Iterator[tuple[str, str]]:
    """Yield the name and the PromQL of each alert and panel."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


async def samples_of_a_daemon(sync_env: SyncEnv) -> Samples:
    """Return the samples of a daemon after a run of a source with a budget."""
    async with running_daemon(
        sync_env.mirror, replace(source_config(sync_env), budget=Budget.parse("100000/day"))
    ) as watched:
        metrics = Metrics(
            lambda: watched.daemon.states,
            scheduler=watched.daemon.scheduler,
            now=lambda: datetime.now(UTC),
            runs_waiting=lambda: 0,
            daemons_alive=lambda: 1,
        )
        app = App(lambda: watched.daemon.states, metrics, redact=str)
        async with serving(app, host="127.0.0.1", port=0, log=QUIET) as url, httpx.AsyncClient(base_url=url) as http:
            await eventually(lambda: watched.state().runs["succeeded"] and watched.state().budget)
            text = (await http.get("/metrics")).text
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(dict(sample.labels))
    return samples


def unknown(expr: str, samples: Samples) -> Iterator[str]:
    """Yield the metrics, labels and values of labels in `expr` that the daemon does not serve."""
    yield from (name for name in METRIC.findall(expr) if name not in samples)
    for name, matchers in SELECTOR.findall(expr):
        for label, how, value in MATCHER.findall(matchers):
            values = {labels[label] for labels in samples.get(name, []) if label in labels}
            if not values and label not in SCRAPED:
                yield f"{name}{{{label}}}"
            elif "$" not in value and label not in SCRAPED:
                asked = value.split("|") if how in ("=~", "!~") else [value]
                yield from (f'{name}{{{label}="{each}"}}' for each in asked if each not in values)
    there = SCRAPED | {label for name in METRIC.findall(expr) for labels in samples.get(name, []) for label in labels}
    for labels in GROUPED.findall(expr):
        yield from (label for label in re.findall(r"\w+", labels) if label not in there)


async def test_every_query_uses_known_metrics(sync_env: SyncEnv) -> None:
    """Each metric, each label and each word that a label is compared with."""
    samples = await samples_of_a_daemon(sync_env)
    assert [(who, each) for who, expr in questions() for each in unknown(expr, samples)] == []
    assert all(METRIC.search(expr) for _, expr in questions())


async def test_an_unknown_metric_is_noticed(sync_env: SyncEnv) -> None:
    """The test above can fail."""
    samples = await samples_of_a_daemon(sync_env)
    assert list(unknown("versionsync_no_such_total > 0", samples)) == ["versionsync_no_such_total"]
    assert list(unknown('versionsync_runs_total{result="ok"}', samples)) == ["versionsync_runs_total{result}"]
    assert list(unknown('versionsync_runs_total{outcome=~"failed|lost"}', samples)) == [
        'versionsync_runs_total{outcome="lost"}'
    ]
    assert list(unknown("sum by (job, sauce) (versionsync_runs_total)", samples)) == ["sauce"]


def test_the_picture_shows_the_panels_of_today() -> None:
    """`docs/images/dashboard.py` draws it again."""
    titles = re.findall(r'<text class="title"[^>]*>(.*?)</text>', PICTURE.read_text())
    assert titles == [panel["title"] for panel in panels()]


def test_legends_name_labels_that_are_left() -> None:
    """A label that the query sums away would leave a gap in the legend."""
    for panel in panels():
        for target in panel["targets"]:
            kept = {
                label for labels in re.findall(r"\bby\s*\(([^)]*)\)", target["expr"]) for label in labels.split(", ")
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, panel["title"]


def test_panels_fill_the_grid_without_overlapping() -> None:
    """24 columns, as Grafana has them."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert taken == {(x, y) for x in range(24) for y in range(max(y for _, y in taken) + 1)}


def test_each_panel_says_what_it_shows_in_which_unit() -> None:
    """And takes its data from the source that the viewer has chosen."""
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(of["datasource"]["uid"] == "${datasource}" for of in (panel, *panel["targets"]))


def test_each_alert_says_what_to_do_and_where_it_is_explained() -> None:
    """For a person who knows nothing else."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "section"}, rule["alert"]
        assert rule["annotations"]["section"] == f"docs/alerts.md#{rule['alert'].lower()}"


def test_each_alert_has_its_cause_and_cure() -> None:
    """In a section of its own, and no section is of an alert that there is not."""
    explained = re.findall(r"^### (Versionsync\w+)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(rule["alert"] for rule in rules())
    listed = re.findall(r"^\| `(Versionsync\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(explained)


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    """promtool runs them, if it is installed."""
    asked = [each for case in yaml.safe_load(CASES.read_text())["tests"] for each in case["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {each["alertname"] for each in asked if each.get("exp_alerts")} == names
    assert {each["alertname"] for each in asked if not each.get("exp_alerts")} == names


@needs_promtool
def test_prometheus_reads_the_alerts() -> None:
    """Its own tool checks their syntax, that of the templates included."""
    done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """And never otherwise. What they say of it is left out: promtool would compare it word by word."""
    bare = yaml.safe_load(ALERTS.read_text())
    for group in bare["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    (tmp_path / ALERTS.name).write_text(yaml.safe_dump(bare))
    cases = shutil.copy(CASES, tmp_path)
    done = subprocess.run(["promtool", "test", "rules", cases], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_reads_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    """As rules that record, with a time and a source where Grafana puts them."""
    exprs = [target["expr"] for panel in panels() for target in panel["targets"]]
    put = {"$__rate_interval": "5m", "$__range": "6h", "$source": ".*"}
    recorded = [
        {"record": f"query_{number}", "expr": re.sub("|".join(map(re.escape, put)), lambda found: put[found[0]], expr)}
        for number, expr in enumerate(exprs)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
