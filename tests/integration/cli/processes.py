"""The program as a process of its own, as a shell or a service manager starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["PROGRAM", "environment", "running"]

PROGRAM = [sys.executable, "-m", "versionsync"]
CHECKOUT = Path(__file__).parents[3]


def environment(**more: str) -> dict[str, str]:
    """A small environment, with `more`; the program is found wherever it is started."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    return kept | {"PYTHONPATH": str(CHECKOUT)} | more


@contextmanager
def running(*argv: str, cwd: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """The program while the block runs; it is killed if it still lives at the end."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*PROGRAM, *argv], cwd=cwd, env=environment(**environ), **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
