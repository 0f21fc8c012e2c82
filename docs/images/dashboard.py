"""Make the picture of the dashboard in docs/monitoring.md: its own panels and queries, asked of a Prometheus.

    .venv/bin/python docs/images/dashboard.py        # four minutes; `prometheus` has to be on the PATH

Two daemons share a mirror of two simulated projects. Editors work on both all the time; for a while the answers of
DatoCMS make no sense; then the daemon that follows is killed, the other one takes over, and the first comes back and
stands by.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from drawing import Series, draw

from versionsync.simulator import FULL_ACCESS_TOKEN, FaultKind, Faults, RateLimit, SimulatorThread, World

HERE: Final = Path(__file__).parent
DASHBOARD: Final = HERE.parents[1] / "deploy" / "grafana" / "versionsync.json"

SHOWN_SECONDS: Final = 200
WARM_SECONDS: Final = 15
"""Before what is shown: rates need something to compare with."""
STORY: Final = {"nonsense": 80, "well": 105, "killed": 150, "back": 165}
"""Seconds after the beginning of what is shown."""
STEP_SECONDS: Final = 1
BAR_SECONDS: Final = 5
RATE_INTERVAL: Final = "10s"
EDITS_A_SECOND: Final = {"website": 0.4, "shop": 0.25}
PASSWORD: Final = "of a webhook"  # noqa: S105 of a simulator that is gone in four minutes
RECORDS: Final = 60

SETTINGS: Final = """\
[[sources]]
name = "shop"
base_url = "{shop}"
max_staleness = 60
budget = "200000/day"

[[sources]]
name = "website"
base_url = "{website}"
max_staleness = 20
webhook_password_env = "WEBHOOK_PASSWORD"
"""
SCRAPING: Final = """\
scrape_configs:
  - job_name: versionsync
    scrape_interval: 1s
    static_configs:
      - targets: ["127.0.0.1:{0}", "127.0.0.1:{1}"]
"""


def main() -> None:
    """Play the story, ask for all panels, and write dashboard.svg beside this file."""
    if shutil.which("prometheus") is None:
        sys.exit("prometheus is not installed: apt install prometheus")
    dashboard = json.loads(DASHBOARD.read_text())
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ports = free_ports(3)
        projects = {name: stack.enter_context(project(number, name)) for number, name in enumerate(EDITS_A_SECOND)}
        settings = SETTINGS.format(**{name: simulator.url for name, simulator in projects.items()})
        (Path(folder) / "versionsync.toml").write_text(settings)
        (Path(folder) / "prometheus.yml").write_text(SCRAPING.format(*ports))
        call_webhook(projects["website"], f"http://127.0.0.1:{ports[1]}/webhooks/website")
        address = stack.enter_context(prometheus(Path(folder), ports[2]))
        begun = play(Path(folder), projects, ports[:2], stack)
        drawn = [(panel, answers(panel, address, begun, ports[:2])) for panel in dashboard["panels"]]
    (HERE / "dashboard.svg").write_text(draw(dashboard["title"], drawn, seconds=SHOWN_SECONDS))


@contextmanager
def project(seed: int, name: str) -> Iterator[SimulatorThread]:
    """A project that is edited as long as the block runs."""
    world = World(seed=seed, name=name)
    model = world.create_model(world.account, "article")
    world.create_field(world.account, model, "title")
    ids = [world.create(world.account, model, {"title": f"Article {number}"}).id for number in range(RECORDS)]
    resting = threading.Event()
    with SimulatorThread(world, faults=Faults(seed=seed), limits=RateLimit()) as simulator:
        editors = threading.Thread(target=edit, args=(simulator, ids, EDITS_A_SECOND[name], resting))
        editors.start()
        try:
            yield simulator
        finally:
            resting.set()
            editors.join()


def edit(simulator: SimulatorThread, ids: Sequence[str], a_second: float, resting: threading.Event) -> None:
    """Change and publish records at random, until `resting` is set."""
    chance = random.Random(a_second)  # noqa: S311 a story
    while not resting.wait(chance.expovariate(a_second)):
        one, title = chance.choice(ids), f"Article {chance.randrange(10**6)}"
        simulator.act(lambda world, one=one, title=title: world.update(world.user, one, {"title": title}))
        if chance.random() < 0.3:
            simulator.act(lambda world, one=one: world.publish(world.user, one))


def call_webhook(simulator: SimulatorThread, url: str) -> None:
    """A webhook as `versionsync webhook install` makes it."""
    simulator.act(
        lambda world: world.webhooks.register(
            "versionsync: website", url, http_basic_user="versionsync", http_basic_password=PASSWORD
        )
    )


@contextmanager
def prometheus(folder: Path, port: int) -> Iterator[str]:
    """One that watches both daemons; where it answers."""
    address = f"127.0.0.1:{port}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
    ]
    with process(command, folder):
        yield f"http://{address}"


def play(folder: Path, projects: Mapping[str, SimulatorThread], ports: Sequence[int], stack: ExitStack) -> float:
    """The story, in its own time. Returns when what is shown began."""
    follower = stack.enter_context(daemon(folder, ports[0]))
    time.sleep(WARM_SECONDS)  # until it has said that it follows
    stack.enter_context(daemon(folder, ports[1]))
    time.sleep(WARM_SECONDS)
    begun = time.time()

    def at(second: float, act: Callable[[], object]) -> None:
        time.sleep(max(begun + second - time.time(), 0))
        act()

    faults = [simulator.simulator.faults for simulator in projects.values()]
    at(STORY["nonsense"], lambda: [each.rates.update({FaultKind.WRONG_SHAPE: 1.0}) for each in faults])
    at(STORY["well"], lambda: [each.clear() for each in faults])
    at(STORY["killed"], follower.kill)
    at(STORY["back"], lambda: stack.enter_context(daemon(folder, ports[0])))
    at(SHOWN_SECONDS + 1, lambda: None)
    return begun


@contextmanager
def daemon(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`versionsync run` while the block runs."""
    environ = {
        "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        "WEBHOOK_PASSWORD": PASSWORD,
        "VERSIONSYNC_HTTP_PORT": str(port),
    }
    with process([sys.executable, "-m", "versionsync", "run"], folder, **environ) as running:
        yield running


@contextmanager
def process(command: Sequence[str], folder: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program while the block runs; what it says goes to a file of the folder."""
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, cwd=folder, env={**os.environ, **environ}, stdout=log, stderr=log) as running,  # noqa: S603 our own
    ):
        try:
            yield running
        finally:
            running.terminate()


def answers(panel: Mapping[str, Any], address: str, begun: float, ports: Sequence[int]) -> list[Series]:
    """What the queries of a panel were told, under their legends."""
    bars = panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"
    step = BAR_SECONDS if bars else STEP_SECONDS
    times = [round(begun) + second for second in range(0, SHOWN_SECONDS + 1, step)]
    found = []
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", RATE_INTERVAL).replace("$__range", f"{SHOWN_SECONDS}s")
        for one in ask(address, query.replace("$source", ".*"), times, step):
            told = {float(at): float(value) for at, value in one["values"]}
            legend = target["legendFormat"]
            for label, value in one["metric"].items():
                legend = legend.replace(f"{{{{{label}}}}}", value)
            for number, port in enumerate(ports):
                legend = legend.replace(f"127.0.0.1:{port}", f"daemon {number + 1}")
            values = (told.get(float(at)) for at in times)
            found.append(Series(legend, tuple(None if value is None or value != value else value for value in values)))
    return sorted(found, key=lambda series: series.legend) if panel["type"] == "state-timeline" else found


def ask(address: str, query: str, times: Sequence[int], step: int) -> list[dict[str, Any]]:
    """What Prometheus says to a query, a series each."""
    asked = urllib.parse.urlencode({"query": query, "start": times[0], "end": times[-1], "step": step})
    with urllib.request.urlopen(f"{address}/api/v1/query_range?{asked}") as answer:  # noqa: S310 of this machine
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return result


def free_ports(number: int) -> list[int]:
    """Return ports that no program listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    main()
