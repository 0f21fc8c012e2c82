"""Write the files that are made from the code: `python -m docs.generate`. With `--check`, only compare them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from docs.generate.commands_page import commands_page
from docs.generate.metrics_page import metrics_page
from docs.generate.schema_page import schema_page
from docs.generate.settings_page import settings_page
from versionsync.config.example_file import example_file
from versionsync.systemd.units import UnitOptions, units_of

__all__ = ["files", "main"]

ROOT: Final = Path(__file__).resolve().parents[2]
UNITS: Final = ROOT / "deploy" / "systemd"


def files() -> Mapping[Path, str]:
    """Return the text of each generated file."""
    variants = [UnitOptions(timer=timer, instance=instance) for timer in (False, True) for instance in (None, "%i")]
    return {
        ROOT / "docs" / "commands.md": commands_page(),
        ROOT / "docs" / "metrics.md": metrics_page(),
        ROOT / "docs" / "schema.md": schema_page(),
        ROOT / "docs" / "settings.md": settings_page(),
        ROOT / "docs" / "versionsync.example.toml": example_file(),
        **{UNITS / unit.name: unit.text for options in variants for unit in units_of(options)},
    }


def main(argv: Sequence[str]) -> int:
    """Write the files, or with `--check` compare them; return 1 if one is not current."""
    wanted = files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in UNITS.glob("versionsync*") if path not in wanted]
    if "--check" in argv:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not current: python -m docs.generate\n")
        return int(bool(stale))
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
