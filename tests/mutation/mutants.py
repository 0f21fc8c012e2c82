"""Find the small changes of a source file that a test should notice. Pure.

Left out is what changes no behaviour: docstrings, texts, logging, annotations, decorators, `__all__`, imports that only
types need, and the arguments of an exception that is raised.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Mutant", "find_mutants"]

COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
LOG_METHODS: Final = {"debug", "info", "warning", "error", "exception", "critical", "log"}
COMPOUND: Final = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
# `strict` guards against our own mistakes; the others choose the form of an object or a column, not what it does.
KEYWORDS_LEFT_OUT: Final = {"strict", "frozen", "slots", "kw_only", "repr", "nullable", "autoincrement"}
FIELDS_LEFT_OUT: Final = {"annotation", "returns", "decorator_list", "type_params"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the bytes from `start` to `end` of the file at `path` become `after`."""

    path: str
    line: int
    operator: str
    start: int
    end: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """A name for this mutant, the same in each run on the same source."""
        return f"{self.path}:{self.line}:{self.start} {self.operator}: {' '.join(self.after.split())}"

    def apply(self, source: bytes) -> bytes:
        """Return the source of the mutated file."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def find_mutants(path: str, source: bytes) -> list[Mutant]:
    """Return all mutants of one file, in the order of the source."""
    return [*_Finder(path, source).find(ast.parse(source), in_function=False)]


class _Finder:
    """The walk through one file."""

    def __init__(self, path: str, source: bytes) -> None:
        self._path = path
        self._source = source
        self._line_starts = [0]
        for line in source.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))

    def find(self, node: ast.AST, *, in_function: bool) -> Iterator[Mutant]:
        """Yield the mutants of `node` and of all within it."""
        if _is_left_out(node):
            return
        for operator, part, after in self._changes(node, in_function=in_function):
            start, end = self._span(part)
            before = self._source[start:end].decode()
            yield Mutant(self._path, part.lineno, operator, start, end, before, after)
        inner = in_function or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for name, value in ast.iter_fields(node):
            is_class_option = isinstance(node, ast.ClassDef) and name == "keywords"
            if name not in FIELDS_LEFT_OUT and not is_class_option and not isinstance(node, ast.Raise):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from self.find(child, in_function=inner)

    def _changes(self, node: ast.AST, *, in_function: bool) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
        """Yield for each change its kind, the part that is replaced, and what replaces it."""
        text = self._text
        match node:
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.comprehension(ifs=[test]):
                yield "negate a condition", test, f"(not ({text(test)}))"
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
                yield "swap a comparison", node, f"({text(left)} {COMPARISONS[type(op)]} {text(right)})"
            case ast.BoolOp(op=op, values=values):
                word = " or " if isinstance(op, ast.And) else " and "
                yield "swap and/or", node, f"({word.join(f'({text(each)})' for each in values)})"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield "remove not", node, f"({text(operand)})"
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right) if not _has_text(left, right):
                sign = "-" if isinstance(op, ast.Add) else "+"
                yield "swap + and -", node, f"({text(left)} {sign} ({text(right)}))"
            case ast.Constant(value=bool(value)):
                yield "change a constant", node, str(not value)
            case ast.Constant(value=(int() | float()) as value):
                # A limit or a pause of a whole module is taken away; elsewhere a number is off by one.
                yield "change a constant", node, repr(value + 1 if in_function or not value else type(value)(0))
            case ast.Expr(value=ast.Await()):
                yield "drop an awaited call", node, "pass"
            case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
                yield "drop a statement", node, "pass"
            # Without a `self._a = a` of a constructor nothing would work, which any test shows.
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()], value=value) if not isinstance(
                value, ast.Name
            ):
                yield "drop a statement", node, "pass"
            case ast.FunctionDef(body=[*_, last]) | ast.AsyncFunctionDef(body=[*_, last]):
                if isinstance(last, COMPOUND):
                    yield "return early", last, "return"
                if isinstance(node.returns, ast.Name) and node.returns.id == "bool":
                    for each in ast.walk(node):
                        if isinstance(each, ast.Return) and each.value and not isinstance(each.value, ast.Constant):
                            yield "return the opposite", each.value, f"(not ({text(each.value)}))"

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = self._line_starts[node.lineno - 1] + node.col_offset
        return start, self._line_starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return (
            f"({self._source[start:end].decode()})"
            if node.lineno != node.end_lineno
            else self._source[start:end].decode()
        )


def _is_left_out(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=value, attr=attr))):
            return attr in LOG_METHODS and "log" in ast.unparse(value)
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case _:
            return isinstance(node, ast.keyword) and node.arg in KEYWORDS_LEFT_OUT


def _has_text(*nodes: ast.expr) -> bool:
    return any(
        isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))
        for node in nodes
    )
