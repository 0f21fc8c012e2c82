"""How faults look on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from versionsync.simulator.api.request import Response, encode
from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.faults import Fault, FaultKind, Faults
from versionsync.simulator.world import content as contents

__all__ = ["ANSWERED_INSTEAD", "answer_instead", "cut_off", "distort", "wait"]

ANSWERED_INSTEAD: Final = frozenset(
    {
        FaultKind.INTERNAL_ERROR,
        FaultKind.BAD_GATEWAY,
        FaultKind.UNAVAILABLE,
        FaultKind.NOT_FOUND,
        FaultKind.THROTTLED,
        FaultKind.THROTTLED_BARE,
        FaultKind.REFUSED,
    }
)
"""The kinds in which the request is not carried out at all."""

_GATEWAY_PAGE: Final = (
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
)


async def wait(fault: Fault) -> None:
    """Let the time pass that *fault* takes."""
    if fault.seconds > 0:
        await asyncio.sleep(fault.seconds)


def answer_instead(fault: Fault, headers: dict[str, str]) -> tuple[Response, dict[str, str]]:
    """The answer, with its headers, that takes the place of the true one."""
    without_rate = {name: value for name, value in headers.items() if not name.startswith("X-RateLimit")}
    match fault.kind:
        case FaultKind.BAD_GATEWAY:
            return Response(_GATEWAY_PAGE, 502), {"Content-Type": "text/html", "Date": headers["Date"]}
        case FaultKind.UNAVAILABLE:
            return Response(ApiError("SERVICE_UNAVAILABLE", 503, transient=True).document(), 503), headers
        case FaultKind.REFUSED:
            refused = ApiError(fault.code, fault.status, transient=fault.transient)
            return Response(refused.document(), refused.status), headers
        case FaultKind.NOT_FOUND:
            return Response(ApiError("NOT_FOUND", 404).document(), 404), headers
        case FaultKind.THROTTLED:
            limit = headers.get("X-RateLimit-Limit", "60")
            rate = {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}
            return Response(ApiError("RATE_LIMIT_EXCEEDED", 429, transient=True).document(), 429), headers | rate
        case FaultKind.THROTTLED_BARE:
            return Response(ApiError("RATE_LIMIT_EXCEEDED", 429, transient=True).document(), 429), without_rate
        case _:
            return Response(ApiError("EXCEPTION", 500).document(), 500), headers


def distort(fault: Fault, reply: Response, faults: Faults, *, path: str, url: str) -> Response:
    """What becomes of a good answer; answers that are no lists are left alone by faults of lists."""
    match fault.kind:
        case FaultKind.TRUNCATED:
            return Response(reply.body[: len(reply.body) // 2], reply.status)
        case FaultKind.WRONG_SHAPE:
            return Response(b'{"data":"unexpected","jsonapi":null}', reply.status)
        case FaultKind.NULL_BODY:
            return Response(b"null", reply.status)
        case FaultKind.STALE:
            return Response(faults.stale(url) or reply.body, reply.status)
        case FaultKind.REPEATED_PAGE:
            return Response(faults.last_page(path) or reply.body, reply.status)
        case FaultKind.EMPTY_PAGE:
            return _with_data(reply, lambda data: [])
        case FaultKind.REORDERED:
            return _with_data(reply, lambda data: data[::-1])
        case _:
            return reply


def _with_data(reply: Response, change: Callable[[list[msgspec.Raw]], list[msgspec.Raw]]) -> Response:
    members = contents.split(reply.body)
    if not bytes(members["data"]).startswith(b"["):
        return reply
    return Response(encode({**members, "data": change(contents.split_list(bytes(members["data"])))}), reply.status)


async def cut_off(request: web.Request, reply: Response, headers: Mapping[str, str]) -> web.StreamResponse:
    """Begin *reply*, and cut the connection in the middle."""
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response
