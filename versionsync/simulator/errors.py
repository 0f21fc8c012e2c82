"""The errors of the simulated DatoCMS, with the codes and statuses that the vendor documents."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec

__all__ = ["ApiError", "invalid_field", "invalid_format", "invalid_params", "named", "not_found", "raise_all"]

T = TypeVar("T")


class ApiError(Exception):
    """An action or request that DatoCMS answers with an error document."""

    def __init__(self, code: str, status: int = 422, /, *, transient: bool = False, **details: object) -> None:
        super().__init__(f"{status} {code} {details}")
        self.code = code
        self.status = status
        self.details = details
        self.transient = transient
        self.others: Sequence[ApiError] = ()
        """Further errors of the same answer."""

    def document(self) -> bytes:
        return msgspec.json.encode({"data": [error.resource() for error in (self, *self.others)]})

    def resource(self) -> dict[str, object]:
        """Return this error alone. Its id is the same for every error of this code, as upstream's is."""
        attributes: dict[str, object] = {"code": self.code}
        if self.transient:
            attributes["transient"] = True
        attributes["doc_url"] = f"https://www.datocms.com/docs/content-management-api/errors#{self.code}"
        attributes["details"] = self.details
        id = f"{zlib.crc32(self.code.encode()) & 0xFFFFFF:06x}"
        return {"id": id, "type": "api_error", "attributes": attributes}


def not_found(entity: str, id: str) -> ApiError:
    """404: no such *entity*, or the token may not see it."""
    return ApiError("NOT_FOUND", 404, entity=entity, id=id)


def named(entity: str, id: str, known: Mapping[str, T]) -> T:
    """Return the *entity* with this id, one of *known*. Raise ApiError (404)."""
    if id not in known:
        raise not_found(entity, id)
    return known[id]


def invalid_params(parameter: str, reason: str) -> ApiError:
    """422: a query parameter is invalid."""
    return ApiError("INVALID_PARAMS", parameter=parameter, reason=reason)


def invalid_field(field: str, code: str, /, **details: Any) -> ApiError:
    """422: the value of *field* fails a validator."""
    return ApiError("INVALID_FIELD", field=field, code=code, **details)


def invalid_format(reason: str) -> ApiError:
    """422: the body does not have the documented form."""
    return ApiError("INVALID_FORMAT", reason=reason)


def raise_all(errors: Sequence[ApiError]) -> NoReturn:
    """Raise the first of *errors* with all others: one answer has them all."""
    first, *others = errors
    first.others = others
    raise first
