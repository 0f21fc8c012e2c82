"""Asks a daemon, over HTTP, whether it lives. Imports little: each health check is a process of its own."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final

from versionsync.daemon.errors import DaemonUnreachable

__all__ = ["Health", "get_health", "reachable", "url_of"]

ANSWER_SECONDS: Final = 4.0
"""Less than the ten seconds after which a container's health check is ended, so that the reason is told."""
ANSWER_BYTES: Final = 64 * 1024
PROGRAM: Final = "versionsync"

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on elsewhere


@dataclass(frozen=True, slots=True)
class Health:
    """A daemon that does its work, and where it answers."""

    url: str
    version: str
    pid: int


def get_health(host: str, port: int, *, seconds: float = ANSWER_SECONDS) -> Health:
    """The daemon that listens on `host` and `port` of this machine. Raises NotAlive: none does, or it hangs."""
    host = reachable(host)
    url = url_of(host, port)
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        told = _reason_sent(answer.read(ANSWER_BYTES))
    except TimeoutError:
        raise DaemonUnreachable(f"nothing answers at {url} within {seconds:.0f} seconds", hint=_STUCK) from None
    except (OSError, http.client.HTTPException) as error:
        why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise DaemonUnreachable(f"nothing answers at {url}: {why}", hint=_UNREACHABLE) from None
    finally:
        connection.close()
    if told.get("program") != PROGRAM:
        raise DaemonUnreachable(f"what answers at {url} is not versionsync", hint=_UNREACHABLE)
    if answer.status != http.client.OK:
        what = ", ".join(map(str, told.get("hanging") or ["it does not say what"]))
        raise DaemonUnreachable(f"the daemon at {url} hangs: {what}", hint=_STUCK)
    return Health(url, version=str(told.get("version")), pid=int(told.get("pid", 0)))


def reachable(host: str) -> str:
    """The address by which this machine reaches a server of its own that listens on `host`."""
    return _EVERY_ADDRESS.get(host, host)


def url_of(host: str, port: int) -> str:
    """As it is told."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason_sent(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


_STUCK: Final = "Its log says what it is at. Start it again: nothing that is committed is lost."
_UNREACHABLE: Final = "Is `versionsync run` started, with the same [http] host and port?"
