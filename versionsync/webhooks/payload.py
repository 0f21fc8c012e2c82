"""What webhooks told of one source, until a run has looked at it."""

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
"""With more records than that a whole look costs less than asking for each."""


class WebhookResult(StrEnum):
    """What became of a call of a webhook."""

    ACCEPTED = "accepted"
    """A record may have changed, and that is kept until a run has looked."""
    ACCEPTED_NO_RECORD = "accepted_no_record"
    """Something else may have changed: a look follows."""
    OTHER_ENVIRONMENT = "other_environment"
    """It is about another environment or another project: nothing to do."""
    UNAUTHORIZED = "unauthorized"
    """The password was wrong, or there was none."""
    RECOVERED = "recovered"
    """It was found in the log of calls, and the receiver had not taken it: kept as if it had."""
    INVALID = "invalid"
    """It was too large, or no call of a webhook. A look follows all the same."""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """What a webhook must say to be heard: HTTP's basic authentication."""

    user: str
    password: Secret

    def matches(self, user: str, password: str) -> bool:
        """Whether both are right; it takes as long to find out whatever is wrong."""
        return compare_digest(_digest(user, password), _digest(self.user, self.password.reveal()))


class _Entity(msgspec.Struct):
    id: str
    type: str = ""


class WebhookPayload(msgspec.Struct):
    """The part of a webhook's call that is read. Nothing else of it is believed, or kept."""

    entity_type: str
    event_type: str
    environment: str | None = None
    site_id: str | int | None = None
    webhook_call_id: str | int | None = None
    entity: _Entity | None = None

    @property
    def record_id(self) -> str | None:
        """The record that it is about."""
        return self.entity.id if self.entity is not None and self.entity_type == "item" and self.entity.id else None


_DECODER: Final = msgspec.json.Decoder(WebhookPayload)


def parse_payload(body: bytes) -> WebhookPayload | None:
    """The call in `body`; None: it is none."""
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # msgspec refuses lone surrogates, wherever they stand; a record may hold some
    try:
        call = msgspec.convert(json.loads(body.decode()), WebhookPayload)
        msgspec.json.encode(call)  # what is read of it holds none
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return call


def _digest(user: str, password: str) -> bytes:
    return sha256(f"{user}\0{password}".encode()).digest()
