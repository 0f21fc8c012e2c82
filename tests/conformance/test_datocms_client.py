"""DatoCMS's own client, driven by Node against the simulator: each check of the scripts is a test here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.conftest import Results, checks_of

SCRIPTS = (
    "reading",
    "records",
    "publishing",
    "schema",
    "environments",
    "webhooks",
    "refusals",
    "limits",
    "project",
    "roles",
    "uploads",
    "audit",
    "shapes",
)
# It compiles every answer against DatoCMS's types, which takes as long as all the other scripts.
NIGHTLY = {"shapes"}

CHECKS = [
    pytest.param(script, check, marks=[pytest.mark.nightly] * (script in NIGHTLY))
    for script in SCRIPTS
    for check in checks_of(script)
]


@pytest.mark.parametrize(("script", "check"), CHECKS)
def test_the_client_finds(script: str, check: str, run_script: Callable[[str], Results]) -> None:
    """Whatever the check's name says."""
    problem = run_script(script)[check]
    assert problem is None, problem
