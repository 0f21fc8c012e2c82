"""The status of the daemon as a page for people. It needs no script and no other host; problems come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final
from urllib.parse import urlencode

from versionsync.daemon.worker_state import LogStatus, WorkerStatus
from versionsync.status.ranking import HealthState
from versionsync.text import changes, count, short_span, when

__all__ = ["page"]

REFRESH_SECONDS: Final = 5

_BAD: Final = (HealthState.FAILING.value, HealthState.STALE.value, HealthState.ATTENTION.value)
"""The states in which a person should act."""

_FORM: Final = (
    "<nav><form action=/status><input name=source placeholder='shop-*' aria-label='name or pattern' autofocus> "
    "<button>Find</button> <a href=/status>all</a></form></nav>"
)

_CLASSES: Final = {
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
table { border-collapse: collapse; width: 100%; margin-top: 0.6rem; font-size: 0.87rem; }
caption { text-align: left; color: var(--soft); }
td { padding: 0 0.6rem 0 0; vertical-align: top; white-space: nowrap; }
td:last-child { padding: 0; overflow-wrap: anywhere; white-space: normal; }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: 0 0.5rem; margin: 0.5rem 0 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; } progress { width: 8rem; }
nav { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; margin: -0.5rem 0 1rem; }
.more { margin-top: 1rem; } footer { margin-top: 1.5rem; }
"""


def page(fields: Mapping[str, Any], *, finds: bool = False) -> str:
    """Return what `status` returned as HTML that reloads itself, or with a form to find sources."""
    now, sources = fields["at"], fields["sources"]
    number = sum(fields["summary"][state] for state in _BAD)
    refresh = "" if finds else f"<meta http-equiv=refresh content={REFRESH_SECONDS}>"
    title = f"({number}) versionsync" if number else "versionsync"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8>{refresh}",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{title}</title><style>{_STYLE}</style>",
        f"<header><h1>versionsync</h1>{_summary(fields, number)}</header>",
        _FORM if finds else _states(fields),
        "<main>",
        *(_card(source, now) for source in sources),
        f"</main>{_more(fields)}<footer>Version {escape(fields['version'])}, process {fields['pid']}, ",
        f"up for {short_span(now - fields['started_at'])}. As of {when(now)} UTC. ",
        "<a href='/status?format=json'>JSON</a> · <a href='/metrics'>metrics</a></footer></html>\n",
    ]
    return "".join(parts)


def _needs_attention(source: Mapping[str, Any]) -> bool:
    """Return whether a person should act. A source that has only just started does not need that."""
    return source["attention"] is not None and source["state"] != WorkerStatus.STARTING


def _summary(fields: Mapping[str, Any], number: int) -> str:
    total = sum(fields["summary"].values())
    if not total:
        return "<p class='state bad'>no sources</p>"
    if number:
        return f"<p class='state bad'>{number:,} of {total:,} need attention</p>"
    if not fields["ready"]:
        return "<p class='state'>starting</p>"
    return "<p class='state good'>all is well</p>"


def _states(fields: Mapping[str, Any]) -> str:
    """Return links to the sources in each state, the worst first, for a daemon with several."""
    if sum(fields["summary"].values()) <= 1:
        return ""
    links = [
        f"<a href='/status?state={state}'>{number:,} {state}</a>"
        for state, number in fields["summary"].items()
        if number
    ]
    selection = fields["selection"]
    chosen = [escape(text) for text in (*selection["state"], *selection["source"])]
    shown = f"shown: {', '.join(chosen)} ({selection['matching']:,}) · <a href='/status'>all</a>" if chosen else ""
    return f"<nav><span>{' · '.join(links)}</span><span>{shown}</span></nav>"


def _more(fields: Mapping[str, Any]) -> str:
    """Return how many sources are left out, with a link to them."""
    selection, shown = fields["selection"], len(fields["sources"])
    if not (left := selection["matching"] - shown):
        return ""
    query = [("state", one) for one in selection["state"]] + [("source", one) for one in selection["source"]]
    link = escape(f"/status?{urlencode([*query, ('limit', 4 * max(shown, 25))])}")
    return f"<p class=more>{shown:,} are shown, the worst first. <a href='{link}'>{left:,} more</a></p>"


def _card(source: Mapping[str, Any], now: datetime) -> str:
    css = "bad" if _needs_attention(source) else _CLASSES.get(source["state"], "good")
    why = f"<p class=why>{escape(source['attention'])}</p>" if source["attention"] else ""
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in _facts(source, now))
    head = f"<div><h2>{escape(source['source'])}</h2><span class=state>{escape(source['state'])}</span></div>"
    tables = _table("Last runs", source["last_runs"], now) + _table("Last changes", source["last_changes"], now)
    return f"<section class={css}>{head}{why}<dl>{facts}</dl>{tables}</section>"


def _facts(source: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    """Yield names and values of a source, as HTML."""
    if counts := source["counts"]:
        deleted = f" and {counts['records_deleted']:,} deleted" if counts["records_deleted"] else ""
        records = count(counts["records"] - counts["records_deleted"], "record")
        versions, events = count(counts["versions"], "version"), count(counts["events"], "event")
        yield "mirrored", f"{records}{deleted}, {versions}, {events}"
    if source["daemon"]:
        yield "daemon", escape(source["daemon"])
    if source["state"] != WorkerStatus.STANDBY or source["last_success_at"]:
        allowed = f"<span class=soft>(may be {_seconds(source['max_staleness_seconds'])} old)</span>"
        yield "complete as of", f"{_ago(source['last_success_at'], now)} {allowed}"
    if source["last_changes"]:
        change = source["last_changes"][0]
        yield "last change", f"{_ago(change['started_at'], now)}: {_changes(change)}"
    else:
        yield "last change", _ago(source["last_change_at"], now, never="none since the start")
    if run := source["run"]:
        yield "now", _run(run, now)
    elif source["next_check_at"]:
        reason = f": {escape(source['next_check_reason'])}" if source["next_check_reason"] else ""
        yield "next check", _ago(source["next_check_at"], now) + reason
    if source["failures"] and source["attention"] is None:
        yield "last failure", escape(source["error"] or "")
    if budget := source["budget"]:
        yield "budget", _budget(budget, now)
    if webhook := _webhook(source["webhooks"], now):
        yield "webhook", webhook
    total = source["total"]
    if total["requests"]:
        counted = (("requests", "request"), ("versions_inserted", "version"), ("events_written", "event"))
        yield "since the start", ", ".join(count(total[name], noun) for name, noun in counted)


def _table(caption: str, runs: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Return a line for each run: when, kind, outcome, duration, and what changed or went wrong."""
    if not runs:
        return ""
    rows = []
    for run in runs:
        ended = run["finished_at"]
        took = "" if ended is None else short_span(ended - run["started_at"])
        result = f"{_changes(run)}: {escape(run['error'])}" if run["error"] else _changes(run)
        cells = (_ago(run["started_at"], now), escape(run["kind"]), escape(run["outcome"]), took, result)
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table><caption>{caption}</caption>{''.join(rows)}</table>"


def _changes(run: Mapping[str, Any]) -> str:
    counts = run["counts"]
    return changes(
        versions_inserted=counts["versions_inserted"],
        versions_changed=counts["versions_changed"],
        events=counts["events_written"],
        records_failed=counts["records_failed"],
    )


def _webhook(webhook: Mapping[str, Any], now: datetime) -> str:
    """Return the state of a webhook that is used, else nothing."""
    is_read = webhook["log_state"] == LogStatus.ACTIVE
    if not is_read and not webhook["receiver_enabled"]:
        return "the token may not read the log of its calls" if webhook["log_state"] == LogStatus.REFUSED else ""
    last_call = webhook["last_call_at"]
    parts = [f"last call {_ago(last_call, now)}" if last_call else "no call since the start"]
    if is_read:
        parts.append(f"log read {_ago(webhook['log_read_at'], now)}")
    if webhook["log_gaps"]:
        parts.append(f"{count(webhook['log_gaps'], 'gap')}, the last {_ago(webhook['last_gap_at'], now)}")
    if webhook["queued_records"]:
        parts.append(f"{count(webhook['queued_records'], 'queued record')}")
    return ", ".join(parts)


def _run(run: Mapping[str, Any], now: datetime) -> str:
    pulled, planned = run["counts"]["records_pulled"], run["records_planned"]
    since = f"for {short_span(now - run['started_at'])}" if run["started_at"] else ""
    if not planned:
        return f"{escape(run['phase'])} {since}"
    bar = f"<progress max={planned} value={min(pulled, planned)}></progress>"
    return f"{escape(run['phase'])} {since}: {pulled:,} of {planned:,} records {bar}"


def _budget(budget: Mapping[str, Any], now: datetime) -> str:
    bar = f"<progress max={max(budget['requests'], 1)} value={budget['spent']}></progress>"
    rest = f"{budget['left']:,} left, new {_ago(budget['ends_at'], now)}; forecast {budget['forecast']:,}"
    return f"{bar} {budget['spent']:,} of {escape(budget['budget'])}; {rest}"


def _ago(at: datetime | None, now: datetime, *, never: str = "never") -> str:
    """Return how long before or after now, with the exact time as a tooltip."""
    if at is None:
        return never
    words = f"{short_span(now - at)} ago" if at <= now else f"in {short_span(at - now)}"
    return f"<time datetime='{at.isoformat()}' title='{when(at)} UTC'>{words}</time>"


def _seconds(seconds: float) -> str:
    return short_span(timedelta(seconds=seconds))
