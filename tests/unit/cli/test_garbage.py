"""How often the process looks for unused objects."""

from __future__ import annotations

import subprocess
import sys


def test_that_the_command_line_looks_for_cycles_rarely() -> None:
    asked = "import gc; from versionsync.__main__ import main; main(['--version']); print(gc.get_threshold()[0])"
    answered = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert answered.stdout.split()[-1] == "50000"
