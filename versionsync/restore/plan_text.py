"""A plan as JSON: the form in which the mirror keeps it, its hash, and the file that names it. Pure.

Contents are kept as the exact text that is sent, so that no digit is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from versionsync.ledger.content import ContentError, canonical_value, parse_value
from versionsync.restore.errors import BadPlanFile
from versionsync.restore.model import Plan, Step

__all__ = ["PlanFile", "decode_plan", "decode_step", "encode_plan", "encode_step", "plan_hash", "read_plan_file"]

FORMAT: Final = "versionsync restore plan 1"


def encode_step(step: Step) -> bytes:
    """Return the JSON object of a step."""
    members = {one.name: getattr(step, one.name) for one in fields(step) if one.name != "attributes"}
    given = {name: value for name, value in members.items() if value is not None and value != ()}
    if step.attributes is not None:
        given["attributes"] = msgspec.Raw(canonical_value(dict(step.attributes)))
    return msgspec.json.encode(given)


def decode_step(text: bytes) -> Step:
    """Return the step that `encode_step` wrote."""
    raw: dict[str, msgspec.Raw] = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    sent = raw.pop("attributes", None)
    attributes: Any = None if sent is None else parse_value(bytes(sent))
    return replace(msgspec.json.decode(msgspec.json.encode(raw), type=Step), attributes=attributes)


def encode_plan(plan: Plan) -> bytes:
    """Return the JSON object of a plan without its steps."""
    return msgspec.json.encode({one.name: getattr(plan, one.name) for one in fields(plan) if one.name != "steps"})


def decode_plan(text: bytes, steps: Sequence[Step]) -> Plan:
    """Return the plan that `encode_plan` wrote, with its steps."""
    return replace(msgspec.json.decode(text, type=Plan), steps=tuple(steps))


def plan_hash(plan: Plan) -> bytes:
    """Return the SHA-256 of a plan with all its steps."""
    total = sha256(encode_plan(plan))
    for step in plan.steps:
        total.update(b"\n" + encode_step(step))
    return total.digest()


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a plan: it names a plan that a mirror keeps, and shows it to people. `hash` is hexadecimal."""

    format: str
    id: str
    hash: str
    source: str
    environment: str
    wanted: str
    made_at: datetime
    plan: msgspec.Raw
    steps: tuple[msgspec.Raw, ...]

    @classmethod
    def of(cls, id: str, plan: Plan) -> PlanFile:
        """Return the file of the plan with this id."""
        return cls(
            format=FORMAT,
            id=id,
            hash=plan_hash(plan).hex(),
            source=plan.source,
            environment=plan.environment,
            wanted=plan.wanted,
            made_at=plan.made_at,
            plan=msgspec.Raw(encode_plan(plan)),
            steps=tuple(msgspec.Raw(encode_step(step)) for step in plan.steps),
        )

    def text(self) -> bytes:
        """Return the content of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def content_hash(self) -> str:
        """Return the hash of the plan in the file, which differs from `hash` if the file was edited."""
        try:
            steps = [decode_step(bytes(step)) for step in self.steps]
            return plan_hash(decode_plan(bytes(self.plan), steps)).hex()
        except (msgspec.DecodeError, ContentError, ValueError):
            return ""


def read_plan_file(text: bytes, name: str) -> PlanFile:
    """Return the plan file of this content.

    Raises:
        BadPlanFile: It is no such file, or it was edited.
    """
    try:
        found = msgspec.json.decode(text, type=PlanFile)
    except (msgspec.DecodeError, RecursionError):
        raise BadPlanFile(
            f"{name} is not the file of a plan", hint="`versionsync restore … --output FILE` writes one."
        ) from None
    if found.format != FORMAT:
        raise BadPlanFile(f"{name} is of another version of versionsync ({found.format})")
    if found.content_hash() != found.hash:
        raise BadPlanFile(
            f"{name} was changed after it was written", hint="Make the plan again; a plan cannot be edited by hand."
        )
    return found
