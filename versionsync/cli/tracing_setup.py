"""Traces: sent where OpenTelemetry's own variables say, if they are set."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from versionsync.cli.context import CliContext

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["tracing"]

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_SECONDS: Final = 1.0
"""How long to send traces at the end. The rest is lost: a person waits for the program to end."""


@contextmanager
def tracing(session: CliContext) -> Iterator[None]:
    """Trace the runs and requests of the block, if the environment names a collector."""
    if not _is_wanted(session.environ):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        session.log.info("tracing.not_installed", hint="pip install 'versionsync[otel]'; or unset OTEL_EXPORTER_OTLP_…")
        yield
        return
    from versionsync import __version__
    from versionsync.outgoing_http import share_trust
    from versionsync.sync.tracing import traced_by

    _listen(logging.getLogger("opentelemetry"), session.log)
    name = session.environ.get("OTEL_SERVICE_NAME") or "versionsync"
    share_trust()
    try:
        resource = Resource.create({SERVICE_NAME: name, SERVICE_VERSION: __version__})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except Exception as error:
        # A bad value of its variables can raise any exception. Traces are a convenience, so it must not end the run.
        session.log.warning(
            "tracing.failing", reason=f"{type(error).__name__}: {error}", hint="Correct the OTEL_… value."
        )
        yield
        return
    try:
        with traced_by(provider.get_tracer("versionsync", __version__)):
            yield
    finally:
        ending = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)


def _is_wanted(environ: Mapping[str, str]) -> bool:
    is_off = (
        environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not is_off and any(environ.get(name, "").strip() for name in ENDPOINTS)


def _listen(logger: logging.Logger, log: FilteringBoundLogger) -> None:
    """Log the library's errors: the first as a warning, since no trace arrives then."""
    logger.propagate = False
    logger.handlers = [_ExporterErrors(log)]


class _ExporterErrors(logging.Handler):
    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._has_warned = False

    def emit(self, record: logging.LogRecord) -> None:
        log = self._log.debug if self._has_warned else self._log.warning
        self._has_warned = True
        log("tracing.failing", reason=" ".join(record.getMessage().split()))
