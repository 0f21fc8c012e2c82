"""How long a soak takes, what happens in it how often, and what must be true at its end."""

from __future__ import annotations

import os
from typing import Final

from versionsync.simulator import FaultKind

__all__ = ["EDITS_A_SECOND", "FAULTS", "QUIET_SECONDS", "SECONDS", "SECONDS_VARIABLE", "SEED", "SEED_VARIABLE"]

SECONDS_VARIABLE: Final = "VERSIONSYNC_SOAK_SECONDS"
SEED_VARIABLE: Final = "VERSIONSYNC_TEST_SEED"

SECONDS: Final = float(os.environ.get(SECONDS_VARIABLE, "0"))
SEED: Final = int(os.environ.get(SEED_VARIABLE, "1"))

EDITS_A_SECOND: Final = 2.0
FAULTS: Final = dict.fromkeys(FaultKind, 0.05 / len(FaultKind))
"""One request in twenty goes wrong, in every way alike."""

QUIET_SECONDS: Final = 420.0
"""Until all is mirrored when the mischief is over: the longest wait after failures in a row is five minutes."""
