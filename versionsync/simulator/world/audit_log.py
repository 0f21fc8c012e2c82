"""The audit log: who requested which change; and the filter of its queries, in the part of PartiQL that is documented.

    actor.type = 'user' AND (begins_with(action_name, 'items') OR id >= min_ulid(1767225600))

A filter has comparisons, `IN`, `IS NULL` and `IS MISSING`, `AND`, `OR`, `NOT`, and the functions `begins_with`,
`contains` and `min_ulid`. A member that an event does not have makes a condition false.
"""

from __future__ import annotations

import operator
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import msgspec

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.people_roles_tokens import Editor, Role
from versionsync.simulator.world.times import TimeFormat

__all__ = [
    "NOT_AUDITED",
    "AuditEvent",
    "AuditLog",
    "Condition",
    "action_name",
    "lowest_id",
    "occurred_at",
    "read_filter",
]

EVENTS_KEPT: Final = 1_000
MAX_PAYLOAD_BYTES: Final = 64 * 1024
"""Longer payloads are logged as empty."""
NOT_AUDITED: Final = frozenset({"/items/validate", "/items/{item_id}/validate", "/audit-log-events/query"})
"""Routes other than GET that change nothing."""

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS: Final = 80
_SUB_RESOURCES: Final = frozenset({"fields", "fieldsets", "scheduled_publication", "scheduled_unpublishing", "tracks"})
_OTHER_NAMES: Final = {"versions": "item_versions", "tracks": "upload_tracks"}
_VERBS: Final = {"POST": "create", "PUT": "update", "DELETE": "destroy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """A successful request. *request* and *response* are JSON texts, or empty."""

    id: str
    at: datetime
    action: str
    actor: Editor
    role: Role
    environment: str
    is_primary: bool
    method: str
    path: str
    request_id: str
    request: bytes
    status: int
    response: bytes

    def document(self, *, detailed: bool, read: Callable[[bytes], Any] = msgspec.Raw) -> dict[str, Any]:
        """Return the attributes; with *detailed* also the bodies, decoded by *read*."""
        request = {"id": self.request_id, "method": self.method, "path": self.path}
        return {
            "action_name": self.action,
            "actor": {"type": self.actor.kind.value, "id": self.actor.id, "name": self.actor.email or self.actor.name},
            "role": {"id": self.role.id, "name": self.role.name},
            "environment": {"id": self.environment, "primary": self.is_primary},
            "request": {**request, "payload": read(self.request or b"null")} if detailed else request,
            "response": {"status": self.status, "payload": read(self.response or b"{}")} if detailed else None,
            "impersonated": False,
        }


class AuditLog:
    """The latest events of a project, oldest first."""

    def __init__(self) -> None:
        self._events: deque[AuditEvent] = deque(maxlen=EVENTS_KEPT)
        self._latest = 0

    @cached_property
    def _random(self) -> random.Random:
        """Created when needed: it takes 2.5 KB, and most of a thousand projects are only read."""
        return random.Random("audit log")  # noqa: S311 - repeatable on purpose

    def add(self, at: datetime, **members: Any) -> None:
        """Log an event at *at*; *members*: the others of `AuditEvent`, except `id`."""
        self._latest = max(self._latest + 1, _ulid_number(at) | self._random.getrandbits(_RANDOM_BITS))
        for payload in ("request", "response"):
            if len(members[payload]) > MAX_PAYLOAD_BYTES:
                members[payload] = b""
        members["request"] = members["request"].strip()
        self._events.append(AuditEvent(id=_ulid(self._latest), at=at, **members))

    def __iter__(self) -> Iterator[AuditEvent]:
        return iter(self._events)

    def __reversed__(self) -> Iterator[AuditEvent]:
        return reversed(self._events)


def action_name(method: str, route: str) -> str:
    """Return upstream's name of an action: `items.publish`, `item_bulk_operations.destroy`, `fields.create`."""
    names = [part.replace("-", "_") for part in route.strip("/").split("/") if not part.startswith("{")]
    match names:
        case [resources, "bulk", action]:
            return f"{resources.removesuffix('s')}_bulk_operations.{action}"
        case [_, sub] if sub in _SUB_RESOURCES:
            plural = sub if sub.endswith("s") else f"{sub}s"
            return f"{_OTHER_NAMES.get(plural, plural)}.{_VERBS[method]}"
        case [resources, *_, action]:
            return f"{_OTHER_NAMES.get(resources, resources)}.{action}"
        case _:
            resources = names[0] if names else ""
            return f"{_OTHER_NAMES.get(resources, resources)}.{_VERBS.get(method, method.lower())}"


def lowest_id(seconds: float) -> str:
    """Return the lowest id of an event at this Unix time."""
    return _ulid(_ulid_number(datetime.fromtimestamp(seconds, UTC)))


def occurred_at(event: AuditEvent) -> str:
    """Return the time of *event* in the form of the log: UTC with milliseconds."""
    return TimeFormat(UTC, milliseconds=True).show(event.at)


def _ulid_number(at: datetime) -> int:
    return int(at.timestamp() * 1000) << _RANDOM_BITS


def _ulid(number: int) -> str:
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


Value = Callable[[Mapping[str, Any]], Any]
"""The value of an expression for an event."""
Condition = Callable[[Mapping[str, Any]], bool]

MAX_FILTER_LENGTH: Final = 4_096
MAX_DEPTH: Final = 50
"""The maximum nesting of parentheses and NOT."""

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
    """Return the condition in *text*. Raise ApiError (422)."""
    if len(text) > MAX_FILTER_LENGTH:
        raise _error("too long")
    parser = _Parser(_tokens(text))
    value = parser.disjunction(0)
    if parser.kind:
        raise _error(f"unexpected {parser.token}")
    return lambda event: value(event) is True


class _Parser:
    """A recursive descent parser: `disjunction` reads the largest part of a condition, `_operand` the smallest."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def kind(self) -> str:
        """The kind of the next token; empty at the end."""
        return self._tokens[self._position][0]

    @property
    def token(self) -> str:
        return self._tokens[self._position][1]

    def disjunction(self, depth: int) -> Value:
        """Read conditions with OR between them."""
        return self._joined("OR", any, self._conjunction, depth)

    def _conjunction(self, depth: int) -> Value:
        return self._joined("AND", all, self._negation, depth)

    def _joined(
        self, word: str, holds: Callable[[Iterable[bool]], bool], part: Callable[[int], Value], depth: int
    ) -> Value:
        found = [part(depth)]
        while self._accept(word):
            found.append(part(depth))
        return found[0] if len(found) == 1 else lambda event: holds(one(event) is True for one in found)

    def _negation(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise _error("nested too deeply")
        if self._accept("NOT"):
            inner = self._negation(depth + 1)
            return lambda event: inner(event) is False
        if self._accept("("):
            inner = self.disjunction(depth + 1)
            self._expect(")")
            return inner
        return self._condition()

    def _condition(self) -> Value:
        left = self._operand()
        if self.token in _COMPARISONS and self.kind == "sign":
            compare = _COMPARISONS[self._next()]
            return _comparison(compare, left, self._operand())
        if self._accept("IN"):
            choices = self._arguments()
            return lambda event: any(_same(left(event), choice(event)) for choice in choices)
        if self._accept("IS"):
            wanted = not self._accept("NOT")
            expected = None if self._accept("NULL") else _MISSING
            if expected is _MISSING:
                self._expect("MISSING")
            return lambda event: (left(event) is expected) is wanted
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
            raise _error(f"unexpected {token}")
        if self._is_next("("):
            return _function(token.lower(), self._arguments())
        if token.upper() in _LITERALS:
            literal = _LITERALS[token.upper()]
            return lambda event: literal
        parts = [quoted or (int(index) if index else plain) for quoted, index, plain in _PART.findall(token)]
        return lambda event: _member(event, parts)

    def _arguments(self) -> list[Value]:
        self._expect("(")
        found = [self._operand()]
        while self._accept(","):
            found.append(self._operand())
        self._expect(")")
        return found

    def _accept(self, word: str) -> bool:
        """Read the next token if it is *word*; return whether it was."""
        found = self._is_next(word)
        self._position += found
        return found

    def _is_next(self, word: str) -> bool:
        return self.kind in {"name", "sign"} and self.token.upper() == word

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise _error(f"{word} expected instead of {self.token}")

    def _next(self) -> str:
        token = self.token
        self._position += bool(self.kind)
        return token


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _error(f"unexpected {text[at]}")
        if token.lastgroup:
            found.append((token.lastgroup, token[0]))
        at = token.end()
    return [*found, ("", "end")]


def _function(name: str, arguments: list[Value]) -> Value:
    match name, arguments:
        case "begins_with", [text, start]:
            return lambda event: _compare_texts(str.startswith, text(event), start(event))
        case "contains", [text, part]:
            return lambda event: _compare_texts(str.__contains__, text(event), part(event))
        case "min_ulid", [seconds]:
            return lambda event: _lowest_id(seconds(event))
        case _:
            raise _error(f"no function {name} of {len(arguments)}")


def _lowest_id(seconds: Any) -> Any:
    in_range = isinstance(seconds, int | float) and 0 <= seconds < 2**31
    return lowest_id(seconds) if in_range else _MISSING


def _compare_texts(test: Callable[[str, str], bool], text: Any, part: Any) -> bool:
    return isinstance(text, str) and isinstance(part, str) and test(text, part)


def _comparison(compare: Callable[[Any, Any], bool], left: Value, right: Value) -> Value:
    def compared(event: Mapping[str, Any]) -> bool:
        one, other = left(event), right(event)
        if one is _MISSING or other is _MISSING:
            return False
        if compare in {operator.eq, operator.ne}:
            return compare(_same(one, other), True)
        comparable = all(isinstance(side, str) for side in (one, other)) or all(
            isinstance(side, int | float | Decimal) for side in (one, other)
        )
        return comparable and compare(one, other)

    return compared


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal; unlike in Python, true and 1 are not."""
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


def _error(reason: str) -> ApiError:
    return ApiError("INVALID_ATTRIBUTES", attribute="filter", reason=reason)
