"""`versionsync health`: whether the daemon of this machine works. For health checks of containers."""

from __future__ import annotations

from versionsync.cli.context import CliContext
from versionsync.config import InvalidSetting

__all__ = ["health"]


def health(session: CliContext) -> None:
    """Check that the daemon on this machine works.

    Use it as the health check of a container. It asks only the daemon, at the host and port of [http] in the settings.
    Exit code 0: the daemon works. 3: it does not answer or is stuck, so restart it. To check that the mirror is fresh,
    use `versionsync status`.

    Examples:
        # In a second terminal, while `versionsync run` runs.
        versionsync health
    """
    from versionsync.daemon.http.health_client import get_health

    http = session.configuration.http
    if not http.port:
        raise InvalidSetting(
            "[http] port is 0, so the port of the daemon is not known", hint="Set it to a number, such as 8765."
        )
    found = get_health(http.host, http.port)
    session.output.result(
        {"alive": True, "url": found.url, "version": found.version, "pid": found.pid},
        f"The daemon is alive: {found.url}, version {found.version}, process {found.pid}.",
    )
