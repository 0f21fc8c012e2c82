"""Who may use the control endpoints: programs on this machine, and those that know the control token.

A page in a browser of this machine must not: it could come from anywhere. So a request that a page of another site made
is refused, and one whose `Host` is a name that could be anybody's (a page can have its own name lead to 127.0.0.1).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

__all__ = ["ControlToken", "is_loopback", "why_refused"]

SHORTEST_TOKEN: Final = 16
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
"""What a proxy adds: the request then comes from another machine, whatever the connection says."""
_OTHER_SITES: Final = frozenset({"cross-site", "same-site"})


class ControlToken:
    """The secret that opens the control endpoints from elsewhere. Raises ValueError where it is too easy to guess."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        if len(secret) < SHORTEST_TOKEN or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError(f"a control token has {SHORTEST_TOKEN} characters or more: letters, digits, punctuation")
        self._secret = secret.encode()

    def is_shown_in(self, authorization: str) -> bool:
        """Whether the header *authorization* has it."""
        scheme, _, secret = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(secret.strip().encode(), self._secret)


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address, is this machine and can be reached from nowhere else."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address is not None and address.is_loopback


def why_refused(
    remote: str | None, headers: Mapping[str, str], *, own_origin: str, token: ControlToken | None
) -> str | None:
    """Why a control request is refused; None: it may go on.

    *remote*: the address at the other end of the connection. *headers*: by name, in any case. *own_origin*: scheme and
    `Host` of the request. *token*: what opens the endpoints from other machines; None: nothing does.
    """
    if headers.get("Origin", own_origin) != own_origin or headers.get("Sec-Fetch-Site") in _OTHER_SITES:
        return "a page of another site may not use the control endpoints"
    if token is not None and token.is_shown_in(headers.get("Authorization", "")):
        return None
    needed = (
        "send the control token: `Authorization: Bearer …`"
        if token is not None
        else "start the simulator with a control token"
    )
    if remote is None or not is_loopback(remote) or any(name in headers for name in _FORWARDED):
        return f"the control endpoints answer programs on the simulator's own machine; from elsewhere {needed}"
    host = urlsplit(own_origin).hostname or ""
    if not is_loopback(host) and _address(host) is None:
        return f"the control endpoints answer under 127.0.0.1, [::1] and localhost; under another name {needed}"
    return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
