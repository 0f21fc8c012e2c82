"""`versionsync health`: whether the daemon on this machine makes progress. For health checks of containers."""

from __future__ import annotations

from versionsync.cli.context import CliContext

__all__ = ["health"]


def health(session: CliContext) -> None:
    """Check that the daemon on this machine is alive and makes progress.

    For the health check of a container. It asks only the daemon, at [http] host and port, and neither the database nor
    DatoCMS. Exit code 0: the daemon makes progress. 3: it does not answer or is stuck, and must be restarted. Run
    `versionsync status` to see whether the mirror is fresh.
    """
    from versionsync.config import InvalidSetting
    from versionsync.daemon.http.client import get_health

    http = session.configuration.http
    if not http.port:
        raise InvalidSetting(
            "[http] port is 0, so the port of the daemon is not known", hint="Set it to a number, such as 8765."
        )
    found = get_health(http.host, http.port)
    if session.output.as_json:
        session.output.json({"alive": True, "url": found.url, "version": found.version, "pid": found.pid})
    else:
        session.output.plain_line(f"The daemon is alive: {found.url}, version {found.version}, process {found.pid}.")
