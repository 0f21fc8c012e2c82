"""The network: httpx over aiohttp, with failures as values instead of exceptions.

Six things happen here because no other layer can do them:

- aiohttp silently repeats a GET, PUT or DELETE when a kept connection drops. Such a repetition is neither limited nor
  counted, and a write may happen twice; `_no_hidden_retries` prevents it.
- httpx-aiohttp maps each dropped connection to ConnectTimeout, as if nothing had been sent. So failures are classified
  by aiohttp's own exception, which is the cause.
- The exceptions of both have the request with its Authorization header. None of them leaves this module.
- A page of versions may have 15 MB. One such answer is read at a time, and the others wait with what they have so far,
  so that memory does not grow with the number of concurrent requests.
- httpx decompresses a chunk at once, as often as its headers say: 3 KB that are compressed twice become 4 GB. So
  answers are decompressed here, once, and in small steps.
- aiohttp skips interim answers (1xx) and restarts its timeout after each. So the time until an answer starts is
  measured here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import aiohttp
import httpx
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from httpx_aiohttp import AiohttpTransport

from versionsync.cma.errors import Unavailable
from versionsync.cma.responses import Response
from versionsync.cma.retry import Failure, Kind
from versionsync.outgoing_http import proxy_for, trust

__all__ = ["ACCEPTED", "MAX_BODY_BYTES", "Timeouts", "exchange", "handshake_problem", "open_http"]

_TRUST: Final = (
    "no trusted CA has signed the certificate: if a proxy of your network did, "
    "let SSL_CERT_FILE name the file with its CA"
)
_CLOCK: Final = "check this machine's clock; if it is right, the server's operator has to renew the certificate"
_OTHER: Final = (
    "the certificate, or that of a CA above it, is invalid: it has to be replaced, "
    "or SSL_CERT_FILE has to name the right CA"
)
_OTHER_HOST: Final = "another server answers: check base_url, and any proxy on the way"

# OpenSSL's verification codes (X509_V_ERR_…), whose numbers never changed.
_BY_CODE: Final = {
    2: _TRUST,  # no issuer
    9: _CLOCK,  # not yet valid
    10: _CLOCK,  # expired
    18: _TRUST,  # signed by itself
    19: _TRUST,  # one in the chain is
    20: _TRUST,  # no issuer here
    21: _TRUST,  # nothing but the certificate itself
    23: "the certificate was revoked: another server answers, or the certificate has to be renewed",
    62: _OTHER_HOST,  # of another name
    64: _OTHER_HOST,  # of another address
}
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE"})


def handshake_problem(error: ssl.SSLError) -> str:
    """Return `error` in a line: OpenSSL's message, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = str(error.verify_message).rstrip(".")
        advice = _BY_CODE.get(error.verify_code, _OTHER)
        return f"{message}: {advice}"
    if error.reason in _NOT_TLS:
        return "what answers there speaks no TLS: should base_url begin with http://, or name another port?"
    return f"{error.reason or 'the handshake failed'}: check base_url, and any proxy on the way"


MAX_BODY_BYTES: Final = 64 * 1024 * 1024
LARGE_BYTES: Final = 512 * 1024
_KEEP_ALIVE_SECONDS: Final = 30.0
_OUT_OF_FILES: Final = (
    "this process may open no more files and connections: raise its limit (LimitNOFILE= of its unit, or `ulimit -n`)"
)
_PLAIN: Final = frozenset({"", "identity"})

_on_sent: ContextVar[Callable[[], None] | None] = ContextVar("versionsync.cma.on_sent", default=None)


ACCEPTED: Final = "gzip"
"""The Accept-Encoding of requests."""
COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})
"""The supported values of Content-Encoding; a combination is not supported."""
STEP_BYTES: Final = 64 * 1024
_ANY_HEADER: Final = 32 + zlib.MAX_WBITS
"""zlib's value for gzip or zlib, as the header says."""


class Decompressor:
    """One gzip or zlib stream, decompressed in small steps, so that a few bytes never become much memory at once."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_ANY_HEADER)
        self._has_started = False

    @property
    def is_complete(self) -> bool:
        """Whether the stream has ended, or never started: an answer without a body has nothing to decompress."""
        return self._stream.eof or not self._has_started

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the contents of `chunk`, at most STEP_BYTES at a time. Raise zlib.error for other data."""
        self._has_started = self._has_started or bool(chunk)
        while chunk and not self._stream.eof:
            yield self._stream.decompress(chunk, STEP_BYTES)
            chunk = self._stream.unconsumed_tail
        yield b""  # so that the caller also checks the size after bytes behind the end


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each step of an attempt, with the values of the vendor's client."""

    connect: float = 30.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 30.0


class _Dropped(aiohttp.ClientError):
    """The connection dropped after it was made. aiohttp does not retry this class."""


async def _no_hidden_retries(request: ClientRequest, send: aiohttp.ClientHandlerType) -> ClientResponse:
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped(type(error).__name__) from None


async def _headers_sent(*_: object) -> None:
    if (on_sent := _on_sent.get()) is not None:
        on_sent()


def open_http(base_url: str, *, connections: int) -> httpx.AsyncBaseTransport:
    """Return httpx's transport for `base_url`, with the CAs and the proxy of the environment. The caller closes it.

    It is used without `httpx.AsyncClient`: versionsync needs none of a client's cookies, redirects and defaults, and
    they make 30 % of the function calls of a request.

    Raise ValueError if one of these is unusable, Unavailable if no file can be opened.
    """
    try:
        context = trust()
    except OSError as error:
        why = _OUT_OF_FILES if _is_out_of_files(error) else str(error)
        raise Unavailable(why, request="reading the CAs") from None
    proxy_settings = proxy_for(base_url)
    proxy = None if proxy_settings is None else httpx.Proxy(proxy_settings.url, headers=proxy_settings.headers)

    def session() -> aiohttp.ClientSession:
        traces = aiohttp.TraceConfig()
        traces.on_request_headers_sent.append(_headers_sent)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=context, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_no_hidden_retries,),
            trace_configs=[traces],
        )

    return AiohttpTransport(verify=context, client=session, proxy=proxy)


async def exchange(
    http: httpx.AsyncBaseTransport,
    request: httpx.Request,
    *,
    on_sent: Callable[[], None],
    on_answered: Callable[[], None],
    large: AbstractAsyncContextManager[object],
    max_body: int = MAX_BODY_BYTES,
) -> Response | Failure:
    """Send a request and read its complete answer; `large` is held while more than LARGE_BYTES are read.

    `on_sent` and `on_answered` are called when the request has left and when its answer begins. It never raises for a
    network failure.
    """
    try:
        response = await _start(http, request, on_sent)
        on_answered()
        async with AsyncExitStack() as held:
            held.push_async_callback(response.aclose)
            headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in response.headers.raw}
            encodings = [text for name, text in response.headers.raw if name.lower() == b"content-encoding"]
            status, encoding = response.status_code, b",".join(encodings).decode("latin-1").strip().lower()
            if encoding not in _PLAIN and encoding not in COMPRESSED:
                detail = "the answer is packed in a way that was not asked for: does a proxy on the way pack it again?"
                return Failure(Kind.TORN, detail, status=status)
            decompressor = None if encoding in _PLAIN else Decompressor()
            received, is_large = 0, False
            body = BytesIO()  # returns its value without a copy
            async for chunk in response.aiter_raw():
                for piece in (chunk,) if decompressor is None else decompressor.pieces(chunk):
                    received += len(piece)
                    if received > LARGE_BYTES and not is_large:
                        is_large = True
                        await held.enter_async_context(large)
                    if max(received, response.num_bytes_downloaded) > max_body:
                        detail = f"the answer is larger than {max_body // 2**20} MiB"
                        return Failure(Kind.TOO_LARGE, detail, status=status)
                    body.write(piece)
            if decompressor is not None and not decompressor.is_complete:
                return Failure(Kind.TORN, "the answer broke off or was garbled", status=status)
            return Response(status, headers, body.getvalue(), response.num_bytes_downloaded)
    except zlib.error:
        return Failure(Kind.TORN, "the answer broke off or was garbled")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError, TimeoutError) as error:
        return _failure(error, request.url)


async def _start(http: httpx.AsyncBaseTransport, request: httpx.Request, on_sent: Callable[[], None]) -> httpx.Response:
    """Return the answer when its head has arrived, within the time for reading (and writing) also after 1xx answers."""
    loop, timeouts = asyncio.get_running_loop(), request.extensions.get("timeout", {})
    seconds = timeouts.get("read")
    if seconds is not None and request.method != "GET":
        seconds += timeouts.get("write") or 0.0
    async with asyncio.timeout(None) as limit:

        def sent() -> None:
            on_sent()
            if seconds is not None:
                limit.reschedule(loop.time() + seconds)

        token = _on_sent.set(sent)
        try:
            return await http.handle_async_request(request)
        finally:
            _on_sent.reset(token)


def _failure(error: BaseException, url: httpx.URL) -> Failure:
    """Return what an exception of httpx or aiohttp means. The library's text is used only if it has no headers."""
    host, scheme = url.host, "" if url.scheme == "https" else ": base_url says http, should it be https?"
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError | TimeoutError) else error
    kind, detail = Kind.RESET, f"{host} closed the connection before it answered{scheme}"
    match cause:
        case aiohttp.ClientConnectorError() if _is_out_of_files(cause.os_error):
            kind, detail = Kind.REFUSED, f"no connection to {host}: {_OUT_OF_FILES}"
        case aiohttp.ClientConnectorDNSError() if cause.host != host:
            kind, detail = Kind.PROXY, f"the name of the proxy, {cause.host}, cannot be resolved: check HTTPS_PROXY"
        case aiohttp.ClientConnectorDNSError():
            kind, detail = Kind.DNS, f"the name {host} cannot be resolved: check base_url and the network"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            kind, detail = Kind.TLS, f"no trusted TLS connection to {host}{_reason(cause)}"
        case aiohttp.ClientHttpProxyError(status=status):
            kind, detail = Kind.PROXY, f"the proxy on the way to {host} said {status}: check HTTPS_PROXY and NO_PROXY"
        case aiohttp.ClientProxyConnectionError() | httpx.ProxyError():
            kind, detail = Kind.PROXY, f"the proxy on the way to {host} is not there: check HTTPS_PROXY and NO_PROXY"
        case aiohttp.ClientConnectorError() | httpx.ConnectError():
            kind, detail = Kind.REFUSED, f"no connection to {host}{_reason(cause)}: check base_url and the network"
        case aiohttp.ConnectionTimeoutError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            kind, detail = Kind.CONNECT_TIMEOUT, f"no connection to {host} in time: check base_url and the network"
        case TimeoutError() | httpx.TimeoutException():
            kind, detail = Kind.TIMEOUT, "no answer in time"
        case aiohttp.ClientPayloadError() | httpx.DecodingError() | httpx.ReadError() | httpx.RemoteProtocolError():
            kind, detail = Kind.TORN, "the answer broke off or was garbled"
        case aiohttp.ClientResponseError():
            kind, detail = Kind.TORN, f"the answer is not HTTP{scheme}"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | httpx.UnsupportedProtocol() | httpx.InvalidURL():
            kind, detail = Kind.TLS, f"{host or 'base_url'} is not usable: base_url must be an http(s) address"
    return Failure(kind, detail)


def _is_out_of_files(error: OSError) -> bool:
    return error.errno in (errno.EMFILE, errno.ENFILE)


def _reason(error: object) -> str:
    """Return the operating system's message, or what a failed handshake means."""
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    if isinstance(inner, ssl.SSLError):
        return f": {handshake_problem(inner)}"
    if isinstance(inner, OSError) and inner.errno:
        return f": {os.strerror(inner.errno)}"
    return ""
