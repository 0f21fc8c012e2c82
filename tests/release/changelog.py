"""The changelog: the version that is released has its section, and something to say."""

from __future__ import annotations

import re
from pathlib import Path

from tests.release.running import CHECKOUT, Failed, version

__all__ = ["check"]


def check(_: Path, __: list[str]) -> str:
    """See that the newest section of CHANGELOG.md is this version's, with a line for each change."""
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (\S+), (.+)\n((?:(?!## ).*\n?)*)", text, flags=re.MULTILINE)
    if newest is None or newest[1] != version():
        raise Failed(f"the newest section of CHANGELOG.md is not {version()}'s")
    if not re.search(r"^- \S", newest[3], flags=re.MULTILINE):
        raise Failed(f"the section {version()} of CHANGELOG.md says nothing")
    return f"{version()}, {newest[2]}: {len(re.findall('^- ', newest[3], flags=re.MULTILINE))} changes"
