"""The list of materials: what a user gets with the wheel, with versions and licences, as CycloneDX."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.release.running import Failed, make_environment, run, the_one, version

__all__ = ["list_materials"]

EXTRAS = "postgres,notices,otel"


def list_materials(out: Path, _: list[str]) -> str:
    """Write a CycloneDX list (SBOM) of the wheel and all that it installs today, with every extra for users."""
    wheel = the_one(out, f"versionsync-{version()}-*.whl")
    target = out / f"versionsync-{version()}.cdx.json"
    with TemporaryDirectory(prefix="versionsync-sbom-") as scratch:
        python = make_environment(Path(scratch) / "environment", f"versionsync[{EXTRAS}] @ {wheel.as_uri()}")
        options = ["--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON", "--output-file", target]
        run(sys.executable, "-m", "cyclonedx_py", "environment", *options, python)
    # Where this build found the wheel is nobody's business, and differs from machine to machine.
    listed = json.loads(target.read_text())
    for component in listed["components"]:
        component.pop("externalReferences", None)
    target.write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n")
    names = {component["name"] for component in listed["components"]}
    if missing := {"versionsync", "sqlalchemy", "psycopg", "apprise"} - {name.lower() for name in names}:
        raise Failed(f"{target.name} lacks {', '.join(sorted(missing))}")
    return f"{target.name}: {len(names)} components"
