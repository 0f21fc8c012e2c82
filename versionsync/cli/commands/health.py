"""`versionsync health`: does the daemon live that runs here? For health checks of containers."""

from __future__ import annotations

from versionsync.cli.context import CliContext

__all__ = ["health"]


def health(session: CliContext) -> None:
    """Ask the daemon that runs on this machine with these settings whether it lives.

    For the health check of a container. It asks the daemon alone, at [http] host and port: neither the database nor
    DatoCMS. Exit code 0: it does its work. 3: it does not answer, or hangs, and has to be started again. Whether the
    mirror is fresh is another question, which `versionsync status` answers.
    """
    from versionsync.config import InvalidSetting
    from versionsync.daemon.http.client import get_health

    http = session.configuration.http
    if not http.port:
        raise InvalidSetting(
            "[http] port is 0, so nobody knows where the daemon answers", hint="Set it to a number, such as 8765."
        )
    alive = get_health(http.host, http.port)
    if session.output.as_json:
        session.output.json({"alive": True, "url": alive.url, "version": alive.version, "pid": alive.pid})
    else:
        session.output.plain_line(f"The daemon lives: {alive.url}, version {alive.version}, process {alive.pid}.")
