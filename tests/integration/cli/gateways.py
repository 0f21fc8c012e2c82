"""Servers that stand where DatoCMS should: in front of it with a certificate, or instead of it with a login page."""

from __future__ import annotations

import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Given", "gateway", "unused_port"]

HANDSHAKE_SECONDS = 5


@dataclass(frozen=True)
class Given:
    """An answer of a gateway's own."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def unused_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def gateway(
    behind: str, *, tls: ssl.SSLContext | None = None, instead: Callable[[str], Given | None] = lambda _path: None
) -> Iterator[str]:
    """A server before the one at the URL `behind`; the value is its own.

    `instead` may answer a request, by its path and query, in the place of the one behind.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = instead(self.path) or self._forwarded()
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            body = given.body.encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_CONNECT = do_GET  # noqa: N815 - the name that the base class looks for

        def _forwarded(self) -> Given:
            sent = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding")
            }
            request = urllib.request.Request(behind + self.path, headers=sent)
            try:
                with urllib.request.urlopen(request) as answer:
                    return _given(answer)
            except urllib.error.HTTPError as refused:
                with refused:
                    return _given(refused)

        def log_message(self, *_: object) -> None:
            """What the test expects is no news."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what some of the tests are about."""

        def finish_request(self, request: socket.socket, address: object) -> None:  # type: ignore[override]
            # Here and not where it accepts: a handshake that does not end must not keep the others waiting.
            if tls is None:
                super().finish_request(request, address)
                return
            request.settimeout(HANDSHAKE_SECONDS)
            with tls.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, address)

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _given(answer: urllib.error.HTTPError | object) -> Given:
    headers = {
        name: value
        for name, value in answer.headers.items()  # type: ignore[attr-defined]
        if name.lower() not in ("content-length", "transfer-encoding", "connection", "server")
    }
    return Given(answer.status, answer.read().decode(), headers)  # type: ignore[attr-defined]
