"""Node, DatoCMS's client, and the scripts that drive it; fetched and run once a session, whatever the workers."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.scenes import scene
from versionsync.simulator import FULL_ACCESS_TOKEN

HERE: Final = Path(__file__).parent
FETCHED: Final = HERE / "node_modules"
STAMP: Final = FETCHED / ".fetched-for"
INSTALL_SECONDS: Final = 180
SCRIPT_SECONDS: Final = 240

Results = dict[str, str | None]
"""What became of each check: None when it went well, else what went wrong."""


def checks_of(script: str) -> list[str]:
    """The names of the checks in *script*, from its source: one that does not run is then missed."""
    source = (HERE / f"{script}.mjs").read_text(encoding="utf-8")
    return re.findall(r"^(?:check|shape)\('([^']+)'", source, re.MULTILINE)


@pytest.fixture(scope="session")
def node() -> str:
    """Return the Node program, with DatoCMS's client beside the scripts. Skip if either is missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(f"the program `{'node' if node is None else 'npm'}` is not installed")
    wanted = sha256((HERE / "package.json").read_bytes()).hexdigest()
    FETCHED.mkdir(exist_ok=True)
    with _locked(FETCHED / ".lock"):
        if not STAMP.exists() or STAMP.read_text(encoding="utf-8") != wanted:
            _install(npm)
            STAMP.write_text(wanted, encoding="utf-8")
    return node


@pytest.fixture(scope="session")
def run_script(node: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Results]:
    """Run a script against a simulator of its own, once a session, and return what its checks reported."""
    # Workers have folders of their own within one that is the session's.
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def run(script: str) -> Results:
        kept = shared / f"conformance-{script}.json"
        with _locked(kept.with_suffix(".lock")):
            if not kept.exists():
                kept.write_text(json.dumps(_run(node, script)), encoding="utf-8")
        results: Results = json.loads(kept.read_text(encoding="utf-8"))
        return results

    return run


def _run(node: str, script: str) -> Results:
    with scene(script) as simulator:
        ran = subprocess.run(
            [node, f"{script}.mjs"],
            cwd=HERE,
            env=os.environ | {"SIMULATOR_URL": simulator.url, "SIMULATOR_TOKEN": FULL_ACCESS_TOKEN},
            capture_output=True,
            timeout=SCRIPT_SECONDS,
            check=False,
        )
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith(b'{"check"')]
    results: Results = {line["check"]: line["error"] for line in lines}
    said = (ran.stdout[-2000:] + ran.stderr[-4000:]).decode(errors="replace")
    return {name: results.get(name, f"did not report; the script said:\n{said}") for name in checks_of(script)}


def _install(npm: str) -> None:
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        ran = subprocess.run(command, cwd=HERE, capture_output=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch @datocms/cma-client-node within {INSTALL_SECONDS} s")
    if ran.returncode:
        lines = ran.stderr.decode(errors="replace").strip().splitlines() or ["it does not say why"]
        pytest.skip(f"npm cannot fetch @datocms/cma-client-node: {lines[0]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time is in here."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
