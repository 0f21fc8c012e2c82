"""`python -m tests.nightly.soak [SECONDS] [SEED]`: soak for so long, half an hour if nothing is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.nightly.soak.plan import SECONDS_VARIABLE, SEED_VARIABLE

SECONDS, SEED = (*sys.argv[1:], *("1800", "1")[len(sys.argv) - 1 :])[:2]
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", str(Path(__file__).parent)]

# In a process of its own: how long it takes is read when its plan is imported.
sys.exit(subprocess.run(PYTEST, env={**os.environ, SECONDS_VARIABLE: SECONDS, SEED_VARIABLE: SEED}).returncode)
