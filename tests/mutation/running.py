"""Run the tests of a mutant's layer in a copy of the tree, so that the tree itself is never changed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.mutants import Mutant

__all__ = ["LAYERS", "ROOT", "Copy", "Verdict"]

ROOT: Final = Path(__file__).parents[2]
LAYERS: Final = {
    "ledger": ("unit/ledger", "integration/sync"),
    "sync": ("unit/sync", "integration/sync"),
    "mirror": ("unit/mirror", "integration/mirror"),
    "cma": ("unit/cma", "integration/cma"),
    "daemon": ("unit/daemon", "integration/daemon"),
}
"""The folders of each layer's own tests. What survives those meets the tests of the engine, which uses the layers."""
OF_THE_ENGINE: Final = ("unit/ledger", "integration/sync")
SLOW: Final = {"test_faults", "test_pagination", "test_database_faults", "test_lasting_old_answers", "test_costs"}
ONE_TEST_SECONDS: Final = 120
END_SECONDS: Final = 20
WAITS: Final = "throttled_bare"
"""Tests of this name wait for a real minute, and no change of the program is seen by them alone."""
PYTEST: Final = ["-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-k", f"not {WAITS}"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said: `outcome` is killed, survived or timed out; `by` is the first test that failed."""

    outcome: str
    seconds: float
    by: str = ""


class Copy:
    """A copy of the tree in `folder`, in which one file at a time is changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ignored = shutil.ignore_patterns("__pycache__", ".hypothesis", "node_modules")
        for name in ("versionsync", "tests", "migrations", "benchmarks", "docs", "deploy", ".ci"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for path in (*ROOT.glob("*.toml"), *ROOT.glob("*.md"), ROOT / "alembic.ini"):
            shutil.copy(path, folder)

    def try_mutant(self, mutant: Mutant, *, limit: float) -> Verdict:
        """Run the tests with `mutant` in the copy, for at most `limit` seconds, and restore the copy."""
        path = self._folder / mutant.path
        source = path.read_bytes()
        path.write_bytes(mutant.apply(source))
        try:
            return self.run_tests(mutant.path, limit=limit)
        finally:
            path.write_bytes(source)

    def run_tests(self, path: str, *, limit: float) -> Verdict:
        """Run the tests of the layer that `path` is in, then those of the engine, until one fails."""
        layer, began = path.split("/")[1], time.monotonic()
        # What differs between databases is of the mirror alone; the others' tests run on SQLite, which is faster.
        verdict = self._run(path, LAYERS[layer], limit=limit, on="" if layer == "mirror" else "not postgres")
        if verdict.outcome == "survived" and layer not in ("sync", "daemon"):
            left = limit - verdict.seconds
            folders = [folder for folder in OF_THE_ENGINE if folder not in LAYERS[layer]]
            verdict = self._run(path, folders, limit=left, on="not postgres") if folders else verdict
        return Verdict(verdict.outcome, time.monotonic() - began, verdict.by)

    def _run(self, path: str, folders: Sequence[str], *, limit: float, on: str) -> Verdict:
        shutil.rmtree(self._folder / ".hypothesis", ignore_errors=True)  # what failed with another mutant says nothing
        command = [sys.executable, *PYTEST, f"--timeout={ONE_TEST_SECONDS}", "-m", on, *self._files(path, folders)]
        # Nothing is compiled to disk: a file of the same size and second would be taken for the one before.
        environ = {**os.environ, "PYTHONPATH": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1"}
        pipe, began = subprocess.PIPE, time.monotonic()
        with subprocess.Popen(
            command, cwd=self._folder, env=environ, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        ) as tests:
            try:
                output, errors = tests.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                _end(tests)
                return Verdict("timed out", time.monotonic() - began)
        if tests.returncode not in (0, 1, 2):  # 2: a test file could not be imported
            raise RuntimeError(f"pytest ended with {tests.returncode}: {output[-2000:]} {errors[-2000:]}")
        failed = [line[:200] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return Verdict("killed" if tests.returncode else "survived", time.monotonic() - began, " ".join(failed[:1]))

    def _files(self, path: str, folders: Sequence[str]) -> list[str]:
        """Return the test files, folder by folder: first those that import the module, last the slow ones."""
        module, found = path.removesuffix(".py").replace("/", "."), list[Path]()
        for folder in folders:
            files = sorted((self._folder / "tests" / folder).rglob("test_*.py"))
            found += sorted(files, key=lambda file: (file.stem in SLOW, f"{module} import" not in file.read_text()))
        return [str(file.relative_to(self._folder)) for file in found]


def _end(tests: subprocess.Popen[str]) -> None:
    """Stop the tests, and let them stop the servers that they started."""
    tests.send_signal(signal.SIGINT)
    try:
        tests.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(tests.pid, signal.SIGKILL)
        tests.communicate()
