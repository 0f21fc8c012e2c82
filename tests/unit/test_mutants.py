"""What `python -m tests.mutation` changes, and what it leaves alone."""

from __future__ import annotations

import ast

from tests.mutation.mutants import find_mutants

SOURCE = b'''
"""Some text about 7 things."""

__all__ = ["keeps"]
MOST: Final = 3

@dataclass(frozen=True)
class Kept(Struct, frozen=True):
    number: Literal[1] = 0

async def keeps(values: list[int], *, is_new: bool = False) -> bool:
    """Text."""
    log.info("kept", number=1)
    if not values:
        raise ValueError(f"none of {1 + 1}")
    await told(len(values))
    return len(values) <= MOST and values[0] is not None
'''


def test_each_change_is_one_that_a_test_should_notice() -> None:
    """Neither texts, logging, annotations, decorators nor the arguments of an exception."""
    found = {(mutant.operator, mutant.before, mutant.after) for mutant in find_mutants("x.py", SOURCE)}
    returned = "len(values) <= MOST and values[0] is not None"
    assert found == {
        ("change a constant", "3", "0"),
        ("change a constant", "0", "1"),
        ("change a constant", "False", "True"),
        ("negate a condition", "not values", "(not (not values))"),
        ("remove not", "not values", "(values)"),
        ("drop a statement", 'raise ValueError(f"none of {1 + 1}")', "pass"),
        ("drop an awaited call", "await told(len(values))", "pass"),
        ("return the opposite", returned, f"(not ({returned}))"),
        ("swap and/or", returned, "((len(values) <= MOST) or (values[0] is not None))"),
        ("swap a comparison", "len(values) <= MOST", "(len(values) < MOST)"),
        ("swap a comparison", "values[0] is not None", "(values[0] is None)"),
    }


def test_each_mutant_is_another_program() -> None:
    """It can be read by Python, and is not the same."""
    original = ast.dump(ast.parse(SOURCE))
    for mutant in find_mutants("x.py", SOURCE):
        assert ast.dump(ast.parse(mutant.apply(SOURCE))) != original, mutant.key
