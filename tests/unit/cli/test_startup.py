"""`--help` and completion are quick: what is slow to import is imported where it is used."""

from __future__ import annotations

import json
import subprocess
import sys
import time

HEAVY = {"sqlalchemy", "alembic", "httpx", "aiohttp", "structlog", "apscheduler", "psycopg", "starlette"}

LOADED = """
import json, sys
from versionsync.__main__ import main
main([{argument!r}])
print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))
"""


def loaded_by(argument: str) -> set[str]:
    run = subprocess.run([sys.executable, "-c", LOADED.format(argument=argument)], capture_output=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_help_loads_nothing_slow() -> None:
    assert loaded_by("--help") & HEAVY == set()


def test_a_wrong_command_line_loads_nothing_slow() -> None:
    assert loaded_by("snyc") & HEAVY == set()


def test_help_is_there_in_three_tenths_of_a_second() -> None:
    """The best of five: others may use this machine."""
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "versionsync", "--help"], capture_output=True, check=True)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.3, took
