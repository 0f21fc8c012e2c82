"""Traces for OpenTelemetry: a span a run, below it a span a phase, below that a span a request.

It costs nothing where nobody traces: a run then asks once whether somebody does, and OpenTelemetry is not even loaded.
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
from versionsync.sync.report import Outcome, Progress, RunReport, SourceSpec, SyncOptions

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["request_span", "traced", "traced_by"]

NANOSECONDS = 1_000_000_000

_tracer: ContextVar[Tracer | None] = ContextVar("versionsync.tracer", default=None)
_phases: ContextVar[_Phases | None] = ContextVar("versionsync.phases", default=None)


@contextmanager
def traced_by(tracer: Tracer) -> Iterator[None]:
    """While the block runs, `tracer` is told of every run and request that begins in it."""
    token = _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.reset(token)


async def traced(
    spec: SourceSpec, options: SyncOptions, progress: Progress, run: Callable[[], Awaitable[RunReport]]
) -> RunReport:
    """What `run()` comes to, as a span if somebody traces; `progress` says which phase it is in."""
    tracer = _tracer.get()
    if tracer is None:
        return await run()
    told = {"versionsync.source": spec.name, "versionsync.trigger": options.trigger}
    with tracer.start_as_current_span("sync", attributes=told) as span, _Phases(tracer) as phases:
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
    """A try of a request has ended: tell whoever traces. It holds a path, and no query."""
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
    """The spans of a run's phases, one after the other; `span` is that of the phase it is in."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.span: Span | None = None

    def start(self, phase: str) -> None:
        """Another phase begins."""
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
    """How the run ended; its error by its kind alone, since traces are read by more people than a log."""
    from opentelemetry.trace import StatusCode

    span.set_attributes({f"versionsync.{name}": number for name, number in asdict(report.counts).items() if number})
    span.set_attributes({"versionsync.kind": report.kind.value, "versionsync.outcome": report.outcome.value})
    if report.run_id is not None:
        span.set_attribute("versionsync.run", report.run_id)
    if report.error is not None:
        span.set_attribute("error.type", type(report.error).__name__)
        span.set_status(StatusCode.ERROR, type(report.error).__name__)
