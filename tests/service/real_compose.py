"""The compose files, run as they are; but programs of Debian stand in for the images that a registry would have.

Grafana, which Debian does not have, is left out.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from tests.fixtures.fake_upstreams import unused_port
from tests.service.engine import CHECKOUT, Container, Engine
from tests.service.printing import check, eventually, say

if TYPE_CHECKING:
    from tests.service.real_container import Project

__all__ = ["compose"]

PROGRAM: Final = Path(sys.executable).with_name("podman-compose")
PASSWORD: Final = "for-the-test"
# What the image of PostgreSQL does at its first start, in short.
_POSTGRES: Final = """\
FROM {base}
RUN apt-get update -q && apt-get install -q -y --no-install-recommends postgresql
RUN ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ ; install -d -o postgres -m 0700 /var/lib/postgresql/data ; \
    install -d -o postgres -m 3777 /run/postgresql
RUN printf '%s\\n' '#!/bin/sh' 'set -e' 'cd /var/lib/postgresql/data' 'if [ ! -e PG_VERSION ]; then' \
    'initdb -D . -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --encoding=UTF8' \
    'echo "host all all all scram-sha-256" >> pg_hba.conf' \
    'echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D . postgres' \
    'fi' 'exec postgres -D . -h "*"' > /start && chmod 0755 /start
CMD ["/start"]
"""
_PROMETHEUS: Final = """\
FROM {base}
RUN apt-get update -q && apt-get install -q -y --no-install-recommends prometheus
RUN install -d -o nobody /prometheus
USER nobody
ENTRYPOINT ["/usr/bin/prometheus"]
"""


# Podman before 4.6 cannot wait for what is healthy, nor start what needs what has ended: so the order is kept here.
_IN_STEPS: Final = """\
services:
  versionsync:
    depends_on: !reset {}
  migrate:
    depends_on: !reset {}
"""


class Compose:
    """podman-compose in a copy of `deploy/`, with settings and secrets of its own."""

    def __init__(self, engine: Engine, *, settings: str, secrets: dict[str, str]) -> None:
        self._engine = engine
        deploy = engine.folder / "deploy"
        shutil.rmtree(deploy, ignore_errors=True)
        shutil.copytree(CHECKOUT / "deploy", deploy)
        self._folder = deploy / "container"
        self.port, self.prometheus_port = unused_port(), unused_port()
        (self._folder / "in-steps.yaml").write_text(_IN_STEPS)
        (self._folder / "settings" / "versionsync.toml").write_text(settings)
        (self._folder / "secrets").mkdir()
        for name, secret in secrets.items():
            (self._folder / "secrets" / name).write_text(secret)
            (self._folder / "secrets" / name).chmod(0o444)

    @contextmanager
    def project(self, *files: str) -> Iterator[Callable[[str], Container]]:
        """While the block runs, what the files name can be started, one service after the other."""
        chosen = [option for file in files for option in ("--file", file)]
        try:
            yield lambda service: self._up(service, chosen)
        finally:
            self._do(*chosen, "--profile=monitoring", "down", "--volumes", "--timeout=10")

    def _up(self, service: str, chosen: list[str]) -> Container:
        self._do(*chosen, "--profile=monitoring", "up", "--detach", "--no-build", service)
        return Container(self._engine, f"versionsync_{service}_1")

    def _do(self, *argv: str) -> None:
        ports = {"VERSIONSYNC_HTTP_PORT": str(self.port), "PROMETHEUS_PORT": str(self.prometheus_port)}
        self._engine.must(str(PROGRAM), "--in-pod=false", *argv, cwd=self._folder, **ports)

    def asks(self, path: str) -> bool:
        """Whether the daemon answers on its port of this machine with success."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/{path}").is_success
        except httpx.HTTPError:
            return False

    def measures(self, metric: str) -> bool:
        """Whether Prometheus knows it."""
        url = f"http://127.0.0.1:{self.prometheus_port}/api/v1/query"
        try:
            answer = httpx.get(url, params={"query": metric})
            return answer.is_success and bool(answer.json()["data"]["result"])
        except httpx.HTTPError:
            return False


def compose(engine: Engine, one: Project) -> None:
    """Each way to run it, on networks of its own."""
    if not PROGRAM.exists():
        say("      the compose files were not run: pip install podman-compose")
        return
    url = f"postgresql://versionsync:{PASSWORD}@postgres/versionsync"
    secrets = {"api_token": one.token, "database_url": url, "postgres_password": PASSWORD, "grafana_password": PASSWORD}
    files = Compose(engine, settings=one.said_from("host.containers.internal"), secrets=secrets)
    engine.stand_in("localhost/prom/prometheus:v3.5.0", _PROMETHEUS)
    engine.stand_in("localhost/postgres:17", _POSTGRES)

    with files.project("compose.yaml") as up:
        daemon = up("versionsync")
        state = engine.files_of("versionsync_state") / "versionsync.db"
        eventually("compose, SQLite: all is mirrored", lambda: one.is_mirrored(f"sqlite:///{state}"))
        check("healthy", daemon.is_healthy())
        eventually("it answers on a port of this machine", lambda: files.asks("livez"))
        up("prometheus")
        eventually("Prometheus hears of it", lambda: files.measures("versionsync_source_max_staleness_seconds"))
    with files.project("compose.yaml", "compose.postgres.yaml", "in-steps.yaml") as up:
        postgres = up("postgres")
        eventually("compose: PostgreSQL is healthy by its own check", postgres.is_healthy)
        migrate = up("migrate")
        eventually("migrate has ended well", lambda: migrate.has_ended(0))
        daemon = up("versionsync")
        mirror = url.replace("@postgres/", f"@{engine.address_of(postgres.name)}/")
        eventually("compose, PostgreSQL: all is mirrored", lambda: one.is_mirrored(mirror))
        check("healthy", daemon.is_healthy())
