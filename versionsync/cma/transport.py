"""The door to the network: httpx over aiohttp, with what goes wrong there as a `Failure` instead of an exception.

Six things are done here because nobody above could do them:

- aiohttp silently sends a GET, PUT or DELETE again when a kept connection drops. Such a repetition is neither paced nor
  counted, and a write may happen twice; `_no_hidden_retries` takes it away.
- httpx-aiohttp maps every dropped connection to ConnectTimeout, as if nothing had been sent. So failures are judged by
  aiohttp's own exception, which is the cause.
- The exceptions of both hold the request with its Authorization header. None of them leaves this module.
- A page of versions may have 15 MB. One such answer is read at a time, the others wait with what they have so far, so
  that memory does not grow with the number of requests under way.
- httpx unpacks a chunk at once, as often as its headers say: 3 KB that are packed twice become 4 GB. So answers are
  unpacked here, once, and in small steps.
- aiohttp skips interim answers (1xx) and starts to wait anew after each. So the time until an answer begins is measured
  here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import zlib
from collections.abc import Callable
from contextlib import AsyncExitStack
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
from versionsync.cma.unpacking import PACKED, Unpacker
from versionsync.outgoing import proxy_for, trust

__all__ = ["MAX_BODY_BYTES", "Timeouts", "exchange", "handshake_problem", "open_http"]

_TRUST: Final = (
    "nobody trusted has signed the certificate: if a proxy of your own network did, "
    "let SSL_CERT_FILE name the file with its CA"
)
_CLOCK: Final = "check this machine's clock; if it is right, whoever runs that server has to renew the certificate"
_OTHER: Final = (
    "the certificate, or that of a CA above it, is not made as it must be: whoever made it has to make another, "
    "or SSL_CERT_FILE has to name the right CA"
)
_OTHER_HOST: Final = "another server answers there: check base_url, and what is between here and there"

# By OpenSSL's codes of verification (X509_V_ERR_…), which have kept their numbers since it has had them.
_BY_CODE: Final = {
    2: _TRUST,  # no issuer
    9: _CLOCK,  # not yet valid
    10: _CLOCK,  # expired
    18: _TRUST,  # signed by itself
    19: _TRUST,  # one in the chain is
    20: _TRUST,  # no issuer here
    21: _TRUST,  # nothing but the certificate itself
    23: "the certificate was revoked: another server answers there, or it has to be renewed",
    62: _OTHER_HOST,  # of another name
    64: _OTHER_HOST,  # of another address
}
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE"})


def handshake_problem(error: ssl.SSLError) -> str:
    """`error` in a line: what OpenSSL says, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = str(error.verify_message).rstrip(".")
        advice = _BY_CODE.get(error.verify_code, _OTHER)
        return f"{said}: {advice}"
    if error.reason in _NOT_TLS:
        return "what answers there speaks no TLS: should base_url begin with http://, or name another port?"
    return f"{error.reason or 'the handshake failed'}: check base_url, and what is between here and there"


MAX_BODY_BYTES: Final = 64 * 1024 * 1024
LARGE_BYTES: Final = 512 * 1024
_KEEP_ALIVE_SECONDS: Final = 30.0
_OUT_OF_FILES: Final = (
    "this process may open no more files and connections: raise its limit (LimitNOFILE= of its unit, or `ulimit -n`)"
)
_PLAIN: Final = frozenset({"", "identity"})

_on_sent: ContextVar[Callable[[], None] | None] = ContextVar("versionsync.cma.on_sent", default=None)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each step of one try, as the vendor's client has them."""

    connect: float = 30.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 30.0


class _Dropped(aiohttp.ClientError):
    """The connection dropped after it had been made. Not one of the classes that aiohttp repeats."""


async def _no_hidden_retries(request: ClientRequest, send: aiohttp.ClientHandlerType) -> ClientResponse:
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped(type(error).__name__) from None


async def _headers_sent(*_: object) -> None:
    if (told := _on_sent.get()) is not None:
        told()


def open_http(base_url: str, *, connections: int) -> httpx.AsyncBaseTransport:
    """Return httpx's transport for `base_url`, with the trust and the proxy of the environment. The caller closes it.

    It is used without `httpx.AsyncClient`: cookies, redirects and defaults of a client are not needed, and cost a third
    of the CPU time of a request.

    Raises ValueError where one of these names what cannot be used, Unavailable where no file can be opened.
    """
    try:
        context = trust()
    except OSError as error:
        why = _OUT_OF_FILES if _is_out_of_files(error) else str(error)
        raise Unavailable(why, request="reading the CAs") from None
    named = proxy_for(base_url)
    proxy = None if named is None else httpx.Proxy(named.url, headers=named.headers)

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
    large: asyncio.Lock,
    max_body: int = MAX_BODY_BYTES,
) -> Response | Failure:
    """Send one request and read its answer whole; `large` is held for the rest of one past LARGE_BYTES.

    `on_sent` and `on_answered` are called when the request has left, and when its answer begins.

    Never raises for the network's sake.
    """
    try:
        response = await _begun(http, request, on_sent)
        on_answered()
        async with AsyncExitStack() as held:
            held.push_async_callback(response.aclose)
            status, packing = response.status_code, response.headers.get("content-encoding", "").strip().lower()
            if packing not in _PLAIN | PACKED:
                detail = "the answer is packed in a way that was not asked for: does a proxy on the way pack it again?"
                return Failure(Kind.TORN, detail, status=status)
            unpack = None if packing in _PLAIN else Unpacker()
            received, is_large = 0, False
            body = BytesIO()  # gives away what it holds without a copy of it
            async for chunk in response.aiter_raw():
                for piece in (chunk,) if unpack is None else unpack.pieces(chunk):
                    received += len(piece)
                    if received > LARGE_BYTES and not is_large:
                        is_large = True
                        await held.enter_async_context(large)
                    if max(received, response.num_bytes_downloaded) > max_body:
                        detail = f"the answer is larger than {max_body // 2**20} MiB"
                        return Failure(Kind.TOO_LARGE, detail, status=status)
                    body.write(piece)
            if unpack is not None and not unpack.is_whole:
                return Failure(Kind.TORN, "the answer broke off or was garbled", status=status)
            headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in response.headers.raw}
            return Response(status, headers, body.getvalue(), response.num_bytes_downloaded)
    except zlib.error:
        return Failure(Kind.TORN, "the answer broke off or was garbled")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError, TimeoutError) as error:
        return _failure(error, request.url)


async def _begun(http: httpx.AsyncBaseTransport, request: httpx.Request, on_sent: Callable[[], None]) -> httpx.Response:
    """The answer once its head is there: in the time for reading (and writing), however often upstream says wait."""
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
    """What an exception of httpx or aiohttp means. The library's own words are used only where they hold no headers."""
    host, scheme = url.host, "" if url.scheme == "https" else ": base_url says http, should it be https?"
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError | TimeoutError) else error
    kind, detail = Kind.RESET, f"{host} broke off the connection before it had answered{scheme}"
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
            kind, detail = Kind.TLS, f"{host or 'base_url'} cannot be asked: base_url must be an http(s) address"
    return Failure(kind, detail)


def _is_out_of_files(error: OSError) -> bool:
    return error.errno in (errno.EMFILE, errno.ENFILE)


def _reason(error: object) -> str:
    """The operating system's own words, or what a failed handshake means."""
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    if isinstance(inner, ssl.SSLError):
        return f": {handshake_problem(inner)}"
    if isinstance(inner, OSError) and inner.errno:
        return f": {os.strerror(inner.errno)}"
    return ""
