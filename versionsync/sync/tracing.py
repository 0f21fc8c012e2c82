"""Traces for OpenTelemetry: a span per run, below it a span per phase, below that a span per request.

Without a tracer this costs nothing: a run checks once, and OpenTelemetry is not imported.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from typing import TYPE_CHECKING

from versionsync import cma
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Outcome, Progress, RunReport

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["request_span", "traced", "traced_by"]

NANOSECONDS = 1_000_000_000

_tracer: ContextVar[Tracer | None] = ContextVar("versionsync.tracer", default=None)
_phases: ContextVar[_Phases | None] = ContextVar("versionsync.phases", default=None)


@contextmanager
def traced_by(tracer: Tracer) -> Iterator[None]:
    """Trace every run and request that begins in the block with `tracer`."""
    token = _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.reset(token)


async def traced(
    spec: SourceSpec, options: SyncOptions, progress: Progress, run: Callable[[], Awaitable[RunReport]]
) -> RunReport:
    """Return the report of `run()`. If there is a tracer, record the run as a span, and its phases below it."""
    tracer = _tracer.get()
    if tracer is None:
        return await run()
    attributes = {"versionsync.source": spec.name, "versionsync.trigger": options.trigger}
    with tracer.start_as_current_span("sync", attributes=attributes) as span, _Phases(tracer) as phases:
        progress.on_phase, token = phases.start, _phases.set(phases)
        try:
            report = await run()
        except asyncio.CancelledError:
            span.set_attribute("versionsync.outcome", Outcome.INTERRUPTED.value)
            raise
        finally:
            progress.on_phase = None
            _phases.reset(token)
        _set_status(span, report)
        return report


def request_span(exchange: cma.Exchange) -> None:
    """Record one attempt of a request as a span. The span has the path, without the query."""
    tracer = _tracer.get()
    if tracer is None:
        return
    from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

    phases, end = _phases.get(), time.time_ns()
    parent = None if phases is None or phases.span is None else set_span_in_context(phases.span)
    span = tracer.start_span(
        f"{exchange.method} /{exchange.path.lstrip('/').partition('/')[0]}",
        context=parent,
        kind=SpanKind.CLIENT,
        start_time=end - int(exchange.seconds * NANOSECONDS),
        attributes={
            "http.request.method": exchange.method,
            "url.path": exchange.path,
            "http.response.body.size": exchange.bytes,
        },
    )
    if exchange.status is not None:
        span.set_attribute("http.response.status_code", exchange.status)
    if exchange.failure is not None:
        span.set_status(StatusCode.ERROR, exchange.failure)
    span.end(end)


class _Phases:
    """The spans of a run's phases, one after the other. `span` is that of the current phase."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.span: Span | None = None

    def start(self, phase: str) -> None:
        """End the span of the last phase, and begin that of `phase`."""
        self._end()
        if phase != "finished":
            self.span = self._tracer.start_span(phase)

    def __enter__(self) -> _Phases:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self.span is not None:
            self.span.end()
            self.span = None


def _set_status(span: Span, report: RunReport) -> None:
    """Record how the run ended. Of an error only its type is recorded: more people read traces than logs."""
    from opentelemetry.trace import StatusCode

    span.set_attributes({f"versionsync.{name}": count for name, count in asdict(report.counts).items() if count})
    span.set_attributes({"versionsync.kind": report.kind.value, "versionsync.outcome": report.outcome.value})
    if report.run_id is not None:
        span.set_attribute("versionsync.run", report.run_id)
    if report.error is not None:
        span.set_attribute("error.type", type(report.error).__name__)
        span.set_status(StatusCode.ERROR, type(report.error).__name__)
