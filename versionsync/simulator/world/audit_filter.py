"""The filter of the audit log: conditions on the members of an event, in the part of PartiQL that its vendor shows.

    actor.type = 'user' AND (begins_with(action_name, 'items') OR id >= min_ulid(1767225600))

There are comparisons, `IN`, `IS NULL` and `IS MISSING`, `AND`, `OR`, `NOT`, and the functions `begins_with`, `contains`
and `min_ulid`. A member that an event does not have makes a condition false.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.audit_log import lowest_id

__all__ = ["Condition", "read_filter"]

Value = Callable[[Mapping[str, Any]], Any]
"""What an expression says of an event."""
Condition = Callable[[Mapping[str, Any]], bool]

LONGEST_FILTER: Final = 4_096
DEEPEST: Final = 50
"""How many parentheses and NOTs may stand in each other."""

_TOKEN: Final = re.compile(
    r"""\s+|--[^\n]*
    |(?P<text>'(?:[^']|'')*')
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<name>(?:[A-Za-z_]\w*|"[^"]+")(?:\.(?:[A-Za-z_]\w*|"[^"]+")|\[\d+\])*)
    |(?P<sign><>|!=|<=|>=|[=<>(),])""",
    re.VERBOSE,
)
_PART: Final = re.compile(r'"([^"]+)"|\[(\d+)\]|(\w+)')
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LITERALS: Final = {"TRUE": True, "FALSE": False, "NULL": None}
_MISSING: Final = object()


def read_filter(text: str) -> Condition:
    """Return the condition that *text* states. Raises Refused (422)."""
    if len(text) > LONGEST_FILTER:
        raise _refused("too long")
    parser = _Parser(_tokens(text))
    value = parser.either(0)
    if parser.kind:
        raise _refused(f"unexpected {parser.token}")
    return lambda event: value(event) is True


class _Parser:
    """Reads tokens from left to right; `either` and the methods below it read ever smaller parts."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def kind(self) -> str:
        """The kind of the next token; empty at the end."""
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    @property
    def token(self) -> str:
        """The next token."""
        return self._tokens[self._at][1] if self._at < len(self._tokens) else "end"

    def either(self, depth: int) -> Value:
        """Conditions with OR between them."""
        found = [self._both(depth)]
        while self._takes("OR"):
            found.append(self._both(depth))
        return found[0] if len(found) == 1 else lambda event: any(one(event) is True for one in found)

    def _both(self, depth: int) -> Value:
        found = [self._negated(depth)]
        while self._takes("AND"):
            found.append(self._negated(depth))
        return found[0] if len(found) == 1 else lambda event: all(one(event) is True for one in found)

    def _negated(self, depth: int) -> Value:
        if depth > DEEPEST:
            raise _refused("nested too deeply")
        if self._takes("NOT"):
            inner = self._negated(depth + 1)
            return lambda event: inner(event) is False
        if self._takes("("):
            inner = self.either(depth + 1)
            self._demand(")")
            return inner
        return self._compared()

    def _compared(self) -> Value:
        left = self._operand()
        if self.token in _COMPARISONS and self.kind == "sign":
            compare = _COMPARISONS[self._next()]
            return _comparison(compare, left, self._operand())
        if self._takes("IN"):
            choices = self._arguments()
            return lambda event: any(_same(left(event), choice(event)) for choice in choices)
        if self._takes("IS"):
            wanted = not self._takes("NOT")
            sought = None if self._takes("NULL") else _MISSING
            if sought is _MISSING:
                self._demand("MISSING")
            return lambda event: (left(event) is sought) is wanted
        return left

    def _operand(self) -> Value:
        kind, token = self.kind, self._next()
        if kind == "text":
            text = token[1:-1].replace("''", "'")
            return lambda event: text
        if kind == "number":
            number = float(token) if "." in token else int(token)
            return lambda event: number
        if kind != "name":
            raise _refused(f"unexpected {token}")
        if self._is_next("("):
            return _function(token.lower(), self._arguments())
        if token.upper() in _LITERALS:
            literal = _LITERALS[token.upper()]
            return lambda event: literal
        parts = [quoted or (int(index) if index else plain) for quoted, index, plain in _PART.findall(token)]
        return lambda event: _member(event, parts)

    def _arguments(self) -> list[Value]:
        self._demand("(")
        found = [self._operand()]
        while self._takes(","):
            found.append(self._operand())
        self._demand(")")
        return found

    def _takes(self, word: str) -> bool:
        """Whether the next token is *word*, which is then read."""
        found = self._is_next(word)
        self._at += found
        return found

    def _is_next(self, word: str) -> bool:
        return self.kind in {"name", "sign"} and self.token.upper() == word

    def _demand(self, word: str) -> None:
        if not self._takes(word):
            raise _refused(f"{word} expected instead of {self.token}")

    def _next(self) -> str:
        token = self.token
        self._at += 1
        return token


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _refused(f"unexpected {text[at]}")
        if token.lastgroup:
            found.append((token.lastgroup, token[0]))
        at = token.end()
    return found


def _function(name: str, arguments: list[Value]) -> Value:
    match name, arguments:
        case "begins_with", [whole, start]:
            return lambda event: _of_texts(str.startswith, whole(event), start(event))
        case "contains", [whole, part]:
            return lambda event: _of_texts(str.__contains__, whole(event), part(event))
        case "min_ulid", [seconds]:
            return lambda event: _lowest_id(seconds(event))
        case _:
            raise _refused(f"no function {name} of {len(arguments)}")


def _lowest_id(seconds: Any) -> Any:
    in_range = isinstance(seconds, int | float) and 0 <= seconds < 2**31
    return lowest_id(seconds) if in_range else _MISSING


def _of_texts(test: Callable[[str, str], bool], whole: Any, part: Any) -> bool:
    return isinstance(whole, str) and isinstance(part, str) and test(whole, part)


def _comparison(compare: Callable[[Any, Any], bool], left: Value, right: Value) -> Value:
    def compared(event: Mapping[str, Any]) -> bool:
        one, other = left(event), right(event)
        if one is _MISSING or other is _MISSING:
            return False
        if compare in {operator.eq, operator.ne}:
            return compare(_same(one, other), True)
        alike = all(isinstance(side, str) for side in (one, other)) or all(
            isinstance(side, int | float | Decimal) for side in (one, other)
        )
        return alike and compare(one, other)

    return compared


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal: of true and 1, Python says so."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _member(event: Any, parts: list[Any]) -> Any:
    value = event
    for part in parts:
        match value, part:
            case Mapping(), str() if part in value:
                value = value[part]
            case list(), int() if part < len(value):
                value = value[part]
            case _:
                return _MISSING
    return value


def _refused(reason: str) -> ApiError:
    return ApiError("INVALID_ATTRIBUTES", details={"attribute": "filter", "reason": reason})
