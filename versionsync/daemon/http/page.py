"""What the daemon says of itself, as a page for people: what needs somebody first, without a script or another host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from versionsync.daemon.state import WorkerStatus

__all__ = ["page"]

REFRESH_SECONDS: Final = 5

_KINDS: Final = {
    WorkerStatus.STARTING.value: "new",
    WorkerStatus.FAILING.value: "once",
    WorkerStatus.STANDBY.value: "idle",
}

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif;
  --back: #f6f8fa; --card: #fff; --line: #d1d9e0; --soft: #59636e; --good: #1a7f37; --bad: #cf222e; --new: #0969da;
  --once: #9a6700; }
@media (prefers-color-scheme: dark) { :root {
  --back: #0d1117; --card: #151b23; --line: #3d444d; --soft: #9198a1; --good: #3fb950; --bad: #ff7b72; --new: #58a6ff;
  --once: #d29922; }
}
body { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem; background: var(--back); }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; margin-bottom: 1rem; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 0; } .soft, footer { color: var(--soft); } a { color: inherit; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-top: 3px solid var(--line); border-radius: 6px;
  padding: 0.8rem 1rem; }
section.good { border-top-color: var(--good); } section.bad { border-top-color: var(--bad); }
section.new { border-top-color: var(--new); } section.once { border-top-color: var(--once); }
section > div { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
.state { font-weight: 600; white-space: nowrap; }
.good .state, .state.good { color: var(--good); } .bad .state, .state.bad { color: var(--bad); }
.new .state { color: var(--new); } .once .state { color: var(--once); } .idle .state { color: var(--soft); }
.why { margin: 0.5rem 0; padding-left: 0.7rem; border-left: 3px solid var(--line); overflow-wrap: anywhere; }
.bad .why { border-left-color: var(--bad); }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: 0 0.5rem; margin: 0.5rem 0 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; } progress { width: 8rem; }
footer { margin-top: 1.5rem; }
"""


def page(told: Mapping[str, Any]) -> str:
    """What `status` returned, as HTML that looks again by itself."""
    now, sources = told["at"], told["sources"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content={REFRESH_SECONDS}>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{_title(sources)}</title><style>{_STYLE}</style>",
        f"<header><h1>versionsync</h1>{_summary(told)}</header><main>",
        # What needs somebody comes first; among those, and the others, the order is that of the settings.
        *(_card(source, now) for source in sorted(sources, key=lambda source: not _needs_attention(source))),
        f"</main><footer>Version {escape(told['version'])}, process {told['pid']}, ",
        f"up for {_span((now - told['started_at']).total_seconds())}. As of {_time(now)}. ",
        "<a href='/status?format=json'>JSON</a> · <a href='/metrics'>metrics</a></footer></html>\n",
    ]
    return "".join(parts)


def _needs_attention(source: Mapping[str, Any]) -> bool:
    """Whether somebody should look at it. One that has only just begun needs time, not people."""
    return source["attention"] is not None and source["stance"] != WorkerStatus.STARTING


def _title(sources: Sequence[Mapping[str, Any]]) -> str:
    needy = sum(map(_needs_attention, sources))
    return f"({needy}) versionsync" if needy else "versionsync"


def _summary(told: Mapping[str, Any]) -> str:
    sources = told["sources"]
    needy = sum(map(_needs_attention, sources))
    if not sources:
        return "<p class='state bad'>no source is followed</p>"
    if needy:
        return f"<p class='state bad'>{needy} of {len(sources)} need attention</p>"
    if not told["ready"]:
        return "<p class='state'>starting</p>"
    return "<p class='state good'>all is well</p>"


def _card(source: Mapping[str, Any], now: datetime) -> str:
    kind = "bad" if _needs_attention(source) else _KINDS.get(source["stance"], "good")
    why = f"<p class=why>{escape(source['attention'])}</p>" if source["attention"] else ""
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in _facts(source, now))
    name = escape(source["source"])
    state = escape(source["stance"])
    head = f"<div><h2>{name}</h2><span class=state>{state}</span></div>"
    return f"<section class={kind}>{head}{why}<dl>{facts}</dl></section>"


def _facts(source: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    """What a person wants to see of a source, as HTML."""
    if source["active_daemon"]:
        yield "followed by", escape(source["active_daemon"])
    if source["stance"] != "standby" or source["last_success_at"]:
        allowed = f"<span class=soft>(may be {_span(source['max_staleness_seconds'])})</span>"
        yield "fresh as of", f"{_ago(source['last_success_at'], now)} {allowed}"
        yield "last change", _ago(source["last_change_at"], now, never="none since the start")
    if run := source["run"]:
        yield "now", _run(run, now)
    elif source["next_check_at"]:
        reason = f": {escape(source['next_check_reason'])}" if source["next_check_reason"] else ""
        yield "next look", _ago(source["next_check_at"], now) + reason
    if source["failures"] and source["attention"] is None:
        yield "last failure", escape(source["error"] or "")
    if budget := source["budget"]:
        yield "budget", _budget(budget, now)
    if told := _webhook(source["webhooks"], now):
        yield "webhook", told
    total = source["total"]
    if total["requests"]:
        counts = (("requests", "request"), ("versions_inserted", "version"), ("events_written", "event"))
        yield "since the start", ", ".join(_count(total[name], noun) for name, noun in counts)


def _webhook(webhook: Mapping[str, Any], now: datetime) -> str:
    """How it does; nothing where none is used."""
    is_read = webhook["log"] == "read"
    if not is_read and not webhook["receives"]:
        return "the token may not read the log of its calls" if webhook["log"] == "refused" else ""
    last_call = webhook["last_call_at"]
    parts = [f"last call {_ago(last_call, now)}" if last_call else "no call since the start"]
    if is_read:
        parts.append(f"log read {_ago(webhook['log_read_at'], now)}")
    if webhook["log_gaps"]:
        parts.append(f"{_count(webhook['log_gaps'], 'gap')}, the last {_ago(webhook['last_gap_at'], now)}")
    if webhook["hints_waiting"]:
        parts.append(f"{_count(webhook['hints_waiting'], 'hint')} waiting")
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _run(run: Mapping[str, Any], now: datetime) -> str:
    pulled, planned = run["counts"]["records_pulled"], run["records_planned"]
    since = f"for {_span((now - run['began_at']).total_seconds())}" if run["began_at"] else ""
    if not planned:
        return f"{escape(run['phase'])} {since}"
    bar = f"<progress max={planned} value={min(pulled, planned)}></progress>"
    return f"{escape(run['phase'])} {since}: {pulled:,} of {planned:,} records {bar}"


def _budget(budget: Mapping[str, Any], now: datetime) -> str:
    limit = budget["spent"] + budget["left"]
    bar = f"<progress max={max(limit, 1)} value={budget['spent']}></progress>"
    rest = f"{budget['left']:,} left, new {_ago(budget['ends_at'], now)}; forecast {budget['forecast']:,}"
    return f"{bar} {budget['spent']:,} of {escape(budget['budget'])}; {rest}"


def _ago(at: datetime | None, now: datetime, *, never: str = "never") -> str:
    """How long before or after now, and when exactly for whoever points at it."""
    if at is None:
        return never
    seconds = (now - at).total_seconds()
    words = f"{_span(seconds)} ago" if seconds >= 0 else f"in {_span(-seconds)}"
    return f"<time datetime='{at.isoformat()}' title='{_time(at)}'>{words}</time>"


def _span(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
