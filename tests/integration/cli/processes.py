"""The program as a process of its own, as a shell or a service manager starts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.fixtures.forked_program import ForkedProgram, environment

__all__ = ["PROGRAM", "environment", "ran", "running", "started"]

PROGRAM: Final = [sys.executable, "-m", "versionsync"]
READ_AT_START: Final = ("LANG", "LC_", "PROMETHEUS_", "PYTHON")
"""What variables begin with that Python or a library reads before the program runs."""

always_fresh = not sys.platform.startswith("linux")
"""Whether each process loads the program anew; `--nightly` sets it."""


def started(
    argv: Sequence[str | bytes], *, cwd: Path, environ: dict[str, str], is_fresh: bool = False, **streams: Any
) -> subprocess.Popen[Any]:
    """Start the program. `is_fresh`: what it does before it runs, or how others see the process, matters."""
    env = environment(**environ)
    if is_fresh or always_fresh or any(name.startswith(READ_AT_START) for name in environ):
        return subprocess.Popen([*PROGRAM, *argv], cwd=cwd, env=env, **streams)
    return ForkedProgram(argv, cwd=cwd, env=env, **streams)


def ran(
    *argv: str | bytes, cwd: Path, stdout: Any = subprocess.PIPE, stderr: Any = subprocess.PIPE, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """Let the program run to its end."""
    with started(argv, cwd=cwd, environ=environ, stdout=stdout, stderr=stderr) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


@contextmanager
def running(*argv: str, cwd: Path, is_fresh: bool = False, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """The program while the block runs; it is killed if it still lives at the end."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with started(argv, cwd=cwd, environ=environ, is_fresh=is_fresh, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
