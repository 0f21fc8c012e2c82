"""`python -m tests.service.real_container [FOLDER]`: builds the image, runs it, and does to it what it must survive.

As root on Debian, with the packages that it names where they are missing. Images lie in FOLDER, which is made where it
is not there yet (some minutes, 3 GB), and used again otherwise. Containers share the network of this machine, where the
simulator and PostgreSQL run; but those of the compose files have their own.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from sqlalchemy import text

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.fake_upstreams import unused_port
from tests.fixtures.postgres_server import own_server
from tests.service.engine import BASE, IMAGE, Container, Engine, Ran
from tests.service.printing import check, eventually, say
from tests.service.real_compose import compose
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, FaultKind, Faults, SimulatorThread, World, expected_history
from versionsync.simulator.scenarios.bulk import build_bulk

RECORDS = 300
VERSIONS = 2
MOST_MEGABYTES = 120
STOP_SECONDS = 2.0
LEASE_SECONDS = 30.0
STATE = "/var/lib/versionsync"
SLOWLY = {FaultKind.SLOW: 1.0}
MEGABYTE = 1_000_000
NOT_COMPILED = """\
import atexit, os, sys
from versionsync.__main__ import main
def tell():
    files = (getattr(module, "__cached__", None) for module in list(sys.modules.values()))
    print(*(file for file in files if file and file.startswith("/opt/") and not os.path.exists(file)), sep="\\n")
sys.argv = ["versionsync", "demo", "--fast"]
atexit.register(tell)
main()
"""


class Project:
    """A project that somebody edits, and the folder with settings and token by which a container finds it."""

    def __init__(self, folder: Path, upstream: SimulatorThread) -> None:
        self.upstream = upstream
        self.token = FULL_ACCESS_TOKEN
        self.settings, self.secrets = folder / "settings", folder / "secrets"
        for made in (self.settings, self.secrets):
            made.mkdir(exist_ok=True)
        (self.secrets / "api_token").write_text(self.token)
        self.configure()

    def configure(self, more: str = "") -> None:
        """Write the settings."""
        (self.settings / "versionsync.toml").write_text(more + self.said_from("127.0.0.1"))

    def said_from(self, host: str) -> str:
        """The settings that lead to the project, which is on `host`."""
        port = self.upstream.url.rpartition(":")[2]
        source = f'name = "website"\nbase_url = "http://{host}:{port}"\nrate_limit = "none"\nmax_staleness = 2\n'
        return f"[[sources]]\n{source}"

    def options(self, state: str | Path, *, mode: str = "rw") -> tuple[str, ...]:
        """Of podman: what is mounted where."""
        return (
            f"--volume={state}:{STATE}:{mode}",
            f"--volume={self.settings}:/etc/versionsync:ro",
            f"--volume={self.secrets}:/run/secrets:ro",
        )

    def edit(self) -> None:
        """One version more."""

        def act(world: World) -> None:
            world.clock.advance(timedelta(minutes=1))
            record = next(iter(world.primary.records.values()))
            world.update(world.user, record.id, {"title": f"edited at {time.monotonic()}"})

        self.upstream.act(act)

    def is_mirrored(self, database_url: str) -> bool:
        """Whether the mirror is as the truth is now."""
        try:
            with Mirror.open(database_url) as mirror:
                return not differences(
                    mirror, self.upstream.act(lambda world: expected_history(world.event_log, "main"))
                )
        except MirrorError:
            return False

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.upstream.simulator.requests.total


@contextmanager
def project(folder: Path, faults: Faults) -> Iterator[Project]:
    """With some hundred records, while the block runs."""
    world = World(seed=1, clock=Clock.stopped())
    build_bulk(world, records=RECORDS, versions=VERSIONS)
    world.clock.advance(timedelta(minutes=1))
    # On every address: a container with a network of its own comes from outside.
    with SimulatorThread(world, host="0.0.0.0", faults=faults) as upstream:
        yield Project(folder, upstream)


def versions(database_url: str) -> int:
    """How many are mirrored."""
    try:
        with Mirror.open(database_url) as mirror, mirror.read() as connection:
            return connection.scalar(text("SELECT count(*) FROM versions")) or 0
    except MirrorError:
        return 0


def with_sqlite(engine: Engine, one: Project, faults: Faults) -> None:
    """Follows, is killed and stopped, and loses nothing."""
    volume = engine.volume("versionsync-state")
    url = f"sqlite:///{volume / 'versionsync.db'}"
    port = unused_port()
    faults.rates = SLOWLY
    with engine.running("versionsync-try", *one.options(volume.parent.name), VERSIONSYNC_HTTP_PORT=str(port)) as daemon:
        eventually("SQLite: a backfill begins", lambda: versions(url))
        check("healthy while it runs", daemon.is_healthy())
        daemon.do("kill", "--signal=KILL")
        kept = versions(url)
        check(
            f"killed in the middle of it, with {kept} of {RECORDS * VERSIONS} versions", 0 < kept < RECORDS * VERSIONS
        )
        faults.rates = {}
        daemon.do("start")
        eventually("started again, it does the rest", lambda: one.is_mirrored(url), within=LEASE_SECONDS + 30)
        follows(daemon, one, url)
        shut_in(daemon)
        starts_fast(daemon)
        hangs(daemon)
        say(f"      memory: {memory(daemon)}")
        stops(daemon)
        one.edit()
        daemon.do("start")
        eventually("started again, what it has missed is mirrored", lambda: one.is_mirrored(url))
        stops(daemon)
    stops_at_once(engine, one, volume.parent.name)


def follows(daemon: Container, one: Project, url: str) -> None:
    """An edit comes in."""
    one.edit()
    eventually(f"{daemon.name}: an edit is mirrored", lambda: one.is_mirrored(url))
    check("healthy", daemon.is_healthy())


def shut_in(daemon: Container) -> None:
    """No user of this machine, no place to write to, no privilege, no tools."""
    check("its user is not root", daemon.shell("id -u").out.strip() == "10001")
    refused = daemon.shell("touch /tmp/x /opt/versionsync/x /etc/versionsync/x /run/x").lines
    check("nothing but its state can be written to", len(refused) == 4 and daemon.shell(f"touch {STATE}/x").code == 0)
    privileges = daemon.shell("grep -h ^Cap /proc/1/status | grep -v 0000000000000000; grep NoNewPrivs /proc/1/status")
    check("it has no privilege and gets none", privileges.out.split() == ["NoNewPrivs:", "1"])
    tools = daemon.shell("python3 -m pip --version || which pip gcc cc make git curl")
    check("no pip, compiler, curl within", tools.code != 0)


def starts_fast(daemon: Container) -> None:
    """What is imported need not be compiled first, each time."""
    ran = daemon.shell(f"cd {STATE} && python3 -c '{NOT_COMPILED}' && rm versionsync-demo.db*")
    check("the demo runs within, and all that it imports is compiled", ran.code == 0 and "/opt/" not in ran.out)


def hangs(daemon: Container) -> None:
    """The image's own check tells a stopped process."""
    pid = int(daemon.state["Pid"])
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    check("one that hangs is not healthy", not daemon.is_healthy())
    say(f"      told after {time.monotonic() - began:.1f} s")
    os.kill(pid, signal.SIGCONT)
    eventually("one that goes on is", daemon.is_healthy)


def stops(daemon: Container) -> None:
    """As process 1, by SIGTERM."""
    began = time.monotonic()
    daemon.do("stop", "--time=10")
    took = time.monotonic() - began
    check(f"stopped, with exit code 0: {took:.1f} s", took < STOP_SECONDS and daemon.state["ExitCode"] == 0)


def stops_at_once(engine: Engine, one: Project, volume: str) -> None:
    """Also one that has hardly begun: for process 1 the kernel does nothing by itself."""
    with engine.running("versionsync-try", *one.options(volume), VERSIONSYNC_HTTP_PORT="0") as daemon:
        began = time.monotonic()
        daemon.do("stop", "--time=10")
        took = time.monotonic() - began
        check(f"stopped right after the start: {took:.1f} s", took < STOP_SECONDS)


def memory(daemon: Container) -> str:
    """What it takes now, and took at the most."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{daemon.state['Pid']}/status").read_text().splitlines())
    now, most = (int(status[name].split()[0]) // 1000 for name in ("VmRSS", "VmHWM"))
    return f"{now} MB, {most} MB at the most"


def with_postgres(engine: Engine, one: Project, folder: Path) -> None:
    """One follows, the other one takes over; the schema is never changed by either."""
    port = unused_port()
    with own_server(folder) as server:
        url = server.listen(port)
        where = {"VERSIONSYNC_DATABASE_URL": url}
        scratch = one.options(engine.volume("versionsync-scratch").parent.name)
        refused(
            "not at the schema", engine.once("run", options=scratch, **where), code=6, says="versionsync db upgrade"
        )
        check("the schema is made", engine.once("db", "upgrade", options=scratch, **where).code == 0)
        check("and found to be there", engine.once("db", "upgrade", options=scratch, **where).code == 0)
        ports = [unused_port(), unused_port()]

        def running(number: int) -> AbstractContextManager[Container]:
            http = str(ports[number])
            return engine.running(f"versionsync-{number}", *scratch, VERSIONSYNC_HTTP_PORT=http, **where)

        with running(0) as first:
            eventually("PostgreSQL: all is mirrored", lambda: one.is_mirrored(url))
            follows(first, one, url)
            with running(1) as second:
                eventually("a second one is ready, and stands by", lambda: ready(ports[1]))
                check("and is healthy", second.is_healthy())
                first.do("kill", "--signal=KILL")
                one.edit()
                eventually("the first one killed, the second one takes over", lambda: one.is_mirrored(url))
                stops(second)


def ready(port: int) -> bool:
    """What /readyz says."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def refused(what: str, ran: Ran, *, code: int, says: str) -> None:
    """It ends with that exit code, and says so in one line, and at most another one that says what to do."""
    told = ran.lines
    good = ran.code == code and told and says in ran.err and told[0].startswith("versionsync: error: ")
    assert good and all(line.startswith("versionsync: hint: ") for line in told[1:]), f"{what}: {ran}"
    say(f"ok    {what}: exit code {ran.code}, {told[0].removeprefix('versionsync: error: ')}")


def bad_input(engine: Engine, one: Project, folder: Path) -> None:
    """What cannot work ends at once, in a line, and upstream hears nothing of it however often it is tried."""
    before = one.requests
    foreign = folder / "foreign"
    foreign.mkdir(exist_ok=True)
    refused("a volume of another user", engine.once("run", options=one.options(foreign)), code=6, says="Permission")
    volume = engine.volume("versionsync-state").parent.name
    frozen = engine.once("run", options=one.options(volume, mode="ro"))
    refused("a volume that cannot be written to", frozen, code=6, says="Read-only file system")
    (one.secrets / "api_token").write_text("")
    refused("an empty token", engine.once("run", options=one.options(volume)), code=2, says="is empty")
    (one.secrets / "api_token").unlink()
    refused("no token", engine.once("run", options=one.options(volume)), code=2, says="has no API token")
    (one.secrets / "api_token").write_text(one.token)
    one.configure("nonsense = 1\n")
    refused("a wrong setting", engine.once("run", options=one.options(volume)), code=2, says="nonsense")
    with engine.running("versionsync-try", "--restart=always", *one.options(volume)) as looping:
        eventually("started again and again", lambda: looping.restarts > 3)
    check("and upstream is asked nothing", one.requests == before)
    one.configure()


def main(folder: Path) -> None:
    """Everything, one after the other."""
    engine = Engine(folder)
    engine.make_base()
    engine.build()
    above = (engine.size(IMAGE) - engine.size(BASE)) / MEGABYTE
    check(f"the image has {above:.0f} MB more than its base", above <= MOST_MEGABYTES)
    faults = Faults(seed=1, slow_seconds=(0.1, 0.3))
    with tempfile.TemporaryDirectory() as scratch, project(Path(scratch), faults) as one:
        Path(scratch).chmod(0o755)
        with_sqlite(engine, one, faults)
        with_postgres(engine, one, folder / "postgres")
        bad_input(engine, one, Path(scratch))
        compose(engine, one)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="versionsync-container-")))
