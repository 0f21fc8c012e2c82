"""The command line: `python -m benchmarks [all|requests|…|simulator] [--small|--large] [--write]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

__all__ = ["main"]

NAMES = (
    "requests",
    "following",
    "fleet",
    "speed",
    "official",
    "memory",
    "pace",
    "diff",
    "blame",
    "projections",
    "questions",
    "grep",
    "restore",
    "export",
    "copy",
    "simulator",
)


def main() -> None:
    """Run the requested measurements, print them, and write them to the requested file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the mirror costs.")
    parser.add_argument("what", nargs="?", default="all", choices=("all", *NAMES))
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="a tenth of everything: a minute or two in all")
    size.add_argument(
        "--large",
        action="store_true",
        help="memory and copies at a million versions, a thousand sources, five minutes of pace",
    )
    parser.add_argument("--write", action="store_true", help="write the results into docs/performance.md")
    arguments = parser.parse_args()

    # Imported here: every measured process imports this module again, and must not import the rest.
    import psycopg
    from rich.console import Console

    from benchmarks import copy_mirror, page, restore, simulator
    from benchmarks.daemon import latency as following
    from benchmarks.databases import Databases, databases
    from benchmarks.engine import memory, requests, speed
    from benchmarks.engine import rate as pace
    from benchmarks.fleet import measure as fleet
    from benchmarks.history import blame, diff, export, grep, projections, questions
    from benchmarks.tables import Table

    small, large = arguments.small, arguments.large
    benches: dict[str, Callable[[Databases], list[Table]]] = {
        "requests": lambda made: requests.measure(made, small=small),
        "following": lambda made: following.measure(made, small=small),
        "fleet": lambda made: fleet.measure(made, small=small, large=large),
        "speed": lambda made: speed.measure(made, small=small),
        "official": lambda made: speed.measure_beside_official_client(made, small=small, large=large),
        "memory": lambda made: memory.measure(made, small=small, large=large),
        "pace": lambda made: pace.measure(made, small=small, large=large),
        "diff": lambda _: diff.measure(small=small),
        "blame": lambda _: blame.measure(small=small),
        "projections": lambda made: projections.measure(made, small=small),
        "questions": lambda made: questions.measure(made, small=small, large=large),
        "grep": lambda made: grep.measure(made, small=small, large=large),
        "restore": lambda made: restore.measure(made, small=small),
        "copy": lambda made: copy_mirror.measure(made, small=small, large=large),
        "export": lambda made: export.measure(made, small=small, large=large),
        "simulator": lambda _: simulator.measure(small=small),
    }
    console = Console()
    with databases() as made:
        with psycopg.connect(made.postgres().url) as connection:
            described = page.machine(connection.info.parameter_status("server_version") or "?")
        console.print(described, end="\n\n")
        for name, measure in benches.items():
            if arguments.what in ("all", name):
                tables = measure(made)
                for table in tables:
                    table.show(console)
                if arguments.write:
                    page.write(name, tables, described)


if __name__ == "__main__":
    main()
