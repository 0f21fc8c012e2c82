"""`python -m tests.release COMMAND`: make and prove a release. Everything goes to `dist/`, or where `--out` says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.release import building, changelog, materials, single_file, suites
from tests.release.running import Failed

COMMANDS: dict[str, Callable[[Path, list[str]], str]] = {
    "changelog": changelog.check,
    "build": building.build,
    "sbom": materials.list_materials,
    "single-file": single_file.make,
    "floors": suites.run_with_lowest,
    "newest": suites.run_with_newest,
}


def main() -> None:
    """Run one command, or `all` in this order; what follows goes to pytest, where the command runs it."""
    words = "\n".join(f"  {name:12} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.release",
        description=f"{__doc__}\n\n{words}\n  all          All of them, in this order.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=[*COMMANDS, "all"], metavar="COMMAND")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the folder for what is made (dist)")
    options, rest = parser.parse_known_args()
    out: Path = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    for name in COMMANDS if options.command == "all" else [options.command]:
        print(f"== {name}", flush=True)
        try:
            print(COMMANDS[name](out, rest), flush=True)
        except Failed as failed:
            sys.exit(f"{name}: {failed}")


if __name__ == "__main__":
    main()
