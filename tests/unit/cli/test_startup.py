"""`--help` and completion are quick: what is slow to import is imported where it is used."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

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


@pytest.mark.nightly
def test_help_takes_much_less_than_a_sync_needs_to_begin() -> None:
    """Of the processor's time, the best of five each: others may use this machine."""
    helped, loaded = least_seconds("-m", "versionsync", "--help"), least_seconds("-c", "import versionsync.sync")
    assert helped < loaded * 0.65, (helped, loaded)


def least_seconds(*arguments: str) -> float:
    """The least that Python took of the processor's time for it."""
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took)
