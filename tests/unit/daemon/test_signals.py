"""The process ends within two seconds after SIGTERM, whatever it does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

BUSY = """
import asyncio
import time
from versionsync.daemon.stop_signals import handled

async def main():
    stopped = asyncio.Event()
    with handled(stop=stopped.set, reload=lambda: print("again", flush=True)):
        print("ready", flush=True)
        {work}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "work",
    ["await stopped.wait()", "time.sleep(60)", "while True: pass", "await stopped.wait(); time.sleep(60)"],
    ids=["idle", "blocked", "busy", "a stuck clean-up"],
)
def test_it_ends_within_two_seconds_with_exit_code_0(work: str) -> None:
    """Cleanly if possible, at once otherwise. The limit here is longer for a busy machine."""
    with subprocess.Popen([sys.executable, "-c", BUSY.format(work=work)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert time.monotonic() - began < 30  # without a limit it would take a minute


def test_sighup_reloads_each_time_and_does_not_end_the_process() -> None:
    code = BUSY.format(work="await stopped.wait()")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline() == "again\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
