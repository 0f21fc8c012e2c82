"""Outgoing HTTP: trusted certificates and proxies, the same for every connection.

The environment variables are those of other programs, too: SSL_CERT_FILE and SSL_CERT_DIR; HTTPS_PROXY, HTTP_PROXY,
ALL_PROXY and NO_PROXY, in capitals or not. A value that cannot be used raises ValueError. Its message never quotes a
proxy, whose address may hold a password.
"""

from __future__ import annotations

import errno
import os
import ssl
import urllib.request
from base64 import b64encode
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

__all__ = ["Proxy", "proxy_for", "share_trust", "trust"]

FILE_VARIABLE: Final = "SSL_CERT_FILE"
FOLDER_VARIABLE: Final = "SSL_CERT_DIR"
_LIBRARIES_VARIABLE: Final = "REQUESTS_CA_BUNDLE"
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. The password is not in `url` but in `headers`, which only the proxy gets."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def trust() -> ssl.SSLContext:
    """Return a context that trusts the CAs of SSL_CERT_FILE or SSL_CERT_DIR, else those of certifi.

    To parse the CAs takes 30 ms of CPU. So all connections share one context until another file is named, or its file
    changes. Do not change it.
    Raises ValueError if one of these cannot be used, and OSError if the process cannot open more files.
    """
    return _trust(tuple(_state(name) for name in (FILE_VARIABLE, FOLDER_VARIABLE)))


def _state(variable: str) -> tuple[str, int, int] | None:
    """Return what `variable` names, with what changes if that is written again; None: it names nothing."""
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return path, 0, 0
    return path, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _trust(_: tuple[tuple[str, int, int] | None, ...]) -> ssl.SSLContext:
    try:
        context = httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        name = next((each for each in (FILE_VARIABLE, FOLDER_VARIABLE) if os.environ.get(each)), None)
        if name is None or error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"{name} names {os.environ[name]}, which cannot be used: {why}") from None
    # From version 3.13 on, Python is strict about the form of certificates. The CAs of companies often are not correct:
    # the same CA must not work with one Python and fail with another.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def share_trust(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let libraries that use requests trust the same CAs. Their own variable has priority."""
    named = environ.get(FILE_VARIABLE) or environ.get(FOLDER_VARIABLE)
    if named and not environ.get(_LIBRARIES_VARIABLE) and not environ.get("CURL_CA_BUNDLE"):
        environ[_LIBRARIES_VARIABLE] = named


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment names for `url`; None: connect directly.

    Raises ValueError if it is not an HTTP proxy.
    """
    wanted = urlsplit(url)
    named = urllib.request.getproxies()
    variable = f"{wanted.scheme.upper()}_PROXY" if named.get(wanted.scheme) else "ALL_PROXY"
    address = named.get(wanted.scheme) or named.get("all")
    if not address or _is_direct(wanted.hostname or "", wanted.port or _PORTS.get(wanted.scheme), named.get("no", "")):
        return None
    try:
        proxy = urlsplit(address if "://" in address else f"http://{address}")
        host, port = proxy.hostname, proxy.port
    except ValueError:
        host, port, proxy = None, None, urlsplit("")
    if proxy.scheme.startswith("socks"):
        raise ValueError(
            f"{variable} names a SOCKS proxy, but only HTTP proxies can be used: name one, or name the host in NO_PROXY"
        )
    if proxy.scheme not in _PORTS or not host:
        raise ValueError(f"{variable} names no proxy: it must be http://HOST:PORT")
    where = f"[{host}]" if ":" in host else host
    headers = {}
    if proxy.username is not None:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    return Proxy(f"{proxy.scheme}://{where}:{port or _PORTS[proxy.scheme]}", headers)


def _is_direct(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host, a domain above it or its network, with or without a port."""
    return any(_names(entry.lower(), host.lower(), port) for entry in no_proxy.replace(",", " ").split())


def _names(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        entry = name
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        domain = entry.removeprefix("*").lstrip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
