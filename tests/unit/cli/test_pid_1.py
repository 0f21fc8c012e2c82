"""In a container it is process 1, whom a signal without a handler does not end."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from versionsync.cli.exit_codes import ExitCode

CODE = """
import os, signal, time
own, os.getpid = os.getpid(), lambda: {seen}
from versionsync.__main__ import main
main(["--version"])
os.kill(own, signal.SIGTERM)
time.sleep(10)
"""


@pytest.mark.parametrize(("seen", "code"), [(1, ExitCode.INTERRUPTED), (2, -signal.SIGTERM)])
def test_sigterm_ends_it_wherever_nothing_better_is_done_about_it(seen: int, code: int) -> None:
    """And elsewhere it is the kernel's business, as ever."""
    ran = subprocess.run([sys.executable, "-c", CODE.format(seen=seen)], check=False, timeout=60, capture_output=True)
    assert ran.returncode == code, ran.stderr


def test_one_that_came_before_it_could_be_heeded_is_heeded_then() -> None:
    """As the image has it: blocked, so that the kernel keeps it."""
    early = "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); "
    early += "os.kill(os.getpid(), signal.SIGTERM)"
    code = early + CODE.format(seen=1)
    ran = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (ExitCode.INTERRUPTED, "")
