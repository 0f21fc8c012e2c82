"""Asks a daemon over HTTP whether it makes progress. Imports little: each health check is a process of its own."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final

from versionsync.daemon.errors import DaemonUnreachable

__all__ = ["Health", "get_health", "reachable", "url_of"]

ANSWER_SECONDS: Final = 4.0
"""Less than the ten seconds after which a container's health check is ended, so that it can report the reason."""
ANSWER_BYTES: Final = 64 * 1024
PROGRAM: Final = "versionsync"

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only compared


@dataclass(frozen=True, slots=True)
class Health:
    """A daemon that makes progress, and its address."""

    url: str
    version: str
    pid: int


def get_health(host: str, port: int, *, seconds: float = ANSWER_SECONDS) -> Health:
    """Return the daemon on `host` and `port` of this machine. Raises DaemonUnreachable, also if it is stuck."""
    host = reachable(host)
    url = url_of(host, port)
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        fields = _fields(answer.read(ANSWER_BYTES))
    except TimeoutError:
        raise DaemonUnreachable(f"nothing answers at {url} within {seconds:.0f} seconds", hint=_STUCK) from None
    except (OSError, http.client.HTTPException) as error:
        why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise DaemonUnreachable(f"nothing answers at {url}: {why}", hint=_UNREACHABLE) from None
    finally:
        connection.close()
    if fields.get("program") != PROGRAM:
        raise DaemonUnreachable(f"what answers at {url} is not versionsync", hint=_UNREACHABLE)
    if answer.status != http.client.OK:
        what = ", ".join(map(str, fields.get("hanging") or ["it does not report what"]))
        raise DaemonUnreachable(f"the daemon at {url} is stuck: {what}", hint=_STUCK)
    return Health(url, version=str(fields.get("version")), pid=int(fields.get("pid", 0)))


def reachable(host: str) -> str:
    """Return the address by which this machine reaches its own server that listens on `host`."""
    return _EVERY_ADDRESS.get(host, host)


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


_STUCK: Final = "Its log shows what it does. Restart it: nothing that is committed is lost."
_UNREACHABLE: Final = "Check that `versionsync run` is running with the same [http] host and port."
