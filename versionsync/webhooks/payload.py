"""The payload of a webhook call, its credentials, and the result of receiving it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import msgspec

from versionsync.config import Secret

__all__ = ["MAX_QUEUED", "BasicAuth", "WebhookPayload", "WebhookResult", "parse_payload"]

MAX_QUEUED: Final = 100
"""With more records than this a complete check costs less than a request for each."""


class WebhookResult(StrEnum):
    """What became of a call of a webhook."""

    ACCEPTED = "accepted"
    """A record may have changed. It is queued until a run has checked it."""
    ACCEPTED_NO_RECORD = "accepted_no_record"
    """Something else may have changed: a complete check follows."""
    OTHER_ENVIRONMENT = "other_environment"
    """It is about another environment or project: nothing to do."""
    UNAUTHORIZED = "unauthorized"
    """The password was wrong, or there was none."""
    RECOVERED = "recovered"
    """It was found in the log of calls and had not been received: it is queued as if it had."""
    INVALID = "invalid"
    """It was too large, or not a webhook call. A check follows nevertheless."""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """The credentials that a webhook must send, by HTTP basic authentication."""

    user: str
    password: Secret

    def matches(self, user: str, password: str) -> bool:
        """Return whether both are right, in constant time."""
        return compare_digest(_digest(user, password), _digest(self.user, self.password.reveal()))


class _Entity(msgspec.Struct):
    id: str
    type: str = ""


class WebhookPayload(msgspec.Struct):
    """The part of a webhook call that is read. Nothing else in it is used or stored."""

    entity_type: str
    event_type: str
    environment: str | None = None
    site_id: str | int | None = None
    webhook_call_id: str | int | None = None
    entity: _Entity | None = None

    @property
    def record_id(self) -> str | None:
        """The id of the record that it is about."""
        return self.entity.id if self.entity is not None and self.entity_type == "item" and self.entity.id else None


_DECODER: Final = msgspec.json.Decoder(WebhookPayload)


def parse_payload(body: bytes) -> WebhookPayload | None:
    """Return the call in `body`; None: it is not a webhook call."""
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # msgspec refuses lone surrogates anywhere; the content of a record may hold some
    try:
        call = msgspec.convert(json.loads(body.decode()), WebhookPayload)
        msgspec.json.encode(call)  # the part that is read must hold none
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return call


def _digest(user: str, password: str) -> bytes:
    return sha256(f"{user}\0{password}".encode()).digest()
