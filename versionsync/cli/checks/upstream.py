"""What `doctor` and `init` check at DatoCMS: the token, and what its role may read. Only GETs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from versionsync import cma
from versionsync.cli.checks.result import CheckResult, error, from_error, ok, warning
from versionsync.cli.exit_codes import ExitCode
from versionsync.config import SourceSettings
from versionsync.mirror.tables.sources import SourceRow
from versionsync.status.model import sync_before
from versionsync.text import ago, count, when

__all__ = ["check_upstream", "first_pages"]

TOLERATED_SKEW_SECONDS: Final = 30.0
EDITORS: Final[tuple[tuple[str, str, str], ...]] = (
    ("users", "collaborators", "users"),
    ("SSO users", "SSO users", "sso_users"),
    ("API tokens", "API tokens", "access_tokens"),
)


async def check_upstream(
    source: SourceSettings, client: cma.Client, *, mirrored: SourceRow | None = None
) -> AsyncIterator[CheckResult]:
    """Check `source` with its token. It ends early if DatoCMS refuses the token or the environment.

    `mirrored` is the source that the database has under its name.
    """
    try:
        site = await client.site()
    except cma.EnvironmentNotFound as failure:
        yield from_error("environment", failure)
        return
    except cma.CmaError as failure:
        yield from_error("token", failure)
        return
    yield ok("token", f"it opens the project {site.name} (id {site.id})")
    if mirrored is not None and mirrored.project.id != site.id:
        other = mirrored.project
        message = f"the database mirrors {other.name or 'a project'} (id {other.id}) under this name"
        hint = "Use the right token; or another source name or another database for this project."
        yield error("project", message, hint, ExitCode.USAGE)
        return
    if await _is_in_maintenance(client):
        hint = "Nothing to do for the mirror: a sync only reads."
        yield warning("maintenance", "the project is in maintenance: editors cannot write to it", hint)
    yield await _unless_refused("environment", _environment(source, client))
    yield await _unless_refused("versions", _records(client))
    yield await _unless_refused("history", _history(source, client, mirrored))
    yield await _unless_refused("role", _role(source, client))
    for check, what, method in EDITORS:
        yield await _unless_refused(check, _editors(check, what, getattr(client, method)))
    yield _rate_limit(source, client)
    yield _clock(client)


async def _unless_refused(check: str, result: Awaitable[CheckResult]) -> CheckResult:
    """Return the result of a check, also if upstream refused it."""
    try:
        return await result
    except cma.CmaError as failure:
        return from_error(check, failure)


async def _is_in_maintenance(client: cma.Client) -> bool:
    """Whether it is, as far as this token may know. If the network fails, the next check reports it."""
    try:
        return await client.maintenance_mode()
    except cma.CmaError:
        return False


async def _environment(source: SourceSettings, client: cma.Client) -> CheckResult:
    name = "environment"
    try:
        environments = await client.environments()
    except cma.PermissionDenied:
        message = "the token's role may not list the environments"
        hint = (
            "Let the role read the environments: otherwise each check costs as many requests as a list of all records."
        )
        if source.environment is not None:
            return warning(name, f"{source.environment} answers, though {message}", hint)
        return warning(name, message, f"{hint} And versionsync cannot notice a promotion.")
    primary = next((environment.id for environment in environments if environment.primary), None)
    if source.environment is None:
        return ok(name, f"{primary}, the primary one, is followed")
    found = next((environment for environment in environments if environment.id == source.environment), None)
    if found is None:
        hint = f"There are: {', '.join(environment.id for environment in environments)}."
        return error(name, f"there is no environment {source.environment}", hint, ExitCode.UPSTREAM_REFUSED)
    if found.status != "ready":
        return warning(name, f"{found.id} is {found.status}", "Wait until it is ready.")
    return ok(name, f"{found.id}{', the primary one' if found.primary else ''}")


async def _records(client: cma.Client) -> CheckResult:
    """Check that records can be listed, and the versions of the first one read. Blocks are not records."""
    models = [model.id for model in await client.item_types() if not model.modular_block]
    pages = [page async for page in first_pages(client, models)]
    first = next((item for page in pages for item in page.items), None)
    if first is None:
        return warning("versions", "there is no record to try it on")
    versions = await client.versions_page(first.id, offset=0, limit=1)
    records = count(sum(page.total for page in pages), "record")
    message = f"it may read {records}, and their versions ({versions.total:,} of the first one)"
    return ok("versions", message)


async def first_pages(client: cma.Client, models: Sequence[str]) -> AsyncIterator[cma.Page[cma.Item]]:
    """Yield a page of one record for all models, or one for each if upstream refuses a hidden model."""
    for group in cma.model_groups(models):
        try:
            yield await client.items_page(offset=0, limit=1, models=group)
        except cma.InvalidRequest:
            if len(models) == 1:
                return
            for model in group:
                async for page in first_pages(client, [model]):
                    yield page


async def _history(source: SourceSettings, client: cma.Client, mirrored: SourceRow | None) -> CheckResult:
    """Check for how long DatoCMS keeps versions, and how often the source must be synced for that."""
    retention = await client.history_retention()
    if retention is None:
        message = "DatoCMS does not state here for how long it keeps versions; the project's plan does"
        return ok("history", message)
    if retention.days is None:
        return ok("history", "DatoCMS keeps all versions, by the project's plan")
    kept, often = f"DatoCMS keeps versions for {count(retention.days, 'day')}", f"at least every {retention.days} days"
    if retention.days == 1:
        often = "at least once a day"
    whole = None if mirrored is None else mirrored.checkpoint.complete_as_of
    if whole is None:
        hint = f"Run `versionsync sync {source.name}` now, then {often}. Older versions are gone already."
        return warning("history", f"{kept}, and the mirror is not complete yet", hint)
    before, now = sync_before(whole, retention.days), datetime.now(UTC)
    if before is None:
        return ok("history", kept)
    if before <= now:
        hint = f"Run `versionsync sync {source.name}` now, then {often}."
        message = f"{kept}, and the last complete sync began {ago(whole, now)}: versions may be lost"
        return warning("history", message, hint)
    message = f"{kept}, the mirror keeps them permanently: sync before {when(before)} UTC, and {often}"
    return ok("history", message)


async def _role(source: SourceSettings, client: cma.Client) -> CheckResult:
    """Check that the token's role shows all records. Hidden ones are not mirrored, nor marked as deleted."""
    role, models = await client.own_role(), await client.item_types()
    environment = source.environment or client.last_environment
    if role is None or environment is None:
        message = "upstream does not say whether this token's role shows all records"
        return warning("role", message, "Look it up: Project settings > Roles.")
    partial = sorted(
        model.api_key
        for model in models
        if not model.modular_block and role.reading(model.id, environment) is not cma.ReadAccess.ALL
    )
    named = {model.id for model in models}
    partial += [f"{id} (a model that is not named)" for id in sorted(role.hides_outside(named, environment))]
    if not partial:
        return ok("role", f"{role.name} shows all records of all models")
    message = f"{role.name} does not show all records of: {', '.join(partial)}"
    hint = "Let it read them (Project settings > Roles), unless the mirror is to be without them."
    return warning("role", message, hint)


async def _editors(check: str, what: str, read: Callable[[], Awaitable[object]]) -> CheckResult:
    try:
        await read()
    except cma.PermissionDenied:
        hint = "Versions will name such editors by id only; nothing else is missing."
        return warning(check, f"the token's role may not read {what}", hint)
    return ok(check, f"it may read {what}")


def _rate_limit(source: SourceSettings, client: cma.Client) -> CheckResult:
    limit = client.rate_limiter.limit
    if limit is None:
        return ok("rate limit", "none is kept, as the settings say")
    by = "the settings say" if isinstance(source.rate_limit, int) else "upstream announces"
    return ok("rate limit", f"{limit} requests in 3 seconds, as {by}")


def _clock(client: cma.Client) -> CheckResult:
    if client.clock_offset is None:
        return warning("clock", "upstream did not say what time it is")
    offset = client.clock_offset.total_seconds()
    if abs(offset) <= TOLERATED_SKEW_SECONDS:
        return ok("clock", f"within {TOLERATED_SKEW_SECONDS:.0f} seconds of upstream's")
    side = "behind" if offset > 0 else "ahead of"
    message = f"this machine is {abs(offset):,.0f} seconds {side} upstream"
    return warning("clock", message, "Set it right (NTP): observed times would be wrong.")
