"""`python -m tests.soak [SECONDS] [SEED]`: soak for so long, half an hour if nothing is said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.soak.plan import SECONDS_VARIABLE, SEED_VARIABLE

for variable, value in zip((SECONDS_VARIABLE, SEED_VARIABLE), (*sys.argv[1:], "1800")[:2], strict=False):
    os.environ.setdefault(variable, value)
sys.exit(pytest.main(["-p", "no:cacheprovider", "-s", str(Path(__file__).parent)]))
