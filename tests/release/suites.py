"""The test suite with other dependencies than the newest that happen to be installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.release.running import CHECKOUT, make_environment, run

__all__ = ["run_with_lowest", "run_with_newest"]

LEFT_OUT = ("tests/nightly/machine", "tests/nightly/soak", "tests/nightly/test_kills.py")
"""What tries this program's own logic for long, not what it stands on."""


def run_with_lowest(out: Path, arguments: list[str]) -> str:
    """Run the tests with the lowest versions that pyproject.toml admits: the floors must be true."""
    return _run(out / "floors.txt", "lowest-direct", arguments)


def run_with_newest(out: Path, arguments: list[str]) -> str:
    """Run the tests with the newest versions that pyproject.toml admits."""
    return _run(out / "newest.txt", "highest", arguments)


def _run(listing: Path, resolution: str, arguments: list[str]) -> str:
    with TemporaryDirectory(prefix="versionsync-suite-") as scratch:
        folder = Path(scratch) / "environment"
        python = make_environment(folder, "--editable", f"{CHECKOUT}[test]", resolution=resolution)
        frozen = run(sys.executable, "-m", "uv", "pip", "freeze", "--exclude-editable", "--python", python)
        listing.write_text(frozen)
        chosen = arguments or ["--nightly", "tests", *(f"--ignore={path}" for path in LEFT_OUT)]
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        workers = ["-n", os.environ.get("TEST_WORKERS", "2")]
        run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *chosen, quiet=False, PATH=path)
    return f"all pass with {len(frozen.splitlines())} packages, listed in {listing.name}"
