"""The wheel in an empty environment, outside the checkout: what a user gets is whole."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.nightly

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """The installed program: `bin` has it, `folder` is an empty one to run it in."""

    bin: Path
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the test's own environment that could lead back to the checkout."""
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8", **more}

    def run(self, *argv: str, code: int = 0, **environ: str) -> str:
        """What a command line writes to standard output; it must end with `code`."""
        run = subprocess.run(
            [self.bin / "versionsync", *argv],
            cwd=self.folder,
            env=self.environment(**environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == code, run.stdout + run.stderr
        return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", out, CHECKOUT]
    subprocess.run(build, check=True, capture_output=True, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{wheel}[postgres]"], check=True, capture_output=True, cwd=folder)
    return folder / "bin"


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Installed:
    return Installed(environment, tmp_path)


@pytest.fixture
def simulated(installed: Installed) -> Iterator[dict[str, str]]:
    """The environment variables that lead to the installed program's own simulator."""
    argv = ["simulator", "--port", "0", "--records", "30", "--versions", "3", "--rate-limit", "none", "--json"]
    with subprocess.Popen(
        [installed.bin / "versionsync", *argv],
        cwd=installed.folder,
        env=installed.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        yield {"DATOCMS_API_TOKEN": told["token"], "VERSIONSYNC_BASE_URL": told["url"]}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_the_wheel_brings_its_migrations_and_nothing_of_the_tests(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert "versionsync/migrations/env.py" in names
    assert "versionsync/migrations/versions/first_schema.py" in names
    assert "versionsync/py.typed" in names
    assert "versionsync/history/render/templates/diff.html.jinja" in names
    assert {name.partition("/")[0] for name in names if not name.startswith("versionsync-")} == {"versionsync"}


def test_it_is_the_installed_program_that_runs(installed: Installed) -> None:
    assert installed.run("--version").startswith("versionsync ")
    where = [installed.bin / "python", "-c", "import versionsync; print(versionsync.__file__)"]
    found = subprocess.run(where, cwd=installed.folder, env=installed.environment(), capture_output=True, check=True)
    assert os.fsencode(CHECKOUT) not in found.stdout


def test_nothing_of_development_is_installed(environment: Path) -> None:
    listed = subprocess.run([environment / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True)
    assert not {"pytest", "mypy", "hypothesis", "ruff"} & {line.split()[0] for line in listed.stdout.splitlines()}


def test_it_would_install_itself_as_a_service(installed: Installed) -> None:
    """The units are in the wheel, and start the program by the path that it has."""
    settings = installed.folder / ".config" / "versionsync"
    settings.mkdir(parents=True)
    (settings / "versionsync.toml").write_text('[[sources]]\nname = "web"\napi_token_file = "api_token"\n')
    (settings / "api_token").touch(mode=0o600)
    (settings / "api_token").write_text("0123456789abcdef")
    shown = installed.run("service", "install", "--user", "--dry-run")
    program = (installed.bin / "versionsync").resolve()
    assert f"+ExecStart={program} --config %E/versionsync/versionsync.toml run" in shown
    assert "+ListenStream=127.0.0.1:8765" in shown
    assert not (installed.folder / ".config" / "systemd").exists()


def test_the_demo_runs(installed: Installed) -> None:
    assert "versionsync-demo.db" in installed.run("demo", "--fast")
    assert (installed.folder / "versionsync-demo.db").exists()


def test_sqlite_is_made_and_upgraded_by_sync(installed: Installed, simulated: dict[str, str]) -> None:
    told = json.loads(installed.run("sync", "--json", **simulated))
    assert told["sources"][0]["counts"]["versions_inserted"] == 90
    assert "All is well" in installed.run("doctor", **simulated)
    with closing(sqlite3.connect(installed.folder / "versionsync.db")) as database:
        assert database.execute("select count(*) from versions").fetchone() == (90,)


@pytest.mark.postgres
def test_postgresql_is_upgraded_and_filled(
    installed: Installed, simulated: dict[str, str], empty_postgres_url: str
) -> None:
    there = simulated | {"VERSIONSYNC_DATABASE_URL": empty_postgres_url}
    installed.run("sync", code=6, **there)
    installed.run("db", "upgrade", **there)
    installed.run("db", "check", **there)
    told = json.loads(installed.run("sync", "--json", **there))
    assert told["sources"][0]["counts"]["versions_inserted"] == 90
    assert "90 versions" in installed.run("status", **there)


def test_init_writes_what_sync_reads(installed: Installed, simulated: dict[str, str]) -> None:
    token = {"DATOCMS_API_TOKEN": simulated["DATOCMS_API_TOKEN"]}
    installed.run("init", "--yes", "--base-url", simulated["VERSIONSYNC_BASE_URL"], **token)
    installed.run("sync", **token)
    assert "90 versions" in installed.run("status")
