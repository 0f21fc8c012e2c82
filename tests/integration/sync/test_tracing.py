"""Who traces sees a span a run, its phases below it, and its requests below these; who does not pays nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.fixtures.sync_env import SyncEnv
from versionsync.config import Secret, SourceSettings
from versionsync.simulator import FaultKind
from versionsync.sync import sync_source
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Progress, RunReport
from versionsync.sync.tracing import traced_by
from versionsync.wiring.clients import open_client


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Everything that begins within the test is traced to it."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with traced_by(provider.get_tracer("test")):
        yield exporter


def sync(sync_env: SyncEnv, *, token: str | None = None) -> RunReport:
    """One run with a client as the command line makes it."""
    source = SourceSettings(name="website", base_url=sync_env.spec.base_url, rate_limit="none")
    log = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[])
    options = SyncOptions(wait_until_settled=False)

    async def run() -> RunReport:
        async with open_client(source, Secret(token or sync_env.token), log=log) as client:
            progress = Progress(source="website")
            return await sync_source(sync_env.mirror, client, sync_env.spec, options, progress=progress, log=log)

    return asyncio.run(run())


def children(spans: Sequence[ReadableSpan], parent: ReadableSpan) -> list[ReadableSpan]:
    """The spans directly below one."""
    assert parent.context is not None
    id = parent.context.span_id
    return [span for span in spans if span.parent is not None and span.parent.span_id == id]


def test_a_run_its_phases_and_its_requests_are_one_trace(sync_env: SyncEnv, exporter: InMemorySpanExporter) -> None:
    """Each request lies within its phase, and each phase within the run."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "the content itself"}))
    report = sync(sync_env)
    spans = exporter.get_finished_spans()
    (run,) = [span for span in spans if span.parent is None]
    assert run.name == "sync"
    assert run.attributes is not None
    assert run.attributes["versionsync.source"] == "website"
    assert run.attributes["versionsync.outcome"] == "succeeded"
    assert run.attributes["versionsync.versions_inserted"] == 1
    phases = children(spans, run)
    assert {"connecting", "sweeping", "pulling"} <= {phase.name for phase in phases}
    requests = [span for phase in phases for span in children(spans, phase)]
    assert len(requests) == report.counts.requests == len(spans) - len(phases) - 1
    assert {span.kind for span in requests} == {SpanKind.CLIENT}
    assert "GET /items" in {span.name for span in requests}
    for span in spans:
        text = span.to_json()
        assert sync_env.token not in text
        assert "the content itself" not in text


def test_what_fails_is_marked(sync_env: SyncEnv, exporter: InMemorySpanExporter) -> None:
    """The request by what upstream said, the run by the kind of its error."""
    sync_env.simulator.simulator.faults.plant(FaultKind.BAD_GATEWAY, path="/site")
    sync(sync_env)
    assert [span.attributes["http.response.status_code"] for span in failed(exporter) if span.attributes] == [502]
    exporter.clear()
    sync(sync_env, token="revoked")
    statuses = {span.name: span.status.description for span in failed(exporter)}
    assert statuses["sync"] == "AuthenticationError"


def failed(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """The spans that are errors."""
    return [span for span in exporter.get_finished_spans() if span.status.status_code is StatusCode.ERROR]


def test_who_does_not_trace_does_not_load_it() -> None:
    """Not a module of it, with all that a run needs loaded."""
    code = "import sys, versionsync.cli.commands.run, versionsync.wiring.sync_all, versionsync.daemon.daemon\n"
    code += "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
