"""`python -m tests.mutation`: change the program in small ways, one at a time, and count what the tests notice.

Each mutant runs in a copy of the tree, against the tests of its layer. The results go to a file, one line each; run the
command again to go on where it stopped. A mutant that survives either changes nothing that matters, or lacks a test.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.mutation.mutants import Mutant, find_mutants
from tests.mutation.running import LAYERS, ROOT, Copy, Verdict

FOREVER = 3600.0
LEFT_OUT = {"dictionary.py"}  # the generator of a page that is compared with what is committed


def main() -> None:
    """Draw mutants, try those that the file of results does not know yet, and print a table."""
    parser = argparse.ArgumentParser("python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=150, help="how many mutants (150)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument("--only", default="", help="try those again whose name contains this, whatever is known")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=2, help="how many at once (2)")
    parser.add_argument("--results", type=Path, default=Path("mutation.ndjson"), help="a file (mutation.ndjson)")
    parser.add_argument("--list", action="store_true", help="print the mutants, and try none")
    options = parser.parse_args()
    random.seed(options.seed)
    mutants = [mutant for mutant in draw(options.count) if options.only in mutant.key]
    verdicts: dict[str, Verdict] = {}
    for line in options.results.read_text().splitlines() if options.results.exists() else []:
        entry = json.loads(line)
        verdicts[entry["mutant"]] = Verdict(entry["outcome"], entry["seconds"], entry["by"])
    if options.list:
        print(*(mutant.key for mutant in mutants), sep="\n")
    else:
        todo = [mutant for mutant in mutants if options.only or mutant.key not in verdicts]
        try_all(todo, verdicts, options.results, workers=options.workers)
        print_table([mutant for mutant in mutants if mutant.key in verdicts], verdicts)


def draw(count: int) -> list[Mutant]:
    """Draw `count` mutants: from each layer as many, and of each kind of change alike."""
    stocks: list[dict[str, list[Mutant]]] = []
    for layer in LAYERS:
        stock: dict[str, list[Mutant]] = defaultdict(list)
        for file in sorted((ROOT / "versionsync" / layer).rglob("*.py")):
            if file.name not in LEFT_OUT:
                for mutant in find_mutants(file.relative_to(ROOT).as_posix(), file.read_bytes()):
                    stock[mutant.operator].append(mutant)
        stocks.append(stock)
    drawn: list[Mutant] = []
    while len(drawn) < count and any(stocks):
        for stock in filter(None, stocks):
            operator = random.choice(sorted(stock))
            drawn.append(stock[operator].pop(random.randrange(len(stock[operator]))))
            if not stock[operator]:
                del stock[operator]
    return drawn[:count]


def try_all(mutants: Sequence[Mutant], verdicts: dict[str, Verdict], results: Path, *, workers: int) -> None:
    """Try the mutants, each in a copy that no other one uses. Without a mutant, all tests must pass."""
    with ExitStack() as stack:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for _ in range(workers if mutants else 0):
            copies.put(Copy(Path(stack.enter_context(TemporaryDirectory(prefix="mutation-")))))

        def try_one(what: Mutant | str) -> None:
            """Try a mutant, or the tests of the layer of that name, which are to pass."""
            copy = copies.get()
            try:
                if isinstance(what, str):
                    key, verdict = f"nothing in {what}", copy.run_tests(f"versionsync/{what}/", limit=FOREVER)
                else:
                    usual = verdicts[f"nothing in {layer_of(what)}"].seconds
                    key, verdict = what.key, copy.try_mutant(what, limit=60 + 3 * usual)
            finally:
                copies.put(copy)
            if isinstance(what, str) and verdict.outcome != "survived":
                sys.exit(f"the tests of {what} fail without any mutant: {verdict.by}")
            with results.open("a") as file:
                file.write(json.dumps({"mutant": key, **asdict(verdict)}) + "\n")
            verdicts[key] = verdict
            print(f"{verdict.outcome:9} {verdict.seconds:5.0f} s  {key}", flush=True)

        layers = sorted({layer_of(mutant) for mutant in mutants})
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(try_one, [layer for layer in layers if f"nothing in {layer}" not in verdicts]))
            list(pool.map(try_one, mutants))


def layer_of(mutant: Mutant) -> str:
    """Return the folder of the program that a mutant is in."""
    return mutant.path.split("/")[1]


def print_table(mutants: Sequence[Mutant], verdicts: dict[str, Verdict]) -> None:
    """Print how many mutants of each layer were killed, and those that survived."""
    counts = Counter((layer_of(mutant), verdicts[mutant.key].outcome) for mutant in mutants)
    print("| layer | killed | timed out | survived |", "| --- | --- | --- | --- |", sep="\n")
    for layer in LAYERS:
        print(
            f"| {layer} | " + " | ".join(str(counts[layer, each]) for each in ("killed", "timed out", "survived")), "|"
        )
    for mutant in mutants:
        if verdicts[mutant.key].outcome == "survived":
            print(f"\n{mutant.path}:{mutant.line} {mutant.operator}\n  - {mutant.before}\n  + {mutant.after}")


if __name__ == "__main__":
    main()
